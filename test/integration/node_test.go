// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package integration_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/fsnotify/fsnotify"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/util/retry"
	"sigs.k8s.io/controller-runtime/pkg/client"

	configv1 "github.com/mirrorset/mirrorset/api/config/v1"
	"github.com/mirrorset/mirrorset/internal/kinds"
	"github.com/mirrorset/mirrorset/internal/mirrors"
	"github.com/mirrorset/mirrorset/internal/payload"
	"github.com/mirrorset/mirrorset/internal/registriesconf"
	"github.com/mirrorset/mirrorset/test/controlplane"
)

const (
	dropIns  = "etc/containers/registries.conf.d"
	dropIn   = dropIns + "/50-mirrorset.conf"
	stateDir = "var/lib/mirrorset"
)

// node is a host's root directory.
type node struct {
	root string
}

func newNode() *node {
	return &node{root: GinkgoT().TempDir()}
}

func (n *node) path(name string) string {
	return filepath.Join(n.root, name)
}

// rules returns the drop-in; none is "".
func (n *node) rules() (string, error) {
	content, err := os.ReadFile(n.path(dropIn))
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	return string(content), err
}

// wantWaiting waits until an agent waits for the lock of this host. An agent that has just started ends immediately when it gets the signal.
func (n *node) wantWaiting(agent *controlplane.Process) {
	GinkgoHelper()
	open := fmt.Sprintf("/proc/%d/fd", agent.PID())
	Eventually(func() (files []string, err error) {
		entries, err := os.ReadDir(open)
		for _, entry := range entries {
			if file, err := os.Readlink(filepath.Join(open, entry.Name())); err == nil { // or it is closed by now
				files = append(files, file)
			}
		}
		return files, err
	}).Should(ContainElement(n.path(stateDir + "/lock")))
}

// put writes a file as somebody else would.
func (n *node) put(name, content string) {
	GinkgoHelper()
	Expect(os.MkdirAll(filepath.Dir(n.path(name)), 0o755)).To(Succeed())
	Expect(os.WriteFile(n.path(name), []byte(content), 0o644)).To(Succeed())
}

func (n *node) remove(name string) {
	GinkgoHelper()
	Expect(os.RemoveAll(n.path(name))).To(Succeed())
}

// wantRules waits until the drop-in is that of the sets.
func (n *node) wantRules(sets ...*configv1.ImageDigestMirrorSet) {
	GinkgoHelper()
	Eventually(n.rules).Should(Equal(rendered(sets...)))
}

// keepsRules checks for a while that the drop-in stays that of the sets.
func (n *node) keepsRules(sets ...*configv1.ImageDigestMirrorSet) {
	GinkgoHelper()
	Consistently(n.rules, "1s").Should(Equal(rendered(sets...)))
}

// guard looks out for moments without a drop-in. The returned function tells what it saw.
func (n *node) guard() (lost func() []string) {
	GinkgoHelper()
	watcher, err := fsnotify.NewWatcher()
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(watcher.Close)
	Expect(watcher.Add(n.path(dropIns))).To(Succeed())
	var mu sync.Mutex
	var seen []string
	end, ended := n.path(dropIns+"/end"), make(chan struct{})
	go func() {
		for event := range watcher.Events {
			mu.Lock()
			switch {
			case event.Name == end && event.Has(fsnotify.Create):
				close(ended)
			case event.Name == n.path(dropIn) && event.Op&(fsnotify.Remove|fsnotify.Rename) != 0:
				seen = append(seen, event.String())
			}
			mu.Unlock()
		}
	}()
	return func() []string {
		GinkgoHelper()
		n.put(dropIns+"/end", "") // all earlier events are seen before this one
		Eventually(ended).Should(BeClosed())
		mu.Lock()
		defer mu.Unlock()
		return seen
	}
}

// rendered is the text of the sets, "" where they have no rules.
func rendered(sets ...*configv1.ImageDigestMirrorSet) string {
	GinkgoHelper()
	return renderedWith(nil, sets...)
}

func renderedWith(insecure []string, sets ...*configv1.ImageDigestMirrorSet) string {
	GinkgoHelper()
	rules := mergedWith(insecure, sets...)
	if len(rules) == 0 {
		return ""
	}
	text, err := registriesconf.Encode(rules)
	Expect(err).NotTo(HaveOccurred())
	return string(text)
}

func mergedWith(insecure []string, sets ...*configv1.ImageDigestMirrorSet) []mirrors.Rule {
	GinkgoHelper()
	scopes, err := mirrors.ParseScopes(insecure)
	Expect(err).NotTo(HaveOccurred())
	var list configv1.ImageDigestMirrorSetList
	for _, s := range sets {
		list.Items = append(list.Items, *s)
	}
	of, err := kinds.Digest.FromList(&list)
	Expect(err).NotTo(HaveOccurred())
	return kinds.Merge(of, scopes).Rules
}

// set returns one that is not yet created.
func set(name string, entries ...configv1.ImageDigestMirrors) *configv1.ImageDigestMirrorSet {
	s := &configv1.ImageDigestMirrorSet{}
	s.Name = name
	s.Spec.ImageDigestMirrors = entries
	return s
}

func entry(source string, locations ...configv1.ImageMirror) configv1.ImageDigestMirrors {
	return configv1.ImageDigestMirrors{Source: source, Mirrors: locations}
}

// create returns the sets once they are there.
func create(ctx context.Context, sets ...*configv1.ImageDigestMirrorSet) {
	GinkgoHelper()
	for _, s := range sets {
		Expect(admin.Create(ctx, s)).To(Succeed())
	}
}

// change gives a set other entries, whatever was written to its status meanwhile.
func change(ctx context.Context, s *configv1.ImageDigestMirrorSet, entries ...configv1.ImageDigestMirrors) {
	GinkgoHelper()
	Expect(retry.RetryOnConflict(retry.DefaultRetry, func() error {
		if err := admin.Get(ctx, client.ObjectKeyFromObject(s), s); err != nil {
			return err
		}
		s.Spec.ImageDigestMirrors = entries
		return admin.Update(ctx, s)
	})).To(Succeed())
}

// configMap returns the one that the agents follow.
func configMap(ctx context.Context) (*corev1.ConfigMap, error) {
	cm := &corev1.ConfigMap{ObjectMeta: configMapMeta}
	return cm, admin.Get(ctx, client.ObjectKeyFromObject(cm), cm)
}

// published returns what the ConfigMap holds.
func published(ctx context.Context) (payload.Payload, error) {
	cm, err := configMap(ctx)
	if err != nil {
		return payload.Payload{}, err
	}
	return payload.Read(cm)
}

// mustPublished returns what the ConfigMap holds now.
func mustPublished(ctx context.Context) payload.Payload {
	GinkgoHelper()
	p, err := published(ctx)
	Expect(err).NotTo(HaveOccurred())
	return p
}

// waitUntil returns once the drop-in is as it is to be; none is "".
func (n *node) waitUntil(files *fsnotify.Watcher, is func(text string) bool) error {
	timeout := time.After(time.Minute)
	for {
		if content, err := n.rules(); err != nil || is(content) {
			return err
		}
		select {
		case <-files.Events:
		case err := <-files.Errors:
			return err
		case <-timeout:
			return errors.New("waiting for another drop-in")
		}
	}
}
