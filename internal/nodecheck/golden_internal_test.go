// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package nodecheck

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
)

var update = flag.Bool("update", false, "write the golden files anew")

// configuration is one case: containerd's files, and how programs of containerd read them.
type configuration struct {
	files    fstest.MapFS
	measured map[string]string // by version
}

// readConfiguration reads a case: lines with a result and the versions that had it, then the files.
func readConfiguration(t *testing.T, path string) configuration {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	c := configuration{files: fstest.MapFS{}, measured: map[string]string{}}
	parts := strings.Split("\n"+string(data), "\n-- ")
	for line := range strings.Lines(strings.TrimPrefix(parts[0], "\n")) {
		result, versions, ok := strings.Cut(line, ": ")
		if !ok {
			t.Fatalf("%s: what is %q?", path, line)
		}
		for _, version := range strings.Fields(versions) {
			c.measured[version] = result
		}
	}
	for _, part := range parts[1:] {
		name, text, ok := strings.Cut(part, " --\n")
		if !ok {
			t.Fatalf("%s: what is %q?", path, part)
		}
		c.files[name] = &fstest.MapFile{Data: []byte(text + "\n")}
	}
	return c
}

// configurations returns the paths of all cases, by name.
func configurations(t *testing.T) map[string]string {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join("testdata", "*.in.txt"))
	if err != nil || len(paths) == 0 {
		t.Fatalf("found no cases, error %v", err)
	}
	all := make(map[string]string)
	for _, path := range paths {
		all[strings.TrimSuffix(filepath.Base(path), ".in.txt")] = path
	}
	return all
}

// reading is our result for one containerd in a case. test/cluster/runtime compares the last one with the real containerd.
type reading struct {
	Since      string `json:"since"`
	Refused    string `json:"refused,omitempty"`
	Disabled   bool   `json:"disabled,omitempty"`
	ConfigPath string `json:"configPath,omitempty"`
	Conflict   bool   `json:"conflict,omitempty"`
	Local      bool   `json:"local,omitempty"`
	Transfer   string `json:"transfer,omitempty"`
	Reads      bool   `json:"reads,omitempty"`
}

func readings(files fstest.MapFS) (all []reading) {
	c := newContainerdCheck(Node{Root: files, ContainerdConfig: DefaultContainerdConfig, CertsDir: DefaultCertsDir}, &Report{})
	l := c.load()
	for _, d := range dialects {
		s, err := d.read(l.files)
		if err != nil {
			all = append(all, reading{Since: d.label(), Refused: err.Error()})
			continue
		}
		v := c.judgeOne(&d, &s)
		all = append(all, reading{
			Since: d.label(), Disabled: s.disabled, ConfigPath: s.configPath(&d), Conflict: v.reason == ContainerdRegistryConflict,
			Local: d.local(&s.pull), Transfer: s.transfer, Reads: v.effect == Mild,
		})
	}
	return all
}

func TestConfigurationsAreJudgedAsTheGoldenFilesSay(t *testing.T) {
	used := map[string]bool{"fuzz": true}
	for name, path := range configurations(t) {
		out := filepath.Join("testdata", name+".out.json")
		used[filepath.Base(path)], used[filepath.Base(out)] = true, true
		t.Run(name, func(t *testing.T) {
			c := readConfiguration(t, path)
			golden := struct {
				Readings []reading `json:"readings,omitempty"`
				Report   Report    `json:"report"`
			}{Report: Check(Node{Root: c.files, RuntimeVersion: "containerd://"})}
			if c.files[DefaultContainerdConfig] != nil {
				golden.Readings = readings(c.files)
			}
			var got bytes.Buffer
			encoder := json.NewEncoder(&got)
			encoder.SetEscapeHTML(false)
			encoder.SetIndent("", "  ")
			if err := encoder.Encode(golden); err != nil {
				t.Fatal(err)
			}
			if *update {
				if err := os.WriteFile(out, got.Bytes(), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(out)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got.Bytes(), want) {
				t.Errorf("got\n%s\nwant\n%s", got.Bytes(), want)
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

// TestWeSayWhatWasMeasured is about what programs of containerd did with each case: built from their Go modules, started with
// these files, and asked by the kubelet's interface for an image whose registry had a hosts.toml that names a mirror. Either
// the mirror was asked ("read"), or only the registry ("ignored"), or there was no such interface, or no containerd.
func TestWeSayWhatWasMeasured(t *testing.T) {
	versions := make(map[string]bool)
	for name, path := range configurations(t) {
		c := readConfiguration(t, path)
		for version, measured := range c.measured {
			versions[version] = true
			report := Check(Node{Root: c.files, RuntimeVersion: "containerd://" + version})
			said := "read"
			for _, p := range report.Problems {
				switch {
				case p.Reason == ContainerdConfigRefused, p.Reason == ContainerdConfigUnreadable, p.Reason == ContainerdImportUnseen:
					said = "does not start"
				case said == "does not start" || p.Effect == Mild:
				case p.Reason == ContainerdCRIDisabled, p.Reason == ContainerdRegistryConflict:
					said = "no CRI"
				default:
					said = "ignored"
				}
			}
			if said != measured {
				t.Errorf("%s: containerd %s: we say %q, it was %q: %+v", name, version, said, measured, report.Problems)
			}
			if effect := report.Effect(Containerd); (effect == Mild) != (measured == "read") {
				t.Errorf("%s: containerd %s: the effect is %v, it was %q", name, version, effect, measured)
			}
		}
	}
	if len(versions) < 9 {
		t.Errorf("measured with too few versions: %v", versions)
	}
}

// TestWithoutAVersionWeSayWhatHoldsForAll: a verdict that some of the versions do not share is none.
func TestWithoutAVersionWeSayWhatHoldsForAll(t *testing.T) {
	for name, path := range configurations(t) {
		c := readConfiguration(t, path)
		var measured []string
		for _, result := range c.measured {
			if result != "does not start" { // then it is not that version
				measured = append(measured, result)
			}
		}
		if len(measured) == 0 {
			continue
		}
		effect := Check(Node{Root: c.files, RuntimeVersion: "containerd://"}).Effect(Containerd)
		read := slices.Contains(measured, "read")
		switch unread := slices.ContainsFunc(measured, func(result string) bool { return result != "read" }); {
		case read && unread && effect != Unsure, read && !unread && effect != Mild, !read && effect != Unread:
			t.Errorf("%s: the effect is %v, for %v", name, effect, measured)
		}
	}
}

// TestWithTheLinesOfTheRemedyContainerdReads: they are all that a configuration needs.
func TestWithTheLinesOfTheRemedyContainerdReads(t *testing.T) {
	tried := 0
	for name, path := range configurations(t) {
		for _, p := range Check(Node{Root: readConfiguration(t, path).files, RuntimeVersion: "containerd://"}).Problems {
			parts := strings.Split(p.Remedy, "\n\n")
			if p.Reason == ContainerdTransferDiffers || len(parts) < 3 {
				continue
			}
			tried++
			text := parts[1]
			if !strings.Contains(text, "version = ") {
				version := "version = 3\n"
				if strings.Contains(text, criName2) {
					version = "version = 2\n"
				}
				text = version + text
			}
			mended := Check(Node{Root: fstest.MapFS{DefaultContainerdConfig: {Data: []byte(text)}}})
			if len(mended.Problems) > 0 {
				t.Errorf("%s: with\n%s\nthere are still %+v", name, text, mended.Problems)
			}
		}
	}
	if tried < 20 {
		t.Errorf("tried %d remedies only", tried)
	}
}
