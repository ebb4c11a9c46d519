// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package controlplane_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha512"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
)

const root = "../.."

var programs = []string{"etcd", "kube-apiserver", "kubectl"}

// pinned returns the version of Kubernetes that test/cluster/kubernetes/go.mod pins, and its minor version.
func pinned(t *testing.T) (version, minor string) {
	t.Helper()
	mod, err := os.ReadFile(root + "/test/cluster/kubernetes/go.mod")
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile(`\bk8s\.io/kubernetes ((v\d+\.\d+)\.\d+)\b`).FindSubmatch(mod)
	if found == nil {
		t.Fatal("test/cluster/kubernetes/go.mod pins no k8s.io/kubernetes")
	}
	return string(found[1]), string(found[2])
}

// mirror serves an index for setup-envtest, and one archive of programs.
type mirror struct {
	*httptest.Server

	archive  []byte
	requests atomic.Int32
}

// newMirror has an archive for each of the versions. Their checksum in the index is the given one, or the right one where that is "".
// Answer can answer a request first.
func newMirror(t *testing.T, checksum string, answer func(*mirror, http.ResponseWriter, *http.Request) bool, versions ...string) *mirror {
	t.Helper()
	m := &mirror{}
	index := "releases:\n"
	m.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		m.requests.Add(1)
		switch {
		case answer != nil && answer(m, w, r):
		case r.URL.Path == "/index.yaml":
			_, _ = w.Write([]byte(index))
		default:
			_, _ = w.Write(m.archive)
		}
	}))
	t.Cleanup(m.Close)
	m.archive = archive(t)
	if checksum == "" {
		checksum = fmt.Sprintf("%x", sha512.Sum512(m.archive))
	}
	for _, version := range versions {
		name := fmt.Sprintf("envtest-%s-%s-%s.tar.gz", version, runtime.GOOS, runtime.GOARCH)
		index += fmt.Sprintf("  %s:\n    %s:\n      hash: %s\n      selfLink: %s/%[2]s\n", version, name, checksum, m.URL)
	}
	return m
}

// archive is one as Kubernetes publishes it, with small programs.
func archive(t *testing.T) []byte {
	t.Helper()
	var packed bytes.Buffer
	zip := gzip.NewWriter(&packed)
	files := tar.NewWriter(zip)
	for _, name := range programs {
		text := "downloaded " + name
		if err := files.WriteHeader(&tar.Header{Name: "controller-tools/envtest/" + name, Mode: 0o755, Size: int64(len(text)), Typeflag: tar.TypeReg}); err != nil {
			t.Fatal(err)
		}
		if _, err := files.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	if err := files.Close(); err != nil {
		t.Fatal(err)
	}
	if err := zip.Close(); err != nil {
		t.Fatal(err)
	}
	return packed.Bytes()
}

// checkout is this one, with a bin/ of its own. Compilers would take minutes, so a build writes a line instead.
type checkout struct{ bin string }

func newCheckout(t *testing.T) checkout {
	t.Helper()
	return checkout{t.TempDir()}
}

func (c checkout) command(t *testing.T, index string, args ...string) *exec.Cmd {
	t.Helper()
	tool, err := filepath.Abs(root + "/bin/setup-envtest")
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "make", append([]string{"--no-print-directory", "control-plane", "BIN=" + c.bin, "-o", tool, "SETUP_ENVTEST=" + tool,
		"ENVTEST_INDEX=" + index, "build-program=@mkdir -p $(@D) && printf 'built %s' $* > $@"}, args...)...)
	cmd.Dir = root
	cmd.Env = append(slices.DeleteFunc(os.Environ(), func(v string) bool { // those of a make that runs the tests
		name, _, _ := strings.Cut(v, "=")
		return name == "KUBEBUILDER_ASSETS" || name == "BUILD"
	}), "MAKEFLAGS=")
	return cmd
}

// make runs make control-plane, and returns what it prints.
func (c checkout) make(t *testing.T, index string, args ...string) (string, error) {
	t.Helper()
	out, err := c.command(t, index, args...).CombinedOutput()
	return string(out), err
}

// want checks which programs bin/control-plane has, and that no other download was left.
func (c checkout) want(t *testing.T, origin string) {
	t.Helper()
	for _, name := range programs {
		text, err := os.ReadFile(filepath.Join(c.bin, "control-plane", name))
		if want := origin + " " + name; err != nil || string(text) != want {
			t.Errorf("bin/control-plane/%s is %q, %v; want %q", name, text, err, want)
		}
	}
	version, _ := pinned(t)
	if left := c.downloads(t); len(left) > 0 && (origin != "downloaded" || !slices.Equal(left, []string{version})) {
		t.Errorf("bin/prebuilt has %q", left)
	}
}

func (c checkout) downloads(t *testing.T) (names []string) {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(c.bin, "prebuilt", "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range paths {
		names = append(names, filepath.Base(path))
	}
	return names
}
