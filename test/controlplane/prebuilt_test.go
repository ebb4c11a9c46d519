// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package controlplane_test

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
)

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
