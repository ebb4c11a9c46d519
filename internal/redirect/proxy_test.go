// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package redirect

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// behindProxy makes a process of this test's program use a proxy. The standard library looks for a proxy once per process.
const behindProxy = "MIRRORSET_TEST_BEHIND_PROXY"

// startProxy starts a proxy that resolves every name to one address.
func startProxy(t *testing.T, address string) *httptest.Server {
	t.Helper()
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		registry, err := net.Dial("tcp", address)
		if err != nil || r.Method != http.MethodConnect {
			panic(http.ErrAbortHandler) // there is no plain HTTP here
		}
		defer func() { _ = registry.Close() }()
		w.WriteHeader(http.StatusOK)
		client, buffered, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		defer func() { _ = client.Close() }()
		go func() { _, _ = io.Copy(registry, buffered) }() // which ends with the connections
		_, _ = io.Copy(client, registry)
	}))
	t.Cleanup(proxy.Close)
	return proxy
}

func TestAMirrorBehindAProxyOnLoopbackMayNotSendOnToLoopback(t *testing.T) { // N11
	if os.Getenv(behindProxy) != "" {
		askBehindProxy(t)
		return
	}
	leads := map[string]string{"loopback": "https://127.0.0.1:1/", "metadata": "https://169.254.169.254/", "away": "https://storage.example/signed"}
	registry := startRegistry(t, false, func(w http.ResponseWriter, r *http.Request) {
		for repository, to := range leads {
			if strings.HasPrefix(r.URL.Path, "/v2/"+repository+"/") {
				http.Redirect(w, r, to, http.StatusTemporaryRedirect)
				return
			}
		}
		has(w, r)
	})
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	child := exec.Command(self, "-test.run", "^"+t.Name()+"$")
	proxy := startProxy(t, registry.host).URL
	child.Env = append(os.Environ(), behindProxy+"=1", "HTTPS_PROXY="+proxy, "https_proxy="+proxy, "HTTP_PROXY="+proxy, "http_proxy="+proxy, "NO_PROXY=", "no_proxy=")
	if out, err := child.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	if n := len(registry.requests()); n < 7 {
		t.Errorf("%d requests came by the proxy", n)
	}
}

func askBehindProxy(t *testing.T) {
	s := newServer(t, "a: s.com/a -> asked.example/loopback\na: s.com/b -> asked.example/metadata\na: s.com/c -> asked.example/away\n"+
		"a: s.com/d -> streamed.example/loopback\na: s.com/e -> streamed.example/metadata\na: s.com/f -> streamed.example/away", "streamed.example")
	for repository, want := range map[string]int{"a": 404, "b": 404, "c": 307, "d": 404, "e": 404, "f": 200} {
		w := ask(t, s, http.MethodGet, pathTo("0", "s.com", repository, manifestDigest))
		if w.Code != want || want == http.StatusNotFound && !strings.Contains(message(t, w), "must not be contacted") {
			t.Errorf("s.com/%s: got %d %s", repository, w.Code, w.Body)
		}
	}
}
