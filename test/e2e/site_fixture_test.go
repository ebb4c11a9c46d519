// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
)

// siteHosts are registries by names that the shared node finds on this machine, and whose certificates it trusts.
var siteHosts = map[string]string{
	"source.site.test": "127.0.0.1", "first.site.test": "127.0.0.1", "second.site.test": "127.0.0.1", "third.site.test": "127.0.0.1",
	"tokens.site.test": "127.0.0.1", catalogService: "127.0.0.1", "registry.corp.example": "127.0.0.1",
}

// site is Mirrorset and four registries over TLS, for one spec.
type site struct {
	*scene
	source, first, second, third *countedRegistry
}

func newSite(ctx context.Context) *site {
	GinkgoHelper()
	s := &site{scene: newScene(ctx)}
	s.source, s.first, s.second, s.third = s.registry("source"), s.registry("first"), s.registry("second"), s.registry("third")
	return s
}

// registry starts one whose certificate the node trusts.
func (s *site) registry(name string) *countedRegistry {
	GinkgoHelper()
	certificate, err := s.Certificate(name + ".site.test")
	Expect(err).NotTo(HaveOccurred())
	return startTLSRegistry(name, name+".site.test", certificate, nil, s.seen)
}

// apply applies sets and waits until the node follows, where containerd's file about the source has these parts.
func (s *site) apply(ctx context.Context, parts []string, manifests ...string) {
	GinkgoHelper()
	s.scene.apply(ctx, nil, manifests...)
	Eventually(func() string { return s.files()[certsFolder(s.source.host)+"/hosts.toml"] }).
		WithContext(ctx).WithTimeout(convergeTimeout).WithPolling(20 * time.Millisecond).Should(And(containAll(parts)...))
}

// expectAsked wants these registries asked, in this order, and no others.
func (s *site) expectAsked(registries ...*countedRegistry) {
	GinkgoHelper()
	names := []string{}
	for _, r := range registries {
		names = append(names, r.name)
	}
	Expect(s.seen.asked()).To(Equal(names))
}

// expectRefusedWith has a Pod fail to get its image, for a reason with these parts.
func (s *site) expectRefusedWith(ctx context.Context, reference string, parts ...string) {
	GinkgoHelper()
	Expect(s.expectRefused(ctx, reference)).To(And(containAll(parts)...))
}

// mirrored is the end of a path that the redirector has for a registry, behind an element that nobody knows beforehand.
func mirrored(entry string) string {
	return "/" + entry + `"`
}

// The ways in which a mirror can be no good.
var badAnswers = map[string]func(w http.ResponseWriter, r *http.Request) bool{
	"404": answerWith(http.StatusNotFound),
	"500": answerWith(http.StatusInternalServerError),
	"hangs": func(_ http.ResponseWriter, r *http.Request) bool {
		select {
		case <-r.Context().Done():
		case <-time.After(time.Minute):
		}
		return true
	},
	"has other content": func(w http.ResponseWriter, _ *http.Request) bool {
		w.Header().Set("Content-Type", "application/vnd.oci.image.manifest.v1+json")
		_, _ = io.WriteString(w, `{"schemaVersion":2}`)
		return true
	},
}

func answerWith(code int) func(w http.ResponseWriter, r *http.Request) bool {
	return func(w http.ResponseWriter, _ *http.Request) bool {
		w.WriteHeader(code)
		return true
	}
}

const (
	user     = "puller"
	password = "correct horse"
)

// offered are the credentials that a registry was offered, in order, without repetitions: "" for none.
type offered struct {
	mu   sync.Mutex
	seen []string
}

func (o *offered) note(r *http.Request) {
	o.mu.Lock()
	defer o.mu.Unlock()
	what := r.Header.Get("Authorization")
	if name, secret, ok := r.BasicAuth(); ok {
		what = name + ":" + secret
	}
	if len(o.seen) == 0 || o.seen[len(o.seen)-1] != what {
		o.seen = append(o.seen, what)
	}
}

func (o *offered) all() []string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return append([]string{}, o.seen...)
}

// wantBasic has a registry let in only who has the password.
func wantBasic(r *countedRegistry) *offered {
	o := &offered{}
	r.answer = func(w http.ResponseWriter, req *http.Request) bool {
		o.note(req)
		if name, secret, ok := req.BasicAuth(); ok && name == user && secret == password {
			return false
		}
		w.Header().Set("WWW-Authenticate", `Basic realm="site"`)
		w.WriteHeader(http.StatusUnauthorized)
		return true
	}
	return o
}

// wantToken has a registry let in only who has a token, which a server of its own gives to who has the password, or, where
// anonymous, to everybody. It returns what the registry and that server were offered.
func (s *site) wantToken(r *countedRegistry, anonymous bool) (atRegistry, atTokens *offered) {
	GinkgoHelper()
	const token = "let-me-in"
	atRegistry, atTokens = &offered{}, &offered{}
	certificate, err := s.Certificate("tokens.site.test")
	Expect(err).NotTo(HaveOccurred())
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		atTokens.note(req)
		if name, secret, ok := req.BasicAuth(); !anonymous && (!ok || name != user || secret != password) {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		_ = json.NewEncoder(w).Encode(map[string]any{"token": token, "access_token": token, "expires_in": 300})
	}))
	server.TLS = &tls.Config{Certificates: []tls.Certificate{certificate}}
	server.StartTLS()
	DeferCleanup(server.Close)
	at, err := url.Parse(server.URL)
	Expect(err).NotTo(HaveOccurred())
	r.answer = func(w http.ResponseWriter, req *http.Request) bool {
		atRegistry.note(req)
		if req.Header.Get("Authorization") == "Bearer "+token {
			return false
		}
		w.Header().Set("WWW-Authenticate", fmt.Sprintf(`Bearer realm="https://tokens.site.test:%s/token",service="%s"`, at.Port(), r.host))
		w.WriteHeader(http.StatusUnauthorized)
		return true
	}
	return atRegistry, atTokens
}

// pullSecret makes a secret with the credentials for a registry, and has all Pods of the spec use it.
func (s *site) pullSecret(ctx context.Context, host string) {
	GinkgoHelper()
	s.pullSecretOf(ctx, host, &login{name: user, password: password})
}

// pullSecretOf is [site.pullSecret] with a login of its own.
func (s *site) pullSecretOf(ctx context.Context, host string, l *login) {
	GinkgoHelper()
	config, err := json.Marshal(map[string]any{"auths": map[string]any{host: map[string]string{"auth": l.encoded()}}})
	Expect(err).NotTo(HaveOccurred())
	secret, err := s.Client.CoreV1().Secrets(metav1.NamespaceDefault).Create(ctx, &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{GenerateName: "e2e-"}, Type: corev1.SecretTypeDockerConfigJson,
		Data: map[string][]byte{corev1.DockerConfigJsonKey: config},
	}, metav1.CreateOptions{})
	Expect(err).NotTo(HaveOccurred())
	accounts := s.Client.CoreV1().ServiceAccounts(metav1.NamespaceDefault)
	use := func(ctx context.Context, secrets []corev1.LocalObjectReference) {
		GinkgoHelper()
		account, err := accounts.Get(ctx, "default", metav1.GetOptions{})
		Expect(err).NotTo(HaveOccurred())
		account.ImagePullSecrets = secrets
		_, err = accounts.Update(ctx, account, metav1.UpdateOptions{})
		Expect(err).NotTo(HaveOccurred())
		// The API server gives a Pod the secrets of the account as its cache has it, which can be the account before this write.
		Eventually(func() []corev1.LocalObjectReference { return givenPullSecrets(ctx, s.Client) }).
			WithContext(ctx).WithTimeout(convergeTimeout).WithPolling(20 * time.Millisecond).Should(HaveExactElements(secrets))
	}
	use(ctx, []corev1.LocalObjectReference{{Name: secret.Name}})
	DeferCleanup(func(ctx SpecContext) {
		use(ctx, nil)
		Expect(s.Client.CoreV1().Secrets(metav1.NamespaceDefault).Delete(ctx, secret.Name, metav1.DeleteOptions{})).To(Succeed())
	}, cleanUpTimeout)
}

// containAll wants each of these in a text.
func containAll(parts []string) (all []OmegaMatcher) {
	for _, part := range parts {
		if without, ok := strings.CutPrefix(part, "!"); ok {
			all = append(all, Not(ContainSubstring(without)))
			continue
		}
		all = append(all, ContainSubstring(part))
	}
	return all
}

// givenPullSecrets returns the pull secrets that the API server adds to a Pod which is created now.
func givenPullSecrets(ctx context.Context, client kubernetes.Interface) []corev1.LocalObjectReference {
	GinkgoHelper()
	pod, err := client.CoreV1().Pods(metav1.NamespaceDefault).Create(ctx, &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{GenerateName: "e2e-"},
		Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "main", Image: "tried.invalid/none"}}},
	}, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
	Expect(err).NotTo(HaveOccurred())
	return pod.Spec.ImagePullSecrets
}
