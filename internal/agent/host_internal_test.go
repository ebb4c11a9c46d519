// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/go-logr/logr/funcr"

	configv1 "github.com/mirrorset/mirrorset/api/config/v1"
	"github.com/mirrorset/mirrorset/internal/hostfile"
	"github.com/mirrorset/mirrorset/internal/mirrors"
	"github.com/mirrorset/mirrorset/internal/payload"
	"github.com/mirrorset/mirrorset/internal/registriesconf"
)

const (
	etc    = "etc/containers/registries.conf.d/"
	usr    = "usr/share/containers/registries.conf.d/"
	first  = 1_800_000_000_000
	mirror = "mirror.local:5000/x"
)

// files are the content of files by their path below the host's root.
type files map[string]string

// newHost returns a node with these files, and its root directory.
func newHost(t *testing.T, have files) (n *node, root string, logged *strings.Builder) {
	t.Helper()
	root, logged = t.TempDir(), &strings.Builder{}
	for name, content := range have {
		write(t, root, name, content)
	}
	host, err := hostfile.Open(root)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = host.Close() })
	log := funcr.New(func(_, args string) { logged.WriteString(args + "\n") }, funcr.Options{})
	return newNode(host, log, Settings{CertsDir: "/etc/containerd/certs.d", ContainerdConfig: "/etc/containerd/config.toml"}), root, logged
}

func write(t *testing.T, root, name, content string) {
	t.Helper()
	name = filepath.Join(root, name)
	if err := errors.Join(os.MkdirAll(filepath.Dir(name), 0o755), os.WriteFile(name, []byte(content), 0o644)); err != nil {
		t.Fatal(err)
	}
}

func symlink(t *testing.T, target, root, name string) {
	t.Helper()
	name = filepath.Join(root, name)
	if err := errors.Join(os.MkdirAll(filepath.Dir(name), 0o755), os.Symlink(target, name)); err != nil {
		t.Fatal(err)
	}
}

// rules has one rule a source, as text does.
func rules(t *testing.T, sources ...string) []mirrors.Rule {
	t.Helper()
	decoded, err := registriesconf.Decode(text(t, sources...))
	if err != nil {
		t.Fatal(err)
	}
	return decoded
}

// wantDropIn checks our drop-in, where nil stands for no file.
func wantDropIn(t *testing.T, root string, want []byte) {
	t.Helper()
	got, err := os.ReadFile(filepath.Join(root, dropInPath))
	if errors.Is(err, fs.ErrNotExist) && want == nil {
		return
	}
	if err != nil || string(got) != string(want) {
		t.Errorf("the drop-in is %q (error %v), want %q", got, err, want)
	}
}

// text renders one rule a source, with one mirror each; a "!" before a source blocks it.
func text(t *testing.T, sources ...string) []byte {
	t.Helper()
	var set configv1.ImageDigestMirrorSet
	set.Name = "test"
	for _, source := range sources {
		source, blocked := strings.CutPrefix(source, "!")
		entry := configv1.ImageDigestMirrors{Source: source, Mirrors: []configv1.ImageMirror{mirror}}
		if blocked {
			entry.MirrorSourcePolicy = configv1.NeverContactSource
		}
		set.Spec.ImageDigestMirrors = append(set.Spec.ImageDigestMirrors, entry)
	}
	insecure, err := mirrors.ParseScopes([]string{"insecure.com"})
	if err != nil {
		t.Fatal(err)
	}
	encoded, err := registriesconf.Encode(mirrors.Merge(mirrors.Input{Sets: []configv1.ImageDigestMirrorSet{set}, Insecure: insecure}).Rules)
	if err != nil {
		t.Fatal(err)
	}
	return encoded
}

// sources are those in a drop-in.
func sources(t *testing.T, text []byte) []string {
	t.Helper()
	if text == nil {
		return nil
	}
	decoded, err := registriesconf.Decode(text)
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, rule := range decoded {
		found = append(found, rule.Source)
	}
	return found
}

// try runs the preflight of rules for these sources beside these files. Findings are about sources that are not in force, and
// about all else.
func try(t *testing.T, have files, wanted ...string) (kept []string, findings []string) {
	t.Helper()
	n, _, _ := newHost(t, have)
	a, err := decode(payload.New(first, text(t, wanted...)))
	if err != nil {
		t.Fatal(err)
	}
	c, err := preflight(n.host, a)
	if err != nil {
		t.Fatal(err)
	}
	kept = sources(t, c.text)
	if len(kept) != c.rules {
		t.Errorf("%d rules in the text, and %d said", len(kept), c.rules)
	}
	for _, p := range c.problems {
		findings = append(findings, fmt.Sprintf("%s %s: %s: %s", p.Effect, p.Reason, p.Message, p.Remedy))
	}
	for _, f := range c.findings {
		if len(f.Sources) == 0 {
			t.Errorf("%s is about no source: the node's status does not say it", f.Message)
		}
		findings = append(findings, "NotInForce "+string(f.Reason)+": "+f.Message)
	}
	return kept, findings
}

// wantTry checks the sources that are kept and the findings, of which each wanted one is the parts that must be in it.
func wantTry(t *testing.T, kept, findings, wantKept []string, wantFindings [][]string) {
	t.Helper()
	if !slices.Equal(kept, wantKept) {
		t.Errorf("kept %q, want %q", kept, wantKept)
	}
	if len(findings) != len(wantFindings) {
		t.Fatalf("findings %q, want %q", findings, wantFindings)
	}
	for i, parts := range wantFindings {
		for _, part := range parts {
			if !strings.Contains(findings[i], part) {
				t.Errorf("finding %q lacks %q", findings[i], part)
			}
		}
	}
}
