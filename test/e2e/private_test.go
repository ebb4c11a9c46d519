// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"context"
	"crypto/rand"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

func rand32() string { return strings.ToLower(rand.Text()) }

var _ = Describe("private mirrors", func() {
	var (
		s      *site
		image  v1.Image
		digest string
		// basic wants a login and has a certificate of an authority that no node knows; strict has a token server that refuses foreign scopes.
		basic, strict     *countedRegistry
		own               ownCA
		atBasic, atStrict *login
		logins            map[string]*login
		authorities       map[string]string
	)

	BeforeEach(func(ctx SpecContext) {
		s = newSite(ctx)
		image, digest = newImage(ctx)
		own = newOwnCA("first.site.test")
		basic = startTLSRegistry("basic", "first.site.test", own.certificate, nil, s.seen)
		strict = s.second
		atBasic = guardBasic(basic, &login{name: "ann", password: "hush-" + rand32()})
		atStrict = s.guardToken(strict, &login{name: "bob", password: "hush-" + rand32()})
		logins = map[string]*login{basic.host: atBasic, strict.host + "/copy": atStrict}
		authorities = map[string]string{authorityKey(basic): own.ca}
	}, setUpTimeout)

	// sets have the namespace one come from one registry and two from the other.
	sets := func(ctx context.Context) {
		GinkgoHelper()
		s.apply(ctx, []string{mirrored("0"), mirrored("source")}, never("30-one", s.source.host+"/one", basic.host+"/copy/one"), never("30-two", s.source.host+"/two", strict.host+"/copy/two"))
	}

	It("give each mirror its own login, and nobody else any of it", func(ctx SpecContext) {
		atSource := guardBasic(s.source, &login{name: "pod", password: "hush-" + rand32()})
		s.pullSecretOf(ctx, s.source.host, atSource)
		sets(ctx)
		s.grant(ctx, logins, authorities)
		fromStrict, digestOfStrict := newImage(ctx)
		fromSource, digestOfSource := newImage(ctx)
		basic.push(ctx, "copy/one/app", image)
		strict.push(ctx, "copy/two/app", fromStrict)
		s.source.push(ctx, "free/app", fromSource)

		process := startDebianContainerd(s.Cluster)
		DeferCleanup(process.End)
		debian := connect(ctx, s.Socket("/run/containerd-debian/containerd.sock"), "1.6.")
		for _, pull := range []struct {
			reference string
			from      *countedRegistry
			image     v1.Image
		}{
			{"/one/app" + digest, basic, image}, {"/two/app" + digestOfStrict, strict, fromStrict}, {"/free/app" + digestOfSource, s.source, fromSource},
		} {
			s.expectPulled(ctx, s.source.host+pull.reference)
			s.expectAsked(pull.from)
			if pull.from == s.source {
				continue // its login is the Pod's
			}
			s.seen.forget()
			Expect(debian.pullAs(ctx, s.source.host+pull.reference, nil)).To(Succeed())
			s.expectAsked(pull.from)
			for _, p := range podmans {
				s.seen.forget()
				p.expectPulledOn(ctx, s.Cluster, s.source.host+pull.reference, pull.image, "--authfile", authFile)
				s.expectAsked(pull.from)
			}
		}
		Expect(atBasic.seen()).To(ContainSubstring(atBasic.encoded()))
		Expect(atStrict.seen()).To(ContainSubstring(atStrict.encoded()))
		Expect(atSource.seen()).To(ContainSubstring(atSource.encoded()))

		table := []string{"credential | mirror with Basic | mirror with tokens | source"}
		for _, of := range []struct {
			name  string
			login *login
		}{{"the mirror with Basic", atBasic}, {"the mirror with tokens", atStrict}, {"the Pod, for the source", atSource}} {
			row := of.name
			for _, at := range []*login{atBasic, atStrict, atSource} {
				saw := strings.Count(at.seen(), of.login.encoded()) + strings.Count(at.seen(), of.login.password)
				Expect(min(saw, 1)).To(Equal(map[bool]int{true: 1}[at == of.login]), "the login of %s where that of %s belongs", of.name, at.name)
				row += fmt.Sprintf(" | %d", saw)
			}
			table = append(table, row)
		}
		AddReportEntry("who saw which credential", strings.Join(table, "\n"), ReportEntryVisibilityAlways)
		s.expectNowhere(ctx, atBasic, atStrict)
	}, nodeTimeout)

	It("follow a login that is changed while images are pulled", func(ctx SpecContext) {
		sets(ctx)
		s.grant(ctx, logins, authorities)
		for range 3 {
			basic.push(ctx, "copy/one/app", image)
			s.expectPulled(ctx, s.source.host+"/one/app"+digest)
			s.expectAsked(basic)
			atBasic.change("hush-" + rand32())
			s.grant(ctx, logins, authorities)
			image, digest = newImage(ctx)
		}
	}, nodeTimeout)

	It("say in the node's object that a login is refused, until it is right", func(ctx SpecContext) {
		sets(ctx)
		right := atBasic.password
		atBasic.password = "hush-wrong-" + rand32()
		s.grant(ctx, logins, authorities)
		atBasic.change(right)
		basic.push(ctx, "copy/one/app", image)
		s.expectRefusedWith(ctx, s.source.host+"/one/app"+digest, "NeverContactSource", basic.host, "!hush")
		s.expectUntouched(s.source)
		s.expectNode(ctx, "Applied=True", basic.host, "mirror-credentials", "401", "!hush")
		Expect(atBasic.wrong()).To(And(BeNumerically(">", 0), BeNumerically("<=", 3)), "a refused login is not sent again and again")
		s.grant(ctx, logins, authorities)
		s.expectPulled(ctx, s.source.host+"/one/app"+digest)
		s.expectNode(ctx, "!"+basic.host)
	}, nodeTimeout)

	It("say in the node's object that an authority is not known, until it is", func(ctx SpecContext) {
		sets(ctx)
		s.grant(ctx, logins, nil)
		basic.push(ctx, "copy/one/app", image)
		s.expectRefusedWith(ctx, s.source.host+"/one/app"+digest, "NeverContactSource", basic.host)
		s.expectNode(ctx, "Applied=True", basic.host, "mirror-authorities")
		Expect(atBasic.seen()).NotTo(ContainSubstring(atBasic.encoded()))
		s.grant(ctx, logins, authorities)
		s.expectPulled(ctx, s.source.host+"/one/app"+digest)
		s.expectNode(ctx, "!"+basic.host)
	}, nodeTimeout)

	It("ask without a login again once the Secret is deleted", func(ctx SpecContext) {
		sets(ctx)
		s.grant(ctx, logins, authorities)
		s.kubectl(ctx, "delete", "-n", namespace, "secret/mirror-credentials")
		s.expectGranted(ctx, nil, authorities)
		basic.push(ctx, "copy/one/app", image)
		s.expectRefusedWith(ctx, s.source.host+"/one/app"+digest, "NeverContactSource")
		Expect(atBasic.seen()).NotTo(ContainSubstring(atBasic.encoded()))
		s.expectNode(ctx, "Applied=True", basic.host, "mirror-credentials")
	}, nodeTimeout)

	It("may send on to a store of blobs, which gets no login", func(ctx SpecContext) {
		sets(ctx)
		s.grant(ctx, logins, authorities)
		store := s.third
		atStore := &login{}
		store.answer = func(_ http.ResponseWriter, r *http.Request) bool { atStore.note(r); return false }
		guarded := basic.answer
		basic.answer = func(w http.ResponseWriter, r *http.Request) bool {
			if guarded(w, r) {
				return true
			}
			if strings.Contains(r.URL.Path, "/blobs/") {
				http.Redirect(w, r, "https://"+store.host+r.URL.Path+"?signature=abc", http.StatusTemporaryRedirect)
				return true
			}
			return false
		}
		basic.push(ctx, "copy/one/app", image)
		store.push(ctx, "copy/one/app", image)
		s.expectPulled(ctx, s.source.host+"/one/app"+digest)
		s.expectAsked(basic, store)
		Expect(atStore.seen()).NotTo(ContainSubstring("Authorization"))
	}, nodeTimeout)

	It("are not to be read through the redirector by a Pod on the node's network", func(ctx SpecContext) {
		sets(ctx)
		s.grant(ctx, logins, authorities)
		basic.push(ctx, "copy/one/app", image)
		s.expectPulled(ctx, s.source.host+"/one/app"+digest)
		file := s.Path(certsFolder(s.source.host) + "/hosts.toml")
		text, err := os.ReadFile(file)
		Expect(err).NotTo(HaveOccurred())
		root := regexp.MustCompile(`http://127.0.0.1:289(/v2/_mirrorset/)([0-9a-f]{32})/0"`).FindStringSubmatch(string(text))
		Expect(root).NotTo(BeNil(), "%s", text)
		ask := func(path string) int {
			GinkgoHelper()
			response, err := http.Get("http://127.0.0.1:289" + path + "/one/app/manifests/" + strings.TrimPrefix(digest, "@") + "?ns=" + s.source.host)
			Expect(err).NotTo(HaveOccurred())
			Expect(response.Body.Close()).To(Succeed())
			return response.StatusCode
		}
		Expect(ask(root[1]+root[2]+"/0")).To(Equal(http.StatusOK), "by the file, as containerd asks")
		for _, path := range []string{root[1] + "0", root[1] + strings.Repeat("0", 32) + "/0", root[1] + root[2] + "/1"} {
			Expect(ask(path)).To(Equal(http.StatusNotFound), path)
		}
		for name, want := range map[string]os.FileMode{file: 0o600, filepath.Dir(file): os.ModeDir | 0o700, s.Path(authFile): 0o600} {
			info, err := os.Stat(name)
			Expect(err).NotTo(HaveOccurred())
			Expect(info.Mode()).To(Equal(want), name)
		}
	}, nodeTimeout)

	It("serve an agent's restart while the API server is away", func(ctx SpecContext) {
		sets(ctx)
		s.grant(ctx, logins, authorities)
		var server int
		_, err := fmt.Sscanf(s.processes("kube-apiserver")["kube-apiserver"], "pid %d", &server)
		Expect(err).NotTo(HaveOccurred())
		Expect(syscall.Kill(server, syscall.SIGSTOP)).To(Succeed())
		resume := func() { _ = syscall.Kill(server, syscall.SIGCONT) }
		DeferCleanup(resume)
		before := s.agentProcess()
		Expect(syscall.Kill(before, syscall.SIGKILL)).To(Succeed())
		cri := connect(ctx, s.Socket("/run/containerd/containerd.sock"), "")
		for i, r := range []*countedRegistry{basic, strict} {
			space := []string{"/one", "/two"}[i]
			r.push(ctx, "copy"+space+"/app", image)
			Eventually(func() error { return cri.pullAs(ctx, s.source.host+space+"/app"+digest, nil) }).
				WithContext(ctx).WithTimeout(convergeTimeout).WithPolling(300 * time.Millisecond).Should(Succeed())
			image, digest = newImage(ctx)
		}
		Expect(s.agentProcess()).NotTo(Equal(before))
		resume()
	}, nodeTimeout)
})
