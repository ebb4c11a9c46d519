// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package manifests_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mirrorset/mirrorset/internal/kinds"
	"github.com/mirrorset/mirrorset/internal/plugin/manifests"
	"github.com/mirrorset/mirrorset/internal/registriesconf"
)

// FuzzManifests holds that any input is either an error that says where, or sets that can be merged and rendered.
func FuzzManifests(f *testing.F) {
	seeds, err := filepath.Glob("../../../config/samples/*.yaml")
	if err != nil || len(seeds) == 0 {
		f.Fatal(seeds, err)
	}
	for _, seed := range seeds {
		data, err := os.ReadFile(seed)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(data))
		f.Add("\uFEFF---\r\n" + strings.ReplaceAll(string(data), "\n", "\r\n") + "...\r\n---\r\n# x\r\n")
		f.Add(string(data) + "---\n" + string(data))
		f.Add("apiVersion: v1\nkind: List\nitems:\n- " + strings.ReplaceAll(string(data), "\n", "\n  "))
	}
	f.Add(`{"apiVersion":"config.openshift.io/v1","kind":"ImageDigestMirrorSetList","items":[{"metadata":{"name":"a"},"spec":{}},null]}`)
	f.Add("a: &a [x]\nb: *a\n<<: {c: d}\n")
	f.Fuzz(func(t *testing.T, text string) {
		m, err := manifests.Read([]string{"-"}, strings.NewReader(text))
		if err != nil {
			if m != nil || !strings.HasPrefix(err.Error(), "standard input: document ") {
				t.Fatalf("manifests %v, error %v", m, err)
			}
			return
		}
		named := make(map[string]bool) // with their kinds
		for i := range m.Sets {
			if name := m.Sets[i].Ref().Arg(); m.Sets[i].GetName() == "" || named[name] {
				t.Fatalf("set %d is called %q", i, name)
			}
			named[m.Sets[i].Ref().Arg()] = true
		}
		conf, err := registriesconf.Encode(kinds.Merge(m.Sets, nil).Rules)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := registriesconf.Decode(conf); err != nil {
			t.Fatalf("%v in:\n%s", err, conf)
		}
	})
}
