// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package registriesconf_test

import (
	"bytes"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"github.com/mirrorset/mirrorset/internal/kinds"
	"github.com/mirrorset/mirrorset/internal/mirrors"
	"github.com/mirrorset/mirrorset/internal/registriesconf"
)

var update = flag.Bool("update", false, "write the golden files anew")

// insecurePrefix begins a first line that lists the insecure scopes of a case.
const insecurePrefix = "# insecure: "

// golden is one case of testdata: what is put in, and the files that say what comes out.
type golden struct {
	sets          []kinds.Set
	insecure      mirrors.Scopes
	out, findings string
}

func readGolden(t *testing.T, path string) golden {
	t.Helper()
	base := strings.TrimSuffix(path, ".in.yaml")
	g := golden{out: base + ".out.toml", findings: base + ".findings.txt"}
	text := string(readFile(t, path))
	if first, rest, _ := strings.Cut(text, "\n"); strings.HasPrefix(first, insecurePrefix) {
		scopes, err := mirrors.ParseScopes(strings.Split(first[len(insecurePrefix):], ", "))
		if err != nil {
			t.Fatal(err)
		}
		g.insecure, text = scopes, rest
	}
	for document := range strings.SplitSeq(text, "---\n") {
		set := decode(t, []byte(document))
		if want := set.Kind.GroupVersionKind(); set.GetObjectKind().GroupVersionKind() != want || set.GetName() == "" {
			t.Fatalf("%s: %s %q, want a named %s", path, set.GetObjectKind().GroupVersionKind(), set.GetName(), want)
		}
		g.sets = append(g.sets, set)
	}
	return g
}

// decode reads a set of either kind.
func decode(t *testing.T, document []byte) kinds.Set {
	t.Helper()
	var object metav1.TypeMeta
	if err := yaml.Unmarshal(document, &object); err != nil || kinds.Named(object.Kind) == nil {
		t.Fatalf("kind %s, error %v", object.Kind, err)
	}
	set, err := kinds.Named(object.Kind).Decode(func(into any) error { return yaml.UnmarshalStrict(document, into) })
	if err != nil {
		t.Fatal(err)
	}
	return set
}

func readFile(t *testing.T, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// compare holds what came out against a golden file, or writes that.
func compare(t *testing.T, path string, got []byte) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, got, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if want := readFile(t, path); !bytes.Equal(got, want) {
		t.Errorf("%s:\n got\n%s\n want\n%s", path, got, want)
	}
}

func findingLines(findings []mirrors.Finding) []byte {
	var lines bytes.Buffer
	for _, f := range findings {
		fmt.Fprintf(&lines, "%s: %s %s: %s\n", f.Reason, mirrors.Names(f.Entries), f.Path(), f.Message)
	}
	return lines.Bytes()
}

func TestSetsAreWrittenAsTheGoldenFilesSay(t *testing.T) {
	inputs, err := filepath.Glob(filepath.Join("testdata", "*.in.yaml"))
	if err != nil || len(inputs) == 0 {
		t.Fatalf("found no cases, error %v", err)
	}
	used := map[string]bool{filepath.Join("testdata", "fuzz"): true, filepath.Join("testdata", "rapid"): true} // of failed draws
	for _, path := range inputs {
		g := readGolden(t, path)
		used[path], used[g.out], used[g.findings] = true, true, true
		t.Run(strings.TrimSuffix(filepath.Base(path), ".in.yaml"), func(t *testing.T) { checkGolden(t, g) })
	}
	files, err := filepath.Glob(filepath.Join("testdata", "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		if !used[file] {
			t.Errorf("%s belongs to no case", file)
		}
	}
}

func checkGolden(t *testing.T, g golden) {
	result := kinds.Merge(g.sets, g.insecure)
	text, err := registriesconf.Encode(result.Rules)
	if err != nil {
		t.Fatal(err)
	}
	compare(t, g.out, text)
	compare(t, g.findings, findingLines(result.Findings))

	if err := newConsumer(t).load(text); err != nil {
		t.Errorf("the consumer refuses the text: %v", err)
	}
	decoded, err := registriesconf.Decode(text)
	if want := withoutProvenance(result.Rules); err != nil || !reflect.DeepEqual(decoded, want) {
		t.Errorf("decoded with error %v:\n got  %+v\n want %+v", err, decoded, want)
	}
	for range 50 {
		rand.Shuffle(len(g.sets), func(i, j int) { g.sets[i], g.sets[j] = g.sets[j], g.sets[i] })
		again, err := registriesconf.Encode(kinds.Merge(g.sets, g.insecure).Rules)
		if err != nil || !bytes.Equal(again, text) {
			t.Fatalf("another order of the objects gives other text, error %v:\n%s", err, again)
		}
	}
}
