// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package integration_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/mirrorset/mirrorset/internal/payload"
)

func isWatch(r *http.Request) bool { return r.URL.Query().Get("watch") == "true" }

// endsWatches has the API server end each watch after a second.
func endsWatches(_ http.ResponseWriter, r *http.Request) bool {
	if isWatch(r) {
		q := r.URL.Query()
		q.Set("timeoutSeconds", "1")
		r.URL.RawQuery = q.Encode()
	}
	return false
}

// forgets answers each watch that continues from a version that this version is compacted away. Watches that begin with all objects end after a
// second.
func forgets(w http.ResponseWriter, r *http.Request) bool {
	if q := r.URL.Query(); !isWatch(r) || q.Has("sendInitialEvents") || q.Get("resourceVersion") == "" {
		return endsWatches(w, r)
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = io.WriteString(w, `{"type":"ERROR","object":{"kind":"Status","apiVersion":"v1","status":"Failure","message":"too old resource version","reason":"Expired","code":410}}`+"\n")
	return true
}

// answers gives nothing but a status.
func answers(status int, header ...string) sickness {
	return func(w http.ResponseWriter, _ *http.Request) bool {
		for i := 0; i < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		http.Error(w, "sick", status)
		return true
	}
}

// failsForSets fails for sets alone, so that what is made of them could be published.
func failsForSets(w http.ResponseWriter, r *http.Request) bool {
	return strings.HasSuffix(r.URL.Path, "mirrorsets") && answers(http.StatusInternalServerError)(w, r)
}

// late has each request wait.
func late(by time.Duration) sickness {
	return func(_ http.ResponseWriter, r *http.Request) bool {
		select {
		case <-r.Context().Done():
		case <-time.After(by):
		}
		return false
	}
}

// revokes has the API server see a token that it does not know.
func revokes(_ http.ResponseWriter, r *http.Request) bool {
	r.Header.Set("Authorization", "Bearer revoked")
	return false
}

// writesOf returns how often service accounts wrote a resource. A write that is refused, as over what the admin wrote meanwhile, is none.
func writesOf(resource string) (n int) {
	GinkgoHelper()
	requests, err := plane.Requests()
	Expect(err).NotTo(HaveOccurred())
	for i := range requests {
		r := &requests[i]
		if r.Object.Resource == resource && (r.Verb == "create" || r.Verb == "patch" || r.Verb == "update") && r.Status.Code < http.StatusBadRequest {
			n++
		}
	}
	return n
}

var _ = Describe("A sick API server", func() {
	const block = "location = \"quay.io\"\nblocked = true\n"
	DescribeTable("opens and removes nothing, is not asked without end, and is followed once it is well", func(ctx SpecContext, sick sickness, lasts, within time.Duration) {
		p, through := newProxy()
		n := newNode()
		manager, err := through.StartManager(ctx, alone)
		Expect(err).NotTo(HaveOccurred())
		track("manager", manager)
		agent, err := through.StartAgent(ctx, n.root, "node-1")
		Expect(err).NotTo(HaveOccurred())
		track("agent", agent)
		a, b := set("a", entry("quay.io", "m1.local")), set("b", entry("ghcr.io", "m1.local"))
		a.Spec.ImageDigestMirrors[0].MirrorSourcePolicy = "NeverContactSource"
		create(ctx, a, b)
		n.wantRules(a, b)
		lost, seen := n.guard(), recordVersions(ctx)
		published, reported := writesOf("configmaps"), writesOf("mirrornodes")

		asked, began := 0, time.Now()
		if sick != nil {
			asked = p.fall(sick)
		} else {
			p.silence()
		}
		change(ctx, b, entry("ghcr.io", "m2.local"))
		c := set("c", entry("s.com", "m1.local"))
		create(ctx, c)
		edit(ctx, annotate("example.org/touched", "once")) // so that the manager looks, whatever it sees of sets
		Consistently(n.rules, lasts, "20ms").Should(ContainSubstring(block))
		well := time.Now()
		if sick != nil {
			asked = p.fall(nil) - asked
			AddReportEntry("requests while it was sick", fmt.Sprintf("%d in %v", asked, well.Sub(began)))
			Expect(asked).To(BeNumerically("<", 100+40*well.Sub(began).Seconds()))
		}
		Eventually(n.rules, within).Should(Equal(rendered(a, b, c)))
		AddReportEntry("followed again after", time.Since(well).String())
		n.keepsRules(a, b, c)
		Expect(lost()).To(BeEmpty())
		Expect(seen()).To(And(Not(BeEmpty()), HaveEach(WithTransform(version.text, ContainSubstring(block)))))
		AddReportEntry("writes", fmt.Sprintf("%d of the ConfigMap, %d of MirrorNodes", writesOf("configmaps")-published, writesOf("mirrornodes")-reported))
		Expect(writesOf("configmaps") - published).To(BeNumerically("<=", 2))
		Expect(writesOf("mirrornodes") - reported).To(BeNumerically("<=", 8))
		Expect(manager.Exited()).NotTo(BeClosed())
		Expect(agent.Exited()).NotTo(BeClosed())
	},
		Entry("that ends each watch after a second", sickness(endsWatches), 5*time.Second, 5*time.Second),
		Entry("that has forgotten all that watches go on from (410)", sickness(forgets), 5*time.Second, 30*time.Second),
		Entry("that has too much to do (429)", answers(http.StatusTooManyRequests, "Retry-After", "1"), 5*time.Second, 30*time.Second),
		Entry("that fails (500)", answers(http.StatusInternalServerError), 5*time.Second, 30*time.Second),
		Entry("that fails for sets alone", sickness(failsForSets), 5*time.Second, 30*time.Second),
		Entry("that no longer takes the tokens (401)", sickness(revokes), 5*time.Second, 30*time.Second),
		Entry("that takes half a minute for each answer", long, late(30*time.Second), 35*time.Second, 90*time.Second),
		Entry("to which all connections are silent", long, sickness(nil), 5*time.Second, 90*time.Second),
	)

	It("lets no write through that was on its way when the lease was lost", func(ctx SpecContext) {
		p, through := newProxy()
		n := newNode()
		startAgent(ctx, n)
		first, err := through.StartManager(ctx)
		Expect(err).NotTo(HaveOccurred())
		track("first manager", first)
		a := set("a", entry("quay.io", "m1.local"))
		create(ctx, a)
		Eventually(n.rules).Should(Equal(rendered(a)))
		second := startManager(ctx)
		seen := recordVersions(ctx)

		released, answered := make(chan struct{}), make(chan int, 100)
		release := sync.OnceFunc(func() { close(released) })
		DeferCleanup(release)
		held := make(chan struct{}, 100)
		p.fall(func(_ http.ResponseWriter, r *http.Request) bool {
			isLease := strings.Contains(r.URL.Path, "/leases/")
			if !isLease && (r.Method != http.MethodPatch || !strings.HasSuffix(r.URL.Path, "/configmaps/"+payload.ConfigMapName)) {
				return false
			}
			if isLease {
				<-r.Context().Done() // it is not renewed
				return true
			}
			body, err := io.ReadAll(r.Body)
			if err != nil {
				return true
			}
			late := r.Clone(context.WithoutCancel(r.Context())) // it goes on, whatever became of the sender
			late.Body = io.NopCloser(bytes.NewReader(body))
			held <- struct{}{}
			<-released
			answer := httptest.NewRecorder()
			p.pass.ServeHTTP(answer, late)
			answered <- answer.Code
			return true
		})
		change(ctx, a, entry("quay.io", "m2.local"))
		Eventually(held).Should(Receive())
		change(ctx, a, entry("quay.io", "m3.local"))
		Eventually(first.Exited()).Should(BeClosed())
		Expect(first.Log()).To(ContainSubstring("leader election lost"))
		Eventually(n.rules).Should(Equal(rendered(a)))
		Expect(second.Log()).To(ContainSubstring("Successfully acquired lease"))
		release()
		Eventually(answered).Should(Receive(Equal(http.StatusConflict)))
		n.keepsRules(a)
		Expect(seen()).To(And(ContainElement(WithTransform(version.text, ContainSubstring("m3.local"))), Not(ContainElement(WithTransform(version.text, ContainSubstring("m2.local"))))))
	})
})
