// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package check

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mirrorset/mirrorset/internal/plugin/plugintest"
)

// checked runs "check -o json", and returns what it says of its one image, as "result result ... => origin".
func checked(t *testing.T, manifest, image string, insecure ...string) (summary string, messages string, code int) {
	t.Helper()
	args := []string{"check", "-f", "-", "-o", "json", "--registry-timeout=300ms", image}
	for _, scope := range insecure {
		args = append(args, "--insecure-registry", scope)
	}
	r := run(t, manifest, args...)
	got := decode(t, r.Stdout)
	for _, p := range got.Places {
		messages += p.Message + "\n"
	}
	return got.summary(), messages, r.Code
}

// decode returns the one image that check was asked about.
func decode(t *testing.T, stdout string) *checkedImage {
	t.Helper()
	var got struct{ Images []checkedImage }
	if err := json.Unmarshal([]byte(stdout), &got); err != nil || len(got.Images) != 1 {
		t.Fatalf("%v; stdout %q", err, stdout)
	}
	return &got.Images[0]
}

// summary is "result result ... => origin".
func (i *checkedImage) summary() (text string) {
	for _, p := range i.Places {
		text += string(p.Result) + " "
	}
	return text + "=> " + string(i.From)
}

func TestMirrorsAreAskedWhetherTheyHaveAnImage(t *testing.T) {
	plugintest.Isolate(t)
	full, empty, hanging, lying := plugintest.NewMirror(t), plugintest.NewMirror(t), plugintest.NewMirror(t), plugintest.NewMirror(t)
	digest := full.Push(t, "q/app")
	hanging.Answers(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	lying.Answers(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/vnd.oci.image.manifest.v1+json")
		w.Header().Set("Docker-Content-Digest", "sha256:"+strings.Repeat("0", 64))
		_, _ = io.WriteString(w, "{}") // the client says so
	})
	gone := "127.0.0.1:1"
	all := []string{full.Host, empty.Host, hanging.Host, lying.Host, gone}
	at := func(hosts ...string) (locations []string) {
		for _, host := range hosts {
			locations = append(locations, host+"/q")
		}
		return locations
	}
	image := "quay.io/app@" + digest
	for _, tt := range []struct {
		name, manifest, image string
		insecure              []string
		want, message         string
		code                  int
	}{
		{"the first has it", plugintest.Set("a", "quay.io", at(full.Host, empty.Host)...), image, all, "OK Missing NotAsked => Mirror", "", 0},
		{"the second has it", plugintest.Set("a", "quay.io", at(empty.Host, full.Host)...), image, all, "Missing OK NotAsked => Mirror", "", 0},
		{"none has it", plugintest.Set("a", "quay.io", at(empty.Host)...), image, all, "Missing NotAsked => Source", "", 1},
		{"none has it, and the source is blocked", plugintest.Never("a", "quay.io", at(empty.Host)...), image, all, "Missing => Nowhere", "", 1},
		{"the source comes before the one that has it", plugintest.Set("a", "quay.io", empty.Host+"/q", "quay.io", full.Host+"/q"), image, all, "Missing NotAsked OK NotAsked => Source", "", 1},
		{"one hangs", plugintest.Never("a", "quay.io", at(hanging.Host)...), image, all, "Error => Nowhere", "\nno answer within 300ms\n", 1},
		{"one hangs, and the next has it", plugintest.Never("a", "quay.io", at(hanging.Host, full.Host)...), image, all, "Error OK => Mirror", "\nno answer within 300ms\n", 0},
		{"one has something else", plugintest.Never("a", "quay.io", at(lying.Host)...), image, all, "Error => Nowhere", "does not match requested digest", 1},
		{"one is not there", plugintest.Never("a", "quay.io", at(gone)...), image, all, "Error => Nowhere", "connection refused", 1},
		{"plain HTTP was not allowed", plugintest.Never("a", "quay.io", at(full.Host)...), image, nil, "Error => Nowhere", "", 1},
		{"the image is named by tag", plugintest.Set("a", "quay.io", at(full.Host)...), "quay.io/app:latest", all, "NotAsked => Source", "", 1},
		{"the image is named by tag, and blocked", plugintest.Never("a", "quay.io", at(full.Host)...), "quay.io/app:latest", all, "=> Nowhere", "", 1},
		{"no source matches", plugintest.Never("a", "quay.io", at(full.Host)...), "ghcr.io/app@" + digest, all, "NotAsked => Source", "", 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			summary, messages, code := checked(t, tt.manifest, tt.image, tt.insecure...)
			if summary != tt.want || code != tt.code || !strings.Contains("\n"+messages, tt.message) {
				t.Errorf("%q, exit code %d, messages %q; want %q, %d, %q", summary, code, messages, tt.want, tt.code, tt.message)
			}
		})
	}
}

func TestEachImageIsOneRowAPlace(t *testing.T) {
	plugintest.Isolate(t)
	m := plugintest.NewMirror(t)
	there := m.Push(t, "q/app")
	missing := "sha256:" + strings.Repeat("f", 64)
	file := filepath.Join(t.TempDir(), "images")
	if err := os.WriteFile(file, []byte("\ufeff# what we ship\n\n  quay.io/app@"+missing+"\nquay.io/app@"+there+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	manifest := plugintest.Never("a", "quay.io", m.Host+"/q")
	r := run(t, manifest, "check", "-f", "-", "--insecure-registry", m.Host, "--images", file, "quay.io/app@"+there, "quay.io/app:v1")
	rows := []string{"quay.io/app:v1|<none>|Refused|source \"quay.io\" is blocked by a, and no set names a mirror for its tags", "quay.io/app@" + there[:19] + "|" + m.Host + "/q/app@" + there[:19] + "|OK|<none>", "quay.io/app@" + missing[:19] + "|" + m.Host + "/q/app@" + missing[:19] + "|Missing|<none>"}
	if rows[1] > rows[2] {
		t.Fatal("digests begin with fewer than 64 f")
	}
	if got := columns(r.Stdout); got != "IMAGE|PULL SOURCE|RESULT|MESSAGE\n"+strings.Join(rows, "\n")+"\n" {
		t.Errorf("stdout:\n%s", got)
	}
	if r.Code != 1 || !strings.HasPrefix(r.Stderr, "warning: BlocksTagPulls: a: ") || !strings.HasSuffix(r.Stderr, "so every pull by tag fails\n1 of 3 images come from a mirror, 0 from the source, 2 from nowhere.\n") {
		t.Errorf("exit code %d, stderr %q", r.Code, r.Stderr)
	}
	if m.Asked.Load() != 2 {
		t.Errorf("the mirror was asked %d times about 2 images", m.Asked.Load())
	}
}

func TestAWideTableHasWholeDigests(t *testing.T) {
	image := "quay.io/app@sha256:" + strings.Repeat("f", 64)
	r := run(t, plugintest.Set("a", "s.com", "m.local/s"), "check", "-f", "-", "-o", "wide", image)
	if got := columns(r.Stdout); got != "IMAGE|PULL SOURCE|RESULT|MESSAGE\n"+image+"|"+image+"|NotAsked|<none>\n" {
		t.Errorf("stdout:\n%s", got)
	}
}

func TestAPlaceOfTwoImagesIsAskedOnce(t *testing.T) {
	plugintest.Isolate(t)
	m := plugintest.NewMirror(t)
	digest := m.Push(t, "all/app")
	manifest := plugintest.Never("a", "quay.io", m.Host+"/all") + "  - source: ghcr.io\n    mirrors: [" + m.Host + "/all]\n"
	r := run(t, manifest, "check", "-f", "-", "--insecure-registry", m.Host, "quay.io/app@"+digest, "ghcr.io/app@"+digest)
	if r.Code != 0 || m.Asked.Load() != 1 {
		t.Errorf("exit code %d, asked %d times; stdout:\n%s", r.Code, m.Asked.Load(), r.Stdout)
	}
}

// columns has one character between the columns of a table.
func columns(text string) (lines string) {
	for line := range strings.Lines(text) {
		var cells []string
		for cell := range strings.SplitSeq(strings.TrimSpace(line), "   ") {
			if cell = strings.TrimSpace(cell); cell != "" {
				cells = append(cells, cell)
			}
		}
		lines += strings.Join(cells, "|") + "\n"
	}
	return lines
}

func TestNoMoreRequestsAreMadeAtATimeThanAllowed(t *testing.T) {
	plugintest.Isolate(t)
	m := plugintest.NewMirror(t)
	var now, most atomic.Int32
	m.Answers(func(w http.ResponseWriter, _ *http.Request) {
		if n := now.Add(1); n > most.Load() {
			most.Store(n)
		}
		time.Sleep(20 * time.Millisecond)
		now.Add(-1)
		w.WriteHeader(http.StatusNotFound)
	})
	args := []string{"check", "-f", "-", "--insecure-registry", m.Host, "--parallel=3"}
	for i := range 12 {
		args = append(args, fmt.Sprintf("quay.io/app@sha256:%064d", i))
	}
	r := run(t, plugintest.Never("a", "quay.io", m.Host+"/q"), args...)
	if r.Code != 1 || m.Asked.Load() != 12 || most.Load() != 3 {
		t.Errorf("exit code %d, asked %d times, %d at a time", r.Code, m.Asked.Load(), most.Load())
	}
}

func TestWhyAMirrorIsNotAskedIsTold(t *testing.T) {
	image := "quay.io/app@sha256:" + strings.Repeat("f", 64)
	r := run(t, plugintest.Set("a", "quay.io", "mirror"), "check", "-f", "-", image)
	if r.Code != 1 || !strings.HasPrefix(r.Stderr, "warning: InvalidMirror: a: spec.imageDigestMirrors[0]: source \"quay.io\": mirrors[0] \"mirror\" is ignored: ") {
		t.Errorf("exit code %d, stderr %q", r.Code, r.Stderr)
	}
	r = run(t, plugintest.Never("a", "quay.io", "m.local/q")+"  - source: ghcr.io\n    mirrors: [m.local]\n    mirrorSourcePolicy: NeverContactSource\n", "check", "-f", "-", "quay.io/app:v1")
	if strings.Count(r.Stderr, "warning: ") != 1 || !strings.HasPrefix(r.Stderr, "warning: BlocksTagPulls: a: spec.imageDigestMirrors[0]: ") {
		t.Errorf("stderr %q", r.Stderr)
	}
}

func TestWhatCannotBeCheckedIsAnError(t *testing.T) {
	manifest := plugintest.Set("a", "quay.io", "m.local/q")
	long := filepath.Join(t.TempDir(), "long")
	plugintest.WriteFile(t, long, "\n"+strings.Repeat("a", 70000)+"\n", 0o600)
	kustomization := t.TempDir()
	plugintest.WriteFile(t, filepath.Join(kustomization, "kustomization.yaml"), "resources: [set.yaml]\n", 0o600)
	plugintest.WriteFile(t, filepath.Join(kustomization, "set.yaml"), manifest, 0o600)
	for _, tt := range []struct {
		want string
		args []string
	}{
		{"there is no image to check", []string{"-f", "-"}},
		{"there is no image to check: the cluster has no Pods", []string{"-f", "-", "--pods", "--server", plugintest.Serve(t, served(t, nil))}},
		{`image "UPPER"`, []string{"-f", "-", "UPPER"}},
		{"none: no such file or directory", []string{"-f", "-", "--images", "none"}},
		{long + ": line 2: the line has more than 65536 characters", []string{"-f", "-", "--images", long}},
		{"-f and --images cannot both read standard input", []string{"-f", "-", "--images", "-"}},
		{"--what-if: name the sets to try with -f or -k", []string{"--what-if", "a"}},
		{"--what-if needs a cluster, to add the sets of -f to its sets: ", []string{"--what-if", "-k", kustomization, "a", "--server", plugintest.Serve(t, nil)}},
		{"--what-if needs a cluster, to add the sets of -f to its sets: ", []string{"--what-if", "-f", "-", "a", "--server", plugintest.Serve(t, nil)}},
		{`--platform "linux/amd64/v1/x/y": the value must be OS/ARCH or OS/ARCH/VARIANT`, []string{"-f", "-", "--platform", "linux/amd64/v1/x/y", "a"}},
		{"--ca-file none: no such file or directory", []string{"-f", "-", "--ca-file", "none", "a"}},
		{"--authfile none: no such file or directory", []string{"-f", "-", "--authfile", "none", "a"}},
		{`invalid argument "x" for "--parallel" flag: the value must be a whole number, not "x"`, []string{"-f", "-", "--parallel=x", "a"}},
		{`invalid argument "maybe" for "--layers" flag: the value must be true or false, not "maybe"`, []string{"-f", "-", "--layers=maybe", "a"}},
		{"--parallel 0: the value must be 1 or more", []string{"-f", "-", "--parallel=0", "a"}},
		{"--registry-timeout 0s: the value must be more than 0", []string{"-f", "-", "--registry-timeout=0s", "a"}},
		{"--registry-timeout -1s: the value must be more than 0", []string{"-f", "-", "--registry-timeout=-1s", "a"}},
		{`--output "name": the value must be one of table, wide, json, yaml`, []string{"-f", "-", "-o", "name", "a"}},
		{`--insecure-registry: scope "http://m"`, []string{"-f", "-", "--insecure-registry", "http://m", "a"}},
		{"the sets could not be read from the cluster; to read them from files, use -f: the API server does not serve imagedigestmirrorsets.config.openshift.io", []string{"--server", plugintest.Serve(t, nil), "a"}},
	} {
		r := run(t, manifest, append([]string{"check"}, tt.args...)...)
		if r.Code != 2 || r.Stdout != "" || !strings.HasPrefix(r.Stderr, "error: "+tt.want) {
			t.Errorf("%q: exit code %d, stdout %q, stderr %q", tt.args, r.Code, r.Stdout, r.Stderr)
		}
	}
}

// run runs the verb as the program does.
func run(t *testing.T, stdin string, args ...string) plugintest.Result {
	t.Helper()
	return plugintest.Run(t, plugintest.Program(Command()), stdin, args...)
}
