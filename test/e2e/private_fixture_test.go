// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"context"
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"sync"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/mirrorset/mirrorset/internal/grants"
)

// authFile is where CRI-O and Podman find the logins for mirrors on a node.
const authFile = "/var/lib/mirrorset/auth.json"

// login lets in only those who have a name and a password, and records each header that a registry, or its token server, is sent.
type login struct {
	name, password string

	mu      sync.Mutex
	headers []string
	refused int      // how often a wrong password came
	tokens  []string // those that were given for it
}

// encoded is the login as Basic authentication sends it.
func (l *login) encoded() string {
	return base64.StdEncoding.EncodeToString([]byte(l.name + ":" + l.password))
}

func (l *login) note(r *http.Request) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for name, values := range r.Header {
		l.headers = append(l.headers, name+": "+strings.Join(values, ", "))
	}
	l.headers = append(l.headers, r.URL.String())
}

func (l *login) lets(r *http.Request) bool {
	name, secret, ok := r.BasicAuth()
	l.mu.Lock()
	defer l.mu.Unlock()
	if ok && name == l.name && secret == l.password {
		return true
	}
	if ok {
		l.refused++
	}
	return false
}

// wrong is how often another password came.
func (l *login) wrong() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.refused
}

// given are the tokens that were given for the login.
func (l *login) given() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.tokens
}

func (l *login) give(token string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.tokens = append(l.tokens, token)
}

// change lets in those with another password from now on.
func (l *login) change(password string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.password = password
}

// seen is all that was recorded.
func (l *login) seen() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Join(l.headers, "\n")
}

// guardBasic has a registry want this login itself.
func guardBasic(r *countedRegistry, l *login) *login {
	r.answer = func(w http.ResponseWriter, req *http.Request) bool {
		l.note(req)
		if l.lets(req) {
			return false
		}
		w.Header().Set("WWW-Authenticate", `Basic realm="private"`)
		w.WriteHeader(http.StatusUnauthorized)
		return true
	}
	return l
}

// guardToken has a registry want a token of a server that takes this login, and that refuses every other scope than to pull from one
// repository of this registry. Its tokens are for that repository alone.
func (s *site) guardToken(r *countedRegistry, l *login) *login {
	GinkgoHelper()
	certificate, err := s.Certificate("tokens.site.test")
	Expect(err).NotTo(HaveOccurred())
	var mu sync.Mutex
	repositories := make(map[string]string) // by token
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		l.note(req)
		scope := strings.Split(req.URL.Query().Get("scope"), ":")
		switch {
		case !l.lets(req):
			w.WriteHeader(http.StatusUnauthorized)
			return
		case len(req.URL.Query()["scope"]) != 1 || len(scope) != 3 || scope[0] != "repository" || scope[2] != "pull" || req.URL.Query().Get("service") != r.host || !strings.HasPrefix(scope[1], "copy"):
			w.WriteHeader(http.StatusForbidden)
			return
		}
		token := "token-" + rand32()
		mu.Lock()
		repositories[token] = scope[1]
		mu.Unlock()
		l.give(token)
		_ = json.NewEncoder(w).Encode(map[string]any{"token": token, "expires_in": 300})
	}))
	server.TLS = &tls.Config{Certificates: []tls.Certificate{certificate}}
	server.StartTLS()
	DeferCleanup(server.Close)
	at, err := url.Parse(server.URL)
	Expect(err).NotTo(HaveOccurred())
	r.answer = func(w http.ResponseWriter, req *http.Request) bool {
		l.note(req)
		token, _ := strings.CutPrefix(req.Header.Get("Authorization"), "Bearer ")
		mu.Lock()
		repository, ok := repositories[token]
		mu.Unlock()
		if ok && strings.HasPrefix(req.URL.Path, "/v2/"+repository+"/") {
			return false
		}
		scope := "repository:" + askedRepository(req.URL.Path) + ":pull"
		w.Header().Set("WWW-Authenticate", fmt.Sprintf(`Bearer realm="https://tokens.site.test:%s/token",service="%s",scope="%s"`, at.Port(), r.host, scope))
		w.WriteHeader(http.StatusUnauthorized)
		return true
	}
	return l
}

// askedRepository returns the one that a path of a registry's API is about.
func askedRepository(path string) string {
	for _, kind := range []string{"/manifests/", "/blobs/"} {
		if repository, _, ok := strings.Cut(strings.TrimPrefix(path, "/v2/"), kind); ok {
			return repository
		}
	}
	return ""
}

// grant makes the two objects with these logins and authorities, by their keys, and waits until the node follows. After the spec both are deleted.
func (s *site) grant(ctx context.Context, logins map[string]*login, authorities map[string]string) {
	GinkgoHelper()
	auths := make(map[string]any, len(logins))
	for key, l := range logins {
		auths[key] = map[string]string{"auth": l.encoded()}
	}
	text, err := json.Marshal(map[string]any{"auths": auths})
	Expect(err).NotTo(HaveOccurred())
	s.revoke(ctx)
	DeferCleanup(s.revoke, cleanUpTimeout)
	_, err = s.Client.CoreV1().Secrets(namespace).Create(ctx, &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Name: grants.CredentialsName}, Type: corev1.SecretTypeDockerConfigJson, Data: map[string][]byte{corev1.DockerConfigJsonKey: text},
	}, metav1.CreateOptions{})
	Expect(err).NotTo(HaveOccurred())
	_, err = s.Client.CoreV1().ConfigMaps(namespace).Create(ctx, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: grants.AuthoritiesName}, Data: authorities}, metav1.CreateOptions{})
	Expect(err).NotTo(HaveOccurred())
	s.expectGranted(ctx, logins, authorities)
}

// expectGranted waits until the node has these logins and authorities for its mirrors. The redirector has them before the files do.
func (s *site) expectGranted(ctx context.Context, logins map[string]*login, authorities map[string]string) {
	GinkgoHelper()
	started := time.Now()
	Eventually(func(g Gomega) {
		text, err := os.ReadFile(s.Path(authFile))
		if len(logins) == 0 {
			g.Expect(err).To(MatchError(os.ErrNotExist))
		} else {
			g.Expect(err).NotTo(HaveOccurred())
		}
		for _, l := range logins {
			g.Expect(string(text)).To(ContainSubstring(l.encoded()))
		}
		for key, certificates := range authorities {
			text, err := os.ReadFile(s.Path("/etc/containers/certs.d/" + strings.Replace(key, "..", ":", 1) + "/mirrorset.crt"))
			g.Expect(err).NotTo(HaveOccurred())
			g.Expect(string(text)).To(ContainSubstring(certificates))
		}
	}).WithContext(ctx).WithTimeout(convergeTimeout).WithPolling(20 * time.Millisecond).Should(Succeed())
	reportTime("the node had the logins and authorities after", started)
}

// revoke deletes the two objects.
func (s *site) revoke(ctx context.Context) {
	GinkgoHelper()
	if installed == nil {
		return
	}
	s.kubectl(ctx, "delete", "--ignore-not-found", "-n", namespace, "secret/"+grants.CredentialsName, "configmap/"+grants.AuthoritiesName)
}

// authorityKey is the key of a registry in the ConfigMap of authorities.
func authorityKey(r *countedRegistry) string {
	return strings.Replace(r.host, ":", "..", 1)
}

// expectNode waits until the MirrorNode says all of these.
func (s *site) expectNode(ctx context.Context, parts ...string) {
	GinkgoHelper()
	Eventually(func() string {
		return s.kubectl(ctx, "get", "mirrornodes", "-o", `jsonpath={range .items[*].status.conditions[*]}{.type}={.status} {.reason} {.message}{"\n"}{end}`)
	}).WithContext(ctx).WithTimeout(convergeTimeout).WithPolling(200 * time.Millisecond).Should(And(containAll(parts)...))
}
