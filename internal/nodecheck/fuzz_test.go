// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package nodecheck_test

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"testing/fstest"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/mirrorset/mirrorset/internal/nodecheck"
)

// checkReport checks everything that readers of a report rely on.
func checkReport(t *testing.T, r nodecheck.Report) {
	t.Helper()
	for _, p := range r.Problems {
		if p.Reason == "" || p.Runtime == "" || p.Remedy == "" || p.Message == "" {
			t.Errorf("something is missing in %+v", p)
		}
		if utf8.RuneCountInString(p.Message) > 1500 || strings.ContainsFunc(p.Message, func(r rune) bool { return !unicode.IsPrint(r) }) {
			t.Errorf("the message is not for one line: %q", p.Message)
		}
		if utf8.RuneCountInString(p.Remedy) > 3000 || !utf8.ValidString(p.Remedy) {
			t.Errorf("the remedy is not for people: %q", p.Remedy)
		}
		if !strings.Contains(p.Remedy, "restart") {
			t.Errorf("the remedy has no command: %q", p.Remedy)
		}
	}
}

// FuzzCheck is about files that somebody else wrote.
func FuzzCheck(f *testing.F) {
	paths, err := filepath.Glob(filepath.Join("testdata", "*.in.txt"))
	if err != nil || len(paths) == 0 {
		f.Fatalf("found no cases, error %v", err)
	}
	for _, path := range paths {
		data, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		parts := strings.Split("\n"+string(data), "\n-- ")[1:]
		files := make([][]byte, 2)
		for i := range min(len(parts), len(files)) {
			_, text, _ := strings.Cut(parts[i], " --\n")
			files[i] = []byte(text + "\n")
		}
		f.Add(files[0], files[1], []byte(follows), "containerd://2.1.0", "/etc/containerd/certs.d")
	}
	f.Add([]byte("imports = [\"*/*\"]"), []byte("imports = [\"../*\", \"\\u0000\", \"\\ud7ff*[\"]"), []byte("[crio.image]\nauto_reload_registries = false\n"), "", "/var/snap/a/1/b")
	f.Fuzz(func(t *testing.T, config, imported, crio []byte, version, certs string) {
		if len(certs) > 200 || strings.ContainsFunc(certs, func(r rune) bool { return r == utf8.RuneError || !unicode.IsPrint(r) }) {
			return // it is the administrator's, and printed in full
		}
		node := nodecheck.Node{
			Root: fstest.MapFS{
				main:                           {Data: config},
				"etc/containerd/a.toml":        {Data: imported},
				"etc/containerd/conf.d/b.toml": {Data: imported},
				crioMain:                       {Data: crio},
				"etc/crio/crio.conf.d/a":       {Data: imported},
			},
			RuntimeVersion: version, CertsDir: certs,
			Booted: time.Unix(1, 0), DropInsBorn: time.Unix(2, 0), CRIOStarted: time.Unix(3, 0), ContainerdStarted: time.Unix(4, 0),
		}
		r := nodecheck.Check(node)
		checkReport(t, r)
		if again := nodecheck.Check(node); !reflect.DeepEqual(again, r) {
			t.Errorf("got\n%+v\nand then\n%+v", r, again)
		}
	})
}
