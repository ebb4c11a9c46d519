// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

// expectNowhere expects the logins in no log, no record of the API server, no process's arguments or environment, and no file of the node but the named one.
func (s *site) expectNowhere(ctx context.Context, of ...*login) {
	GinkgoHelper()
	var secrets []string
	for _, l := range of {
		secrets = append(secrets, l.password, l.encoded())
		secrets = append(secrets, l.given()...)
	}
	record, err := os.ReadFile(s.AuditLog())
	Expect(err).NotTo(HaveOccurred())
	Expect(string(record)).To(ContainSubstring("mirrornodes"), "the API server's record")
	objects := s.kubectl(ctx, "get", "events,configmaps,mirrornodes,imagedigestmirrorsets,daemonsets,pods", "-A", "-o", "yaml")
	places := map[string]string{
		"the logs of Mirrorset": s.logs(ctx), "the node's logs": s.Logs(1 << 20), "the API server's record": string(record), "objects": objects,
		"/proc": processTexts(),
	}
	for place, text := range places {
		Expect(text).NotTo(BeEmpty(), place)
		for _, secret := range secrets {
			Expect(strings.Contains(text, secret)).To(BeFalse(), "a login stands in %s", place)
		}
	}
	found := map[string]bool{}
	for _, folder := range []string{"/etc/containers", "/etc/containerd", "/var/lib/mirrorset", "/var/lib/kubelet", "/run", "/var/log"} {
		_ = filepath.WalkDir(s.Path(folder), func(name string, entry os.DirEntry, err error) error {
			if err != nil || !entry.Type().IsRegular() {
				return nil // what goes while it is looked at is no place to keep anything
			}
			text, err := os.ReadFile(name)
			for _, secret := range secrets {
				if err == nil && strings.Contains(string(text), secret) {
					found[strings.TrimPrefix(name, s.Path(""))] = true
				}
			}
			return nil
		})
	}
	Expect(found).To(Equal(map[string]bool{authFile: true}), "files of the node with a login")
}

// agentProcess is the one of the agent on the node that serves and writes; its parent only starts it.
func (s *site) agentProcess() (pid int) {
	GinkgoHelper()
	pid = s.findAgentProcess()
	Expect(pid).NotTo(BeZero(), "no agent runs")
	return pid
}

// findAgentProcess is [site.agentProcess], and 0 while there is none.
func (s *site) findAgentProcess() (pid int) {
	GinkgoHelper()
	for process, line := range commandLines() {
		if strings.HasPrefix(line, "/agent\x00--host-root=/host\x00") && strings.Contains(line, "\x00--respawn=false\x00") {
			pid = process
		}
	}
	return pid
}

// commandLines are those of the processes in this one's network, by process. What other processes of this suite run is in other networks.
func commandLines() map[int]string {
	GinkgoHelper()
	network, err := os.Readlink("/proc/self/ns/net")
	Expect(err).NotTo(HaveOccurred())
	folders, err := filepath.Glob("/proc/[0-9]*")
	Expect(err).NotTo(HaveOccurred())
	all := map[int]string{}
	for _, folder := range folders {
		line, err := os.ReadFile(folder + "/cmdline")
		if in, linkErr := os.Readlink(folder + "/ns/net"); err != nil || linkErr != nil || in != network {
			continue // it may have ended since
		}
		pid, err := strconv.Atoi(filepath.Base(folder))
		Expect(err).NotTo(HaveOccurred())
		all[pid] = string(line)
	}
	return all
}

// processTexts are the arguments and environments of all processes but this one.
func processTexts() string {
	var all strings.Builder
	for _, pattern := range []string{"/proc/[0-9]*/cmdline", "/proc/[0-9]*/environ"} {
		files, _ := filepath.Glob(pattern)
		for _, file := range files {
			if text, err := os.ReadFile(file); err == nil && !strings.HasPrefix(file, fmt.Sprintf("/proc/%d/", os.Getpid())) {
				all.Write(text)
			}
		}
	}
	return all.String()
}
