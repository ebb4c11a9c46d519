// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package redirect

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr/funcr"
)

func TestAStreamedMirrorMaySendOn(t *testing.T) {
	storage := startRegistry(t, true, has)
	mirror := startRegistry(t, true, func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, storage.URL+"/signed?key=1", http.StatusTemporaryRedirect)
	})
	s := newServer(t, "a: s.com/x -> "+mirror.host+"/m", mirror.host)
	w := ask(t, s, http.MethodGet, strings.Replace(pathTo("0", "s.com", "x/y", manifestDigest), manifests, blobs, 1))
	if w.Code != http.StatusOK || w.Body.String() != manifest {
		t.Errorf("got %d %s", w.Code, w.Body)
	}
}

func TestAStreamedMirrorMustNotSendOnToWhatIsBlockedOrBack(t *testing.T) {
	blocked := startRegistry(t, true, has)
	port := blocked.host[strings.Index(blocked.host, ":"):]
	for name, to := range map[string]string{
		"a blocked source":          blocked.URL + "/v2/shut/y/blobs/" + manifestDigest,
		"one in capitals":           "http://LOCALHOST" + port + "/v2/shut/y/blobs/" + manifestDigest,
		"one with a dot behind it":  "http://localhost." + port + "/v2/shut/y/blobs/" + manifestDigest,
		"one by a port with a zero": "http://localhost:0" + port[1:] + "/v2/shut/y/blobs/" + manifestDigest,
		"one in wide letters":       "http://ｌocalhost" + port + "/v2/shut/y/blobs/" + manifestDigest,
		"one in escaped letters":    "http://%ef%bd%8cocalhost" + port + "/v2/shut/y/blobs/" + manifestDigest,
		"one with another dot":      "http://127。0.0.1" + port + "/v2/shut/y/blobs/" + manifestDigest,
		"one as an IPv6 address":    "http://[::ffff:127.0.0.1]" + port + "/v2/shut/y/blobs/" + manifestDigest,
		"one by a roundabout path":  blocked.URL + "/v2//x/../shut/y/blobs/" + manifestDigest,
		"one whose port is implied": "https://port.example/v2/y/blobs/" + manifestDigest,
		"a host without a path":     "https://whole.example",
		"the redirector":            "http://127.0.0.1:289" + pathTo("0", "s.com", "x/y", manifestDigest),
		"a host that is shut whole": "https://whole.example:443/elsewhere",
	} {
		mirror := startRegistry(t, true, func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, to, http.StatusTemporaryRedirect) })
		sets := "a: s.com/x -> " + mirror.host + "/m"
		for _, source := range []string{blocked.host + "/shut", "localhost" + port + "/shut", "whole.example", "port.example:443"} {
			sets += "\na: " + source + " -> m.com [Never]"
		}
		s := newServer(t, sets, mirror.host)
		w := ask(t, s, http.MethodGet, strings.Replace(pathTo("0", "s.com", "x/y", manifestDigest), manifests, blobs, 1))
		if w.Code != http.StatusNotFound || !strings.Contains(message(t, w), "must not be contacted") {
			t.Errorf("%s: got %d %s", name, w.Code, w.Body)
		}
	}
	if n := len(blocked.requests()); n != 0 {
		t.Errorf("the blocked source was asked %d times", n)
	}
}

func TestNoMirrorMaySendOnToWhereThisNodeAloneMayGo(t *testing.T) { // N11
	for name, to := range map[string]string{
		"the metadata service of clouds":     "http://169.254.169.254/latest/meta-data/",
		"the same as IPv6":                   "http://[::ffff:169.254.169.254]/latest/meta-data/",
		"the same over TLS, at another port": "https://169.254.169.254:8443/",
		"the link":                           "http://[fe80::1]/",
		"the same in wide letters":           "http://１69.254.169.254/latest/meta-data/",
		"no address":                         "http://0.0.0.0:1/",
		"a metadata service elsewhere":       "http://100.100.100.200/",
	} {
		for _, streamed := range []bool{false, true} {
			mirror := startRegistry(t, streamed, func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, to, http.StatusTemporaryRedirect) })
			insecure := map[bool]string{true: mirror.host, false: "insecure.example"}[streamed]
			s := newServer(t, "a: s.com/x -> "+mirror.host+"/m", insecure)
			for _, kind := range []string{manifests, blobs} {
				w := ask(t, s, http.MethodGet, strings.Replace(pathTo("0", "s.com", "x/y", manifestDigest), manifests, kind, 1))
				if w.Code != http.StatusNotFound || !strings.Contains(message(t, w), "must not be contacted") {
					t.Errorf("%s, %s, streamed %t: got %d %s", name, kind, streamed, w.Code, w.Body)
				}
			}
		}
	}
}

func TestAMirrorThatSendsContainerdOnToABlockedSourceIsPassedOver(t *testing.T) {
	blocked := startRegistry(t, true, has)
	for path, want := range map[string]int{"/v2/shut/y/manifests/" + manifestDigest: http.StatusNotFound, "/v2/open/y/manifests/" + manifestDigest: http.StatusTemporaryRedirect} {
		mirror := startRegistry(t, false, func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, blocked.URL+path, http.StatusTemporaryRedirect)
		})
		s := newServer(t, "a: s.com/x -> "+mirror.host+"/m\na: "+blocked.host+"/shut -> m.com [Never]")
		if w := ask(t, s, http.MethodGet, pathTo("0", "s.com", "x/y", manifestDigest)); w.Code != want {
			t.Errorf("%s: got %d %s", path, w.Code, w.Body)
		}
	}
	if n := len(blocked.requests()); n != 0 {
		t.Errorf("the blocked source was asked %d times", n)
	}
}

func TestAMirrorThatLeadsAstrayIsLoggedOnceForEachImage(t *testing.T) {
	for _, streamed := range []bool{false, true} {
		mirror := startRegistry(t, streamed, func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://0.0.0.0:1/", http.StatusTemporaryRedirect)
		})
		insecure := map[bool]string{true: mirror.host, false: "insecure.example"}[streamed]
		lines := 0
		s := New(wired(Config{Log: funcr.New(func(_, _ string) { lines++ }, funcr.Options{})}))
		setRules(t, s, "a: s.com/x -> "+mirror.host+"/m", insecure)
		for want, object := range []string{manifestDigest, otherDigest} {
			for range 5 {
				ask(t, s, http.MethodGet, pathTo("0", "s.com", "x/y", object))
			}
			if lines != want+1 {
				t.Errorf("streamed %t, %s: %d lines", streamed, object, lines)
			}
		}
	}
}

// TestAMirrorThatAnswersContainerdOtherwiseIsNotSeenThrough covers the attack that docs/explanation/security.md describes for a mirror.
func TestAMirrorThatAnswersContainerdOtherwiseIsNotSeenThrough(t *testing.T) {
	blocked := startRegistry(t, true, has)
	shut := blocked.URL + "/v2/shut/y/manifests/" + manifestDigest
	turn := startRegistry(t, true, func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, shut, http.StatusTemporaryRedirect) })
	for name, answers := range map[string]http.HandlerFunc{
		"it sees who asks":           has,
		"it wants credentials first": status(http.StatusUnauthorized),
		"it sends on by another place": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, turn.URL, http.StatusTemporaryRedirect)
		},
		"it does not answer, as the last": hang,
	} {
		mirror := startRegistry(t, false, func(w http.ResponseWriter, r *http.Request) {
			if r.UserAgent() == serverName {
				answers(w, r)
				return
			}
			http.Redirect(w, r, shut, http.StatusTemporaryRedirect)
		})
		s := newServer(t, "a: s.com/x -> "+mirror.host+"/m [Never]\na: "+blocked.host+"/shut -> m.com [Never]")
		s.scout.deadline = 100 * time.Millisecond
		w := ask(t, s, http.MethodGet, pathTo("0", "s.com", "x/y", manifestDigest))
		if to := w.Header().Get("Location"); w.Code != http.StatusTemporaryRedirect || !strings.HasPrefix(to, "https://"+mirror.host+"/v2/m/y/") {
			t.Errorf("%s: got %d %s, to %s", name, w.Code, w.Body, to)
		}
	}
}
