// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

// Package workflows holds the workflows in .github to what keeps others out of the project's releases. Their form is
// judged by actionlint, which `make lint` runs.
package workflows

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

const root = "../.."

type workflow struct {
	Permissions map[string]string `json:"permissions"`
	Concurrency struct {
		Group string `json:"group"`
	} `json:"concurrency"`
	Jobs map[string]job `json:"jobs"`
}

type job struct {
	Strategy struct {
		Matrix struct {
			Target []string `json:"target"`
		} `json:"matrix"`
	} `json:"strategy"`
	Permissions map[string]string `json:"permissions"`
	Timeout     int               `json:"timeout-minutes"`
	Steps       []step            `json:"steps"`
}

type step struct {
	Uses string         `json:"uses"`
	With map[string]any `json:"with"`
	Run  string         `json:"run"`
}

// granted are the rights of jobs in addition to reading the repository.
var granted = map[string]map[string]string{
	"release.yml/publish": {"contents": "write", "packages": "write", "id-token": "write", "attestations": "write"},
}

var (
	uses    = regexp.MustCompile(`(?m)^[ -]*uses:.*$`)
	pinned  = regexp.MustCompile(`^[ -]*uses: [\w.-]+/[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$`)
	trigger = regexp.MustCompile(`\b(pull_request_target|workflow_run|issue_comment)\b`)
	makes   = regexp.MustCompile(`\bmake ([a-z0-9-]+)`)
	target  = regexp.MustCompile(`(?m)^([a-z0-9-]+):`)

	released = regexp.MustCompile(` ([a-z-]+)[.]digest `) // in the Makefile's list of what is
)

// problems returns what is wrong with a workflow.
func problems(name, text string, targets []string) []string {
	var w workflow
	if err := yaml.Unmarshal([]byte(text), &w); err != nil {
		return []string{err.Error()}
	}
	var found []string
	say := func(format string, args ...any) { found = append(found, fmt.Sprintf(format, args...)) }
	for _, line := range uses.FindAllString(text, -1) {
		if !pinned.MatchString(line) {
			say("%q is not pinned by a full commit, with its version as a comment", strings.TrimSpace(line))
		}
	}
	if w.Permissions == nil || len(w.Permissions) > 0 {
		say("permissions are not {}: each job is given its own")
	}
	if w.Concurrency.Group == "" {
		say("there is no concurrency.group")
	}
	if at := trigger.FindString(text); at != "" {
		say("%s runs with rights on what others wrote", at)
	}
	if strings.Contains(text, "secrets.") {
		say("there is a secret, beside the token of the run")
	}
	for id, j := range w.Jobs {
		where := name + "/" + id
		want := granted[where]
		if want == nil {
			want = map[string]string{"contents": "read"}
		}
		if !maps.Equal(j.Permissions, want) {
			say("%s: permissions are %v, want %v", id, j.Permissions, want)
		}
		if j.Timeout == 0 {
			say("%s: there is no timeout-minutes", id)
		}
		for _, s := range j.Steps {
			if strings.HasPrefix(s.Uses, "actions/checkout@") && s.With["persist-credentials"] != false {
				say("%s: the checkout leaves its token to all that follows: persist-credentials is not false", id)
			}
			if strings.Contains(s.Run, "${{") {
				say("%s: %q has an expression, which becomes part of the script: give it in env", id, s.Run)
			}
			for _, match := range makes.FindAllStringSubmatch(s.Run, -1) {
				if !slices.Contains(targets, match[1]) {
					say("%s: the Makefile has no target %s", id, match[1])
				}
			}
		}
	}
	return found
}

// Of each image that is released, people can verify who made it.
func TestEachReleasedImageIsAttested(t *testing.T) {
	var w workflow
	if err := yaml.Unmarshal([]byte(read(t, root+"/.github/workflows/release.yml")), &w); err != nil {
		t.Fatal(err)
	}
	images := released.FindAllStringSubmatch(read(t, root+"/Makefile"), -1)
	if len(images) != 3 {
		t.Errorf("%q are released; want the digests of three images", images)
	}
	for _, image := range images {
		with := map[string]any{
			"subject-name": "ghcr.io/mirrorset/" + image[1], "subject-digest": "${{ steps.digests.outputs." + image[1] + " }}", "push-to-registry": true,
		}
		if !slices.ContainsFunc(w.Jobs["publish"].Steps, func(s step) bool {
			return strings.HasPrefix(s.Uses, "actions/attest-build-provenance@") && maps.Equal(s.With, with)
		}) {
			t.Errorf("no step of publish attests %s by %v", image[1], with)
		}
	}
}

// What .ci/run has make check, the workflow of each change has it check too.
func TestEachChangeIsCheckedAsByTheScript(t *testing.T) {
	var w workflow
	if err := yaml.Unmarshal([]byte(read(t, root+"/.github/workflows/ci.yml")), &w); err != nil {
		t.Fatal(err)
	}
	made := map[string]bool{}
	for _, j := range w.Jobs {
		for _, s := range j.Steps {
			for _, match := range makes.FindAllStringSubmatch(s.Run, -1) {
				made[match[1]] = true
			}
			if strings.Contains(s.Run, `make "$TARGET"`) {
				for _, name := range j.Strategy.Matrix.Target {
					made[name] = true
				}
			}
		}
	}
	_, checks, _ := strings.Cut(read(t, root+"/Makefile"), "\n##@ Check\n")
	checks, _, _ = strings.Cut(checks, "\n##@ ")
	wanted := 0
	for _, match := range makes.FindAllStringSubmatch(read(t, root+"/.ci/run"), -1) {
		if !strings.Contains(checks, "\n"+match[1]+":") {
			continue
		}
		wanted++
		if !made[match[1]] {
			t.Errorf(".ci/run has make %s, and no job of ci.yml has", match[1])
		}
	}
	if wanted < 7 {
		t.Errorf(".ci/run makes only %d of the Makefile's targets that check", wanted)
	}
}

// makeTargets returns the targets of the Makefile.
func makeTargets(t *testing.T) []string {
	t.Helper()
	var names []string
	for _, match := range target.FindAllStringSubmatch(read(t, root+"/Makefile"), -1) {
		names = append(names, match[1])
	}
	return names
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestWorkflows(t *testing.T) {
	paths, err := filepath.Glob(root + "/.github/workflows/*")
	if err != nil {
		t.Fatal(err)
	}
	if len(paths) < 2 {
		t.Fatalf("there are only the workflows %q", paths)
	}
	for _, path := range paths {
		for _, problem := range problems(filepath.Base(path), read(t, path), makeTargets(t)) {
			t.Errorf("%s: %s", filepath.Base(path), problem)
		}
	}
}

func TestProblemsAreFound(t *testing.T) {
	const name = "release.yml"
	good := read(t, root+"/.github/workflows/"+name)
	pin := pinned.FindString(uses.FindString(good))
	commit, version, _ := strings.Cut(pin, " # ")
	for _, c := range []struct{ old, new, want string }{
		{pin, "    - uses: actions/checkout@v6", `"- uses: actions/checkout@v6" is not pinned by a full commit, with its version as a comment`},
		{pin, commit, `"` + strings.TrimSpace(commit) + `" is not pinned by a full commit, with its version as a comment`},
		{pin, commit[:len(commit)-1] + " # " + version, `"` + strings.TrimSpace(commit[:len(commit)-1]) + " # " + version + `" is not pinned by a full commit, with its version as a comment`},
		{"permissions: {}", "permissions:\n  contents: read", "permissions are not {}: each job is given its own"},
		{"permissions: {}", "", "permissions are not {}: each job is given its own"},
		{"concurrency:\n  group: release-${{ github.ref }}\n", "concurrency:\n", "there is no concurrency.group"},
		{"  push:", "  pull_request_target:\n  push:", "pull_request_target runs with rights on what others wrote"},
		{"github.token", "secrets.TOKEN", "there is a secret, beside the token of the run"},
		{"contents: read", "contents: write", "build: permissions are map[contents:write], want map[contents:read]"},
		{"    permissions:\n      contents: read\n", "", "build: permissions are map[], want map[contents:read]"},
		{"      packages: write # the images\n", "      packages: write # the images\n      actions: write\n",
			"publish: permissions are map[actions:write attestations:write contents:write id-token:write packages:write], " +
				"want map[attestations:write contents:write id-token:write packages:write]"},
		{"    timeout-minutes: 60\n", "", "build: there is no timeout-minutes"},
		{"persist-credentials: false", "persist-credentials: true",
			"build: the checkout leaves its token to all that follows: persist-credentials is not false"},
		{`"$GITHUB_REF_NAME"`, "${{ github.ref_name }}",
			`build: "make reproducible VERSION=${{ github.ref_name }}" has an expression, which becomes part of the script: give it in env`},
		{"make push", "make push-image", "publish: the Makefile has no target push-image"},
	} {
		broken := strings.Replace(good, c.old, c.new, 1)
		if got := problems(name, broken, makeTargets(t)); !slices.Contains(got, c.want) {
			t.Errorf("with %q in the place of %q, the problems are %q, without %q", c.new, c.old, got, c.want)
		}
	}
}
