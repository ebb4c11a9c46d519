// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/fsnotify/fsnotify"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"

	"github.com/mirrorset/mirrorset/internal/payload"
	"github.com/mirrorset/mirrorset/internal/registriesconf"
	"github.com/mirrorset/mirrorset/test/cluster"
)

// chronicle has every version of what was published, as the API server reports them, and every version of the drop-in on every node, as the
// kernel reports them, so that nothing is too short to be seen.
type chronicle struct {
	watcher *fsnotify.Watcher
	nodes   map[string]string // by the path of the drop-in

	mu        sync.Mutex
	published []publication
	had       map[string][]version // by node
	err       error                // the first
}

// publication is one version of the ConfigMap.
type publication struct {
	at      time.Time
	object  int64 // its version, which only a restored etcd has go back
	fleet   payload.Payload
	canary  *payload.Canary
	rollout payload.Rollout
}

// version is one of a drop-in; without a text, there was none.
type version struct {
	at   time.Time
	text string
}

// chronicle begins with what there is.
func (f *fleet) chronicle() *chronicle {
	GinkgoHelper()
	c := &chronicle{nodes: map[string]string{f.Path(dropIn): cluster.NodeName}, had: map[string][]version{}}
	for name, agent := range f.agents {
		c.nodes[agent.root+dropIn] = name
	}
	var err error
	c.watcher, err = fsnotify.NewWatcher()
	Expect(err).NotTo(HaveOccurred())
	for path := range c.nodes {
		Expect(c.watcher.Add(filepath.Dir(path))).To(Succeed())
		c.readFile(path)
	}
	ctx, end := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { c.followFiles(ctx) })
	running.Go(func() { c.followConfigMap(ctx, f) })
	DeferCleanup(func() {
		end()
		running.Wait()
		Expect(c.watcher.Close()).To(Succeed())
	})
	Eventually(c.last).WithTimeout(convergeTimeout).ShouldNot(BeNil())
	return c
}

func (c *chronicle) fail(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.err = cmp.Or(c.err, err)
}

func (c *chronicle) followFiles(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case err := <-c.watcher.Errors:
			c.fail(err)
		case event := <-c.watcher.Events:
			if _, ours := c.nodes[event.Name]; ours {
				c.readFile(event.Name)
			}
		}
	}
}

func (c *chronicle) readFile(path string) {
	at := time.Now()
	text, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		c.fail(err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	name := c.nodes[path]
	if had := c.had[name]; len(had) == 0 || had[len(had)-1].text != string(text) {
		c.had[name] = append(had, version{at, string(text)})
	}
}

// followConfigMap watches anew where a watch ends, as it does with the API server.
func (c *chronicle) followConfigMap(ctx context.Context, f *fleet) {
	configMaps := f.Client.CoreV1().ConfigMaps(namespace)
	only := metav1.ListOptions{FieldSelector: fields.OneTermEqualSelector(metav1.ObjectNameField, payload.ConfigMapName).String()}
	for ; ctx.Err() == nil; time.Sleep(100 * time.Millisecond) {
		list, err := configMaps.List(ctx, only)
		if err != nil {
			continue
		}
		for i := range list.Items {
			c.note(&list.Items[i])
		}
		since := only
		since.ResourceVersion = list.ResourceVersion
		watch, err := configMaps.Watch(ctx, since)
		if err != nil {
			continue
		}
		for event := range watch.ResultChan() {
			if cm, ok := event.Object.(*corev1.ConfigMap); ok {
				c.note(cm)
			}
		}
	}
}

func (c *chronicle) note(cm *corev1.ConfigMap) {
	fleet, err := payload.Read(cm)
	canary, canaryErr := payload.ReadCanary(cm)
	object, objectErr := strconv.ParseInt(cm.ResourceVersion, 10, 64)
	if err := errors.Join(err, canaryErr, objectErr); err != nil {
		c.fail(err)
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if n := len(c.published); n == 0 || c.published[n-1].object != object {
		c.published = append(c.published, publication{time.Now(), object, fleet, canary, payload.ReadRollout(cm.Annotations)})
	}
}

// last is what is published.
func (c *chronicle) last() *publication {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.published) == 0 {
		return nil
	}
	return &c.published[len(c.published)-1]
}

// publishedSince returns all of it from the last that was there at a time.
func (c *chronicle) publishedSince(since time.Time) []publication {
	c.mu.Lock()
	defer c.mu.Unlock()
	first := 0
	for first+1 < len(c.published) && !c.published[first+1].at.After(since) {
		first++
	}
	return slices.Clone(c.published[first:])
}

// when returns when a node first had a text with a marker, after a time; zero where it never had.
func (c *chronicle) when(node, marker string, since time.Time) time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, v := range c.had[node] {
		if v.at.After(since) && strings.Contains(v.text, marker) {
			return v.at
		}
	}
	return time.Time{}
}

// thatHad returns the nodes that ever had a text with a marker after a time.
func (c *chronicle) thatHad(marker string, since time.Time) (names []string) {
	for _, name := range c.nodes {
		if !c.when(name, marker, since).IsZero() {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// now returns which nodes have a text with a marker.
func (c *chronicle) now(marker string) (names []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for name, had := range c.had {
		if strings.Contains(had[len(had)-1].text, marker) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// late is how much later than an agent the chronicle may learn of what is published.
const late = 2 * time.Second

// expectStaged wants, of all since a time: that no node had what was not published for it; that what all nodes were given they were given
// before, or canaries for the soak time under the same revision, or by an undo; and that a source was blocked on every node all the time.
func (c *chronicle) expectStaged(since time.Time, soak time.Duration, blocked string) {
	GinkgoHelper()
	all := c.publishedSince(time.Time{})
	c.mu.Lock()
	defer c.mu.Unlock()
	Expect(c.err).NotTo(HaveOccurred())
	for name, had := range c.had {
		for _, v := range had {
			if v.at.Before(since) {
				continue
			}
			Expect(v.text).To(Satisfy(func(text string) bool { return blocks(text, blocked) }), "%s had the source %s open at %s", name, blocked, v.at)
			given := slices.ContainsFunc(all, func(p publication) bool {
				return p.at.Before(v.at.Add(late)) && (string(p.fleet.Text) == v.text || p.canary.Takes(name) && string(p.canary.Text) == v.text)
			})
			Expect(given).To(BeTrue(), "%s had at %s what was not published for it by then:\n%s", name, v.at, v.text)
		}
	}
	for i := 1; i < len(all); i++ {
		before, p := all[i-1], all[i]
		if restored := p.object < before.object; !restored && p.at.After(since) && p.fleet.Digest != before.fleet.Digest {
			Expect(p.given(all[:i], soak)).To(Succeed())
		}
	}
}

// given reports whether what all nodes are given now may be given to them, after what was published before.
func (p *publication) given(before []publication, soak time.Duration) error {
	if undone := p.rollout.Undone; undone != nil && undone.Digest == p.fleet.Digest {
		return nil
	}
	tried := time.Time{}
	for i := len(before) - 1; i >= 0; i-- {
		if c := before[i].canary; c == nil || c.Digest != p.fleet.Digest || c.Revision != p.fleet.Revision {
			break
		}
		tried = before[i].at
	}
	// The one time is that of a write, and so is the other; what lies between a write and its event is not the same for both.
	if took := p.at.Sub(tried); tried.IsZero() || took < soak-time.Second {
		return fmt.Errorf("all nodes were given revision %d at %s, and canaries had been since %s (zero: never under this revision)", p.fleet.Revision, p.at, tried)
	}
	return nil
}

// blocks reports whether a text of ours blocks a source.
func blocks(text, source string) bool {
	rules, err := registriesconf.Decode([]byte(text))
	if err != nil {
		return false
	}
	for i := range rules {
		if string(rules[i].Source) == source {
			return rules[i].Blocked
		}
	}
	return false
}
