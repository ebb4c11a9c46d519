// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"path/filepath"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

var _ = Describe("A mirror with a login and an authority of its own", func() {
	It("gives a Pod its image after the six commands of docs/how-to/private-mirror.md", func(ctx SpecContext) {
		s := newSite(ctx)
		own := newOwnCA("localhost") // by which the nodes know it, and this machine, where kubectl mirrors check runs
		mirror := startTLSRegistry("private mirror", "localhost", own.certificate, nil, s.seen)
		image, _ := newImage(ctx)
		mirror.push(ctx, "quay/team/app", image)
		offered := wantBasic(mirror)
		atSource := wantBasic(s.source)

		here := strings.NewReplacer("registry.corp.example:5000", mirror.host, "registry.corp.example..5000", strings.Replace(mirror.host, ":", "..", 1),
			"quay.io", s.source.host, "--docker-username=puller", "--docker-username="+user)
		page := howTo("private-mirror.md")
		folder := GinkgoT().TempDir()
		for name, text := range map[string]string{"mirrors.yaml": here.Replace(blocksOf(page, "yaml")[0]), "password.txt": password + "\n", "ca.crt": own.ca} {
			put(filepath.Join(folder, name), text)
		}
		DeferCleanup(func(ctx SpecContext) {
			s.kubectl(ctx, "delete", "pod/app", "--ignore-not-found", "--now")
			s.kubectl(ctx, "-n", namespace, "delete", "--ignore-not-found", "secret/mirror-credentials", "configmap/mirror-authorities")
			s.deleteSets(ctx)
		}, cleanUpTimeout)

		commands := strings.Split(strings.TrimSpace(here.Replace(blocksOf(page, "bash")[0])), "\n")
		Expect(commands).To(HaveLen(6))
		started := time.Now()
		for _, command := range commands {
			cmd := s.shell(ctx, command)
			cmd.Dir = folder
			out := run(cmd)
			Expect(out).NotTo(ContainSubstring(password))
			if strings.HasPrefix(command, "kubectl mirrors check") {
				Expect(out).To(ContainSubstring("1 of 1 image comes from a mirror"))
			}
		}
		pod, err := s.Client.CoreV1().Pods(metav1.NamespaceDefault).Get(ctx, "app", metav1.GetOptions{})
		Expect(err).NotTo(HaveOccurred())
		expectRunning(ctx, s.Cluster, pod)
		reportTime("the Pod ran after the first command by", started)
		s.expectAsked(mirror)
		Expect(offered.all()).To(ContainElement(user + ":" + password))
		Expect(atSource.all()).To(BeEmpty())
		Expect(s.logs(ctx)).NotTo(ContainSubstring(password))
	}, nodeTimeout)
})
