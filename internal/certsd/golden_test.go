// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package certsd_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	configv1 "github.com/mirrorset/mirrorset/api/config/v1"
	"github.com/mirrorset/mirrorset/internal/certsd"
	"github.com/mirrorset/mirrorset/internal/kinds"
	"github.com/mirrorset/mirrorset/internal/mirrors"
	"github.com/mirrorset/mirrorset/internal/mirrors/mirrorstest"
)

var update = flag.Bool("update", false, "write the golden files anew")

// insecurePrefix begins a first line that lists the insecure scopes of a case.
const insecurePrefix = "# insecure: "

// input is what rules are made of.
type input struct {
	sets     []configv1.ImageDigestMirrorSet
	tags     []configv1.ImageTagMirrorSet
	insecure mirrors.Scopes
}

func (in input) rules(t interface{ Fatal(...any) }) []mirrors.Rule {
	sets, err := mirrorstest.Of(in.sets...)
	if err != nil {
		t.Fatal(err)
	}
	tags, err := kinds.Tag.FromList(&configv1.ImageTagMirrorSetList{Items: in.tags})
	if err != nil {
		t.Fatal(err)
	}
	return kinds.Merge(append(sets, tags...), in.insecure).Rules
}

func readInput(t *testing.T, path string) input {
	t.Helper()
	text, in := string(readFile(t, path)), input{}
	if first, rest, _ := strings.Cut(text, "\n"); strings.HasPrefix(first, insecurePrefix) {
		in.insecure, text = parseScopes(t, strings.Split(first[len(insecurePrefix):], ", ")), rest
	}
	for document := range strings.SplitSeq(text, "---\n") {
		var set configv1.ImageDigestMirrorSet
		var tags configv1.ImageTagMirrorSet
		if err := yaml.UnmarshalStrict([]byte(document), &set); err == nil {
			in.sets = append(in.sets, set)
		} else if err := yaml.UnmarshalStrict([]byte(document), &tags); err == nil {
			in.tags = append(in.tags, tags)
		} else {
			t.Fatal(err)
		}
	}
	return in
}

func readFile(t testing.TB, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// contents returns the intended files of a case's folder, by path: the tree in certs.d, with the files that close a registry for now; pending.txt;
// and hosts.json. The latter is the tree as containerd reads it, which test/cluster/runtime compares with the real containerd.
func contents(t *testing.T, tree certsd.Tree) map[string][]byte {
	t.Helper()
	all, read := make(map[string][]byte), make(map[string][]certsd.Endpoint)
	files := tree.Files
	for _, p := range tree.Pending {
		if p.Instead != nil {
			files = append(files, *p.Instead)
		}
	}
	for _, f := range files {
		all[filepath.Join("certs.d", f.Path)] = f.Content
		read[f.Host] = parse(t, f.Host, f.Content)
	}
	hosts, err := json.MarshalIndent(read, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	all["hosts.json"] = append(hosts, '\n')
	var pending bytes.Buffer
	for _, p := range tree.Pending {
		fmt.Fprintf(&pending, "%s: blocked %t: %s\n", p.Host, p.Blocked, p.Reason)
	}
	all["pending.txt"] = pending.Bytes()
	return all
}

func readTree(t *testing.T, root string) map[string][]byte {
	t.Helper()
	all := make(map[string][]byte)
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		name, err := filepath.Rel(root, path)
		all[name] = readFile(t, path)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func writeTree(t *testing.T, root string, files map[string][]byte) {
	t.Helper()
	if err := os.RemoveAll(root); err != nil {
		t.Fatal(err)
	}
	for name, data := range files {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func TestSetsAreWrittenAsTheGoldenTreesSay(t *testing.T) {
	inputs, err := filepath.Glob(filepath.Join("testdata", "*.in.yaml"))
	if err != nil || len(inputs) == 0 {
		t.Fatalf("found no cases, error %v", err)
	}
	used := map[string]bool{"refused": true, "fuzz": true, "rapid": true} // not cases
	for _, path := range inputs {
		name := strings.TrimSuffix(filepath.Base(path), ".in.yaml")
		used[name+".in.yaml"], used[name+".out"] = true, true
		t.Run(name, func(t *testing.T) {
			in, out := readInput(t, path), filepath.Join("testdata", name+".out")
			node := certsd.Node{Redirector: redirector}
			if name == "no-redirector" {
				node.Redirector = ""
			}
			tree := certsd.Project(in.rules(t), node)
			got := contents(t, tree)
			if *update {
				writeTree(t, out, got)
			}
			want := readTree(t, out)
			for file := range want {
				if _, ok := got[file]; !ok {
					t.Errorf("%s is not written", file)
				}
			}
			for file, text := range got {
				if !bytes.Equal(text, want[file]) {
					t.Errorf("%s:\n got\n%s\n want\n%s", file, text, want[file])
				}
			}
		})
	}
	entries, err := os.ReadDir("testdata")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if !used[e.Name()] {
			t.Errorf("testdata/%s belongs to no case", e.Name())
		}
	}
}

func TestTheTreeDoesNotDependOnTheOrderOfRules(t *testing.T) {
	inputs, err := filepath.Glob(filepath.Join("testdata", "*.in.yaml"))
	if err != nil || len(inputs) == 0 {
		t.Fatalf("found no cases, error %v", err)
	}
	var in input
	for _, path := range inputs {
		in.sets = append(in.sets, readInput(t, path).sets...)
	}
	rules := in.rules(t)
	want := certsd.Project(rules, certsd.Node{Redirector: redirector})
	if len(want.Files) < 10 || len(want.Pending) < 1 {
		t.Fatalf("there is too little to order: %d files, %d pending", len(want.Files), len(want.Pending))
	}
	for range 100 {
		rand.Shuffle(len(rules), func(i, j int) { rules[i], rules[j] = rules[j], rules[i] })
		if got := certsd.Project(rules, certsd.Node{Redirector: redirector}); !reflect.DeepEqual(got, want) {
			t.Fatalf("got  %q\nwant %q", describe(t, got), describe(t, want))
		}
	}
}
