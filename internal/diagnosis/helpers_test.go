// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package diagnosis_test

import (
	"strings"
	"testing"
	"time"

	"github.com/mirrorset/mirrorset/internal/accesslog"
	"github.com/mirrorset/mirrorset/internal/diagnosis"
	"github.com/mirrorset/mirrorset/internal/kinds"
	"github.com/mirrorset/mirrorset/internal/mirrors"
)

const (
	digest   = "@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
	byDigest = "quay.io/team/app" + digest
	byTag    = "quay.io/team/app:1"
	// The mirrors of quay.io/team, as repositories.
	first, second = "first.example:5000/copy/app", "second.example/app"
)

// now is the time of the last attempt, as an event tells it.
var now = time.Date(2026, 11, 29, 18, 0, 50, 0, time.UTC)

func at(seconds int) time.Time { return now.Add(time.Duration(seconds) * time.Second) }

// refusal is what containerd makes of the redirector's.
func refusal(more string) string {
	return "failed to pull and unpack image \"" + byDigest + "\": failed to resolve reference \"" + byDigest + "\": unexpected status from HEAD request to " +
		"http://127.0.0.1:289/v2/_mirrorset/00112233445566778899aabbccddeeff/source/team/app/manifests/sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef?ns=quay.io: 403 Forbidden\n" +
		"denied: source quay.io/team is blocked by policy NeverContactSource of set 30-airgap" + more
}

// lost is what containerd says where all places said that they do not have it.
func lost(image string) string {
	return "failed to pull and unpack image \"" + image + "\": failed to resolve reference \"" + image + "\": " + image + ": not found"
}

// fails is a container whose image could not be pulled for this reason.
func fails(text string, changes ...func(*diagnosis.Case)) diagnosis.Case {
	c := diagnosis.Case{
		Namespace: "default", Installed: "mirrorset-system",
		Container: diagnosis.Container{Name: "app", Image: byDigest, Reason: "ImagePullBackOff"},
		Node:      diagnosis.Node{Name: "node-1", Runtime: "containerd", HasAgent: true, AppliedAt: at(-600)},
		Log:       diagnosis.Log{Since: at(-6000)},
	}
	for _, change := range changes {
		change(&c)
	}
	ref, err := mirrors.ParseReference(c.Container.Image)
	if err != nil {
		c.ImageError = err.Error()
	}
	c.Image = ref
	if c.Container.Message == "" && c.Container.Reason == "ImagePullBackOff" {
		c.Container.Message = `Back-off pulling image "` + c.Container.Image + `": ErrImagePull: ` + text
	}
	if c.Events == nil {
		c.Events = []diagnosis.Event{
			{Reason: "Pulling", Message: `Pulling image "` + c.Container.Image + `"`, At: at(-1)},
			{Reason: "Failed", Message: `Failed to pull image "` + c.Container.Image + `": ` + text, At: now, Warns: true},
		}
	}
	return c
}

// by has the rules be those of these sets, on the node too.
func by(t *testing.T, sets ...mirrors.Set) func(*diagnosis.Case) {
	return func(c *diagnosis.Case) { c.Sets = rules(t, c, sets...); c.InForce = c.Sets }
}

func rules(t *testing.T, c *diagnosis.Case, sets ...mirrors.Set) diagnosis.Rules {
	t.Helper()
	merged := mirrors.Merge(mirrors.Input{Sets: sets})
	ref, err := mirrors.ParseReference(c.Container.Image)
	if err != nil {
		return diagnosis.Rules{Known: true}
	}
	index := mirrors.NewIndex(merged.Rules)
	found := diagnosis.Rules{Known: true, Resolution: index.Resolve(ref)}
	if c.Node.Runtime == "CRI-O" {
		found.Resolution = index.ResolveByReaders(ref)
	}
	if found.Rule != nil && found.Blocked {
		found.BlockedBy = mirrors.Names(found.Rule.BlockedBy)
	}
	for _, rule := range merged.Rules {
		found.Beside = found.Beside || rule.Source.Host() == mirrors.Scope(ref.Name).Host()
	}
	return found
}

func image(name string) func(*diagnosis.Case) {
	return func(c *diagnosis.Case) { c.Container.Image = name }
}

// saw has the redirector have seen one pull of the image, that of the last attempt.
func saw(refusal string, tries ...accesslog.Tries) func(*diagnosis.Case) {
	return sawAt(0, "", refusal, tries...)
}

func sawAt(seconds int, image, refusal string, tries ...accesslog.Tries) func(*diagnosis.Case) {
	return func(c *diagnosis.Case) {
		if image == "" {
			image = c.Container.Image
		}
		c.Log.Pulls = append(c.Log.Pulls, accesslog.Pull{ID: uint64(len(c.Log.Pulls) + 1), Began: at(seconds - 1), Last: at(seconds), Image: image, Tries: tries, Refusal: refusal})
	}
}

// unseen has the log be one that cannot be read.
func unseen(c *diagnosis.Case) { c.Log = diagnosis.Log{Unknown: "you may not"} }

// crio has the node run CRI-O, whose pulls nobody sees.
func crio(c *diagnosis.Case) {
	c.Node.Runtime = "CRI-O"
	unseen(c)
}

func try(place string, outcome accesslog.Outcome, why string) accesslog.Tries {
	return accesslog.Tries{Place: place, Outcome: outcome, Requests: 2, Why: why}
}

func source(outcome accesslog.Outcome) accesslog.Tries {
	return accesslog.Tries{Place: "quay.io/team/app", Source: true, Outcome: outcome, Requests: 2}
}

// want checks the findings' causes, and that the first has all the texts in it and none that begins with !.
func want(t *testing.T, d diagnosis.Diagnosis, causes []diagnosis.Cause, texts ...string) {
	t.Helper()
	got := make([]diagnosis.Cause, len(d.Findings))
	for i, f := range d.Findings {
		got[i] = f.Cause
	}
	if len(got) != len(causes) || strings.Join(strs(got), " ") != strings.Join(strs(causes), " ") {
		t.Fatalf("found %v, want %v: %+v", got, causes, d.Findings)
	}
	all := d.Findings[0].Message + "\n" + d.Findings[0].Remedy
	for _, text := range texts {
		if without, ok := strings.CutPrefix(text, "!"); ok {
			if strings.Contains(all, without) {
				t.Errorf("%q is in %s", without, all)
			}
		} else if !strings.Contains(all, text) {
			t.Errorf("%q is not in %s", text, all)
		}
	}
}

func strs(causes []diagnosis.Cause) (all []string) {
	for _, c := range causes {
		all = append(all, string(c))
	}
	return all
}

// set is one about images by digest.
func set(name, source string, policy mirrors.Policy, places ...string) mirrors.Set {
	return mirrors.Set{Object: mirrors.Object{Kind: &kinds.Digest.Kind, Name: name}, Entries: []mirrors.SetEntry{{Source: source, Mirrors: places, Policy: policy}}}
}

// tagSet is one about images by tag.
func tagSet(name, source string, policy mirrors.Policy, places ...string) mirrors.Set {
	s := set(name, source, policy, places...)
	s.Kind = &kinds.Tag.Kind
	return s
}

// closed has two mirrors and a source that is blocked, and open two and one that is not.
var (
	closed = set("30-airgap", "quay.io/team", mirrors.NeverContactSource, "first.example:5000/copy", "second.example")
	open   = set("20-global", "quay.io/team", "", "first.example:5000/copy", "second.example")
)
