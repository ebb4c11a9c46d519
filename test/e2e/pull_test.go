// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

const (
	pullTimeout   = 2 * time.Minute
	pluginTimeout = time.Minute
)

// explanation is the part of `kubectl mirrors explain -o json` that a pull can be held against.
type explanation struct {
	Source      string `json:"source"`
	Blocked     bool   `json:"blocked"`
	PullSources []struct {
		Location string `json:"location"`
	} `json:"pullSources"`
}

// locations returns the pull sources in order.
func (e explanation) locations() []string {
	all := make([]string, 0, len(e.PullSources))
	for _, s := range e.PullSources {
		all = append(all, s.Location)
	}
	return all
}

// pulled is what one pull left behind.
type pulled struct {
	explained explanation
	err       error
	imageID   string
	tried     []string // the references that podman tried, in order, its retries included
	refused   []string // those that it would have tried, had they not been blocked
	stderr    string
}

// pullWithSets writes the manifests to a file, has the plugin make a registries.conf of it, and pulls the image with
// this Podman in a storage of its own.
func (p podman) pullWithSets(ctx context.Context, image string, insecure []string, manifests ...string) pulled {
	GinkgoHelper()
	folder := GinkgoT().TempDir()
	file := filepath.Join(folder, "sets.yaml")
	put(file, strings.Join(manifests, "---\n"))
	args := []string{"render", "-f", file}
	for _, host := range insecure {
		args = append(args, "--insecure-registry", host)
	}
	put(filepath.Join(folder, "registries.conf"), runPlugin(ctx, args...))

	var result pulled
	Expect(json.Unmarshal([]byte(runPlugin(ctx, "explain", image, "-f", file, "-o", "json")), &result.explained)).To(Succeed())
	p.pull(ctx, &result, folder, image)
	expectNothingLeft(folder)
	return result
}

func put(path, text string) {
	GinkgoHelper()
	Expect(os.MkdirAll(filepath.Dir(path), 0o700)).To(Succeed())
	Expect(os.WriteFile(path, []byte(text), 0o600)).To(Succeed())
}

// runPlugin returns what the plugin prints to standard output.
func runPlugin(ctx context.Context, args ...string) string {
	GinkgoHelper()
	ctx, cancel := context.WithTimeout(ctx, pluginTimeout)
	defer cancel()
	out, err := exec.CommandContext(ctx, kubectlMirrors, args...).Output()
	Expect(err).NotTo(HaveOccurred())
	return string(out)
}

// The patterns find references in podman's debug log: those that it tried, and those of them that its configuration refused
// before any connection.
var (
	triedPattern   = regexp.MustCompile(`msg="Trying to access \\"([^"\\]+)\\""`)
	refusedPattern = regexp.MustCompile(`msg="Accessing \\"([^"\\]+)\\" failed: registry \S+ is blocked in `)
)

// pull pulls with folder/registries.conf into a storage below the folder.
func (p podman) pull(ctx context.Context, result *pulled, folder, image string) {
	GinkgoHelper()
	put(filepath.Join(folder, "auth.json"), "{}\n")
	ctx, cancel := context.WithTimeout(ctx, pullTimeout)
	defer cancel()
	cmd := p.in(ctx, folder, "pull", "--quiet", "--authfile", filepath.Join(folder, "auth.json"), image)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	result.err = cmd.Run()
	Expect(ctx.Err()).NotTo(HaveOccurred(), "podman took too long:\n%s", stderr.String())
	result.stderr = stderr.String()
	result.imageID = strings.TrimSpace(stdout.String())
	result.refused = found(refusedPattern, result.stderr)
	result.tried = slices.DeleteFunc(found(triedPattern, result.stderr), func(ref string) bool { return slices.Contains(result.refused, ref) })
}

// found returns what the first group matched, wherever the pattern did.
func found(pattern *regexp.Regexp, text string) []string {
	all := []string{}
	for _, match := range pattern.FindAllStringSubmatch(text, -1) {
		all = append(all, match[1])
	}
	return all
}

// expectNothingLeft looks for mounts below the folder and for processes that were told of it.
func expectNothingLeft(folder string) {
	GinkgoHelper()
	mounts, err := os.ReadFile("/proc/self/mounts")
	Expect(err).NotTo(HaveOccurred())
	Expect(string(mounts)).NotTo(ContainSubstring(folder), "a mount is left")
	processes, err := filepath.Glob("/proc/[0-9]*/cmdline")
	Expect(err).NotTo(HaveOccurred())
	for _, process := range processes {
		if line, err := os.ReadFile(process); err == nil { // it may have ended since
			Expect(string(line)).NotTo(ContainSubstring(folder), "a process is left")
		}
	}
}
