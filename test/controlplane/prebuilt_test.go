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
	"syscall"
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

func TestAPrebuiltControlPlaneIsDownloadedOnce(t *testing.T) {
	t.Parallel()
	version, minor := pinned(t)
	m, c := newMirror(t, "", nil, minor+".0", version, minor+".99", "v1.2.3"), newCheckout(t)
	out, err := c.make(t, m.URL+"/index.yaml")
	if want := "Downloading Kubernetes " + version + ": etcd, kube-apiserver and kubectl (once)\n"; err != nil || out != want {
		t.Errorf("make prints %q, %v; want %q", out, err, want)
	}
	c.want(t, "downloaded")
	m.Close()
	if out, err := c.make(t, m.URL+"/index.yaml"); err != nil || out != "" {
		t.Errorf("the second make prints %q, %v", out, err)
	}
	c.want(t, "downloaded")
	if out, err := c.make(t, m.URL+"/index.yaml", "BUILD=1"); err != nil || out != "" {
		t.Errorf("make BUILD=1 prints %q, %v", out, err)
	}
	if text, err := os.ReadFile(filepath.Join(c.bin, "control-plane/etcd")); string(text) != "built etcd" {
		t.Errorf("after make BUILD=1, bin/control-plane/etcd is %q, %v", text, err)
	}
}

func TestTheNewestPatchReleaseStandsInForAMissingOne(t *testing.T) {
	t.Parallel()
	version, minor := pinned(t)
	m, c := newMirror(t, "", nil, minor+".0", minor+".1", "v1.2.3"), newCheckout(t)
	out, err := c.make(t, m.URL+"/index.yaml")
	want := "The index has no Kubernetes " + version + "; using " + minor + ".1, the newest " + minor + " in it\n"
	if err != nil || !strings.HasPrefix(out, want) {
		t.Errorf("make prints %q, %v; want %q first", out, err, want)
	}
	c.want(t, "downloaded")
}

func TestAWrongChecksumIsAnError(t *testing.T) {
	t.Parallel()
	version, _ := pinned(t)
	m, c := newMirror(t, strings.Repeat("0", 128), nil, version), newCheckout(t)
	out, err := c.make(t, m.URL+"/index.yaml")
	if err == nil || !strings.Contains(out, "\nerror: the downloaded Kubernetes is not the file that the index names: checksum mismatch for envtest-"+version) {
		t.Errorf("make prints %q, %v", out, err)
	}
	if left, err := os.ReadDir(c.bin); err != nil || len(c.downloads(t)) > 0 || len(left) != 1 || left[0].Name() != "prebuilt" {
		t.Errorf("bin has %v, %v, and bin/prebuilt %q", left, err, c.downloads(t))
	}
}

func TestWhereNothingCanBeDownloadedItIsBuilt(t *testing.T) {
	version, minor := pinned(t)
	type answer = func(*mirror, http.ResponseWriter, *http.Request) bool
	isIndex := func(r *http.Request) bool { return r.URL.Path == "/index.yaml" }
	for name, c := range map[string]struct {
		version string
		answer  answer
		reason  string
	}{
		"no server":         {version, nil, ": connection refused"},
		"no index":          {version, func(_ *mirror, w http.ResponseWriter, r *http.Request) bool { http.NotFound(w, r); return true }, `got status "404 Not Found"`},
		"no index but text": {version, func(_ *mirror, w http.ResponseWriter, _ *http.Request) bool { fmt.Fprint(w, "<html>"); return true }, "unable to unmarshal index"},
		"an index that hangs": {version, func(_ *mirror, _ http.ResponseWriter, r *http.Request) bool { <-r.Context().Done(); return true },
			"(the server took longer than 10 seconds)"},
		"no such version": {"v1.2.3", nil, "(the index has no Kubernetes " + minor + " for this platform)"},
		"no archive": {version, func(_ *mirror, w http.ResponseWriter, r *http.Request) bool {
			if !isIndex(r) {
				http.NotFound(w, r)
			}
			return !isIndex(r)
		}, `got status "404 Not Found"`},
		"an archive that breaks off": {version, func(m *mirror, w http.ResponseWriter, r *http.Request) bool {
			if !isIndex(r) {
				w.Header().Set("Content-Length", fmt.Sprint(len(m.archive)))
				_, _ = w.Write(m.archive[:len(m.archive)/2])
			}
			return !isIndex(r)
		}, "unexpected EOF"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m, work := newMirror(t, "", c.answer, c.version), newCheckout(t)
			if name == "no server" {
				m.Close()
			}
			out, err := work.make(t, m.URL+"/index.yaml")
			_, said, found := strings.Cut(out, "No prebuilt Kubernetes could be downloaded (")
			if err != nil || !found || !strings.Contains("("+said, c.reason) || !strings.HasSuffix(said, "); building it from source, which takes minutes the first time\n") {
				t.Errorf("make prints %q, %v; want the reason %q", out, err, c.reason)
			}
			work.want(t, "built")
		})
	}
}

func TestNothingIsDownloadedWhereItIsNotNeeded(t *testing.T) {
	t.Parallel()
	version, _ := pinned(t)
	m := newMirror(t, "", nil, version)
	t.Run("built already", func(t *testing.T) {
		c := newCheckout(t)
		for range 2 {
			if out, err := c.make(t, m.URL+"/index.yaml", "BUILD=1"); err != nil || out != "" {
				t.Errorf("make BUILD=1 prints %q, %v", out, err)
			}
			if out, err := c.make(t, m.URL+"/index.yaml"); err != nil || out != "" {
				t.Errorf("make prints %q, %v", out, err)
			}
			c.want(t, "built")
		}
	})
	t.Run("KUBEBUILDER_ASSETS", func(t *testing.T) {
		c := newCheckout(t)
		if out, err := c.make(t, m.URL+"/index.yaml", "KUBEBUILDER_ASSETS="+t.TempDir()); err != nil || !strings.Contains(out, "Nothing to be done") {
			t.Errorf("make prints %q, %v", out, err)
		}
		if left, err := os.ReadDir(c.bin); err != nil || len(left) > 0 {
			t.Errorf("bin has %v, %v", left, err)
		}
	})
	if n := m.requests.Load(); n > 0 {
		t.Errorf("the mirror got %d requests", n)
	}
}

func TestAnInterruptedDownloadLeavesNothing(t *testing.T) {
	t.Parallel()
	version, _ := pinned(t)
	var interrupted atomic.Bool
	half := make(chan struct{}, 1)
	m, c := newMirror(t, "", func(m *mirror, w http.ResponseWriter, r *http.Request) bool {
		if interrupted.Load() || r.URL.Path == "/index.yaml" {
			return false
		}
		_, _ = w.Write(m.archive[:len(m.archive)/2])
		w.(http.Flusher).Flush()
		half <- struct{}{}
		<-r.Context().Done()
		return true
	}, version), newCheckout(t)
	cmd := c.command(t, m.URL+"/index.yaml")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	<-half
	if err := syscall.Kill(-cmd.Process.Pid, syscall.SIGINT); err != nil { // as Ctrl-C does
		t.Fatal(err)
	}
	if err := cmd.Wait(); err == nil {
		t.Error("make succeeded")
	}
	if left := c.downloads(t); len(left) > 0 {
		t.Errorf("bin/prebuilt has %q", left)
	}
	interrupted.Store(true)
	if out, err := c.make(t, m.URL+"/index.yaml"); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	c.want(t, "downloaded")
}
