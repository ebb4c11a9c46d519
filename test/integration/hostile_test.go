// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package integration_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"time"
	"unicode"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"go.podman.io/image/v5/pkg/sysregistriesv2"
	"go.podman.io/image/v5/types"
	eventsv1 "k8s.io/api/events/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"sigs.k8s.io/controller-runtime/pkg/client"

	configv1 "github.com/mirrorset/mirrorset/api/config/v1"
	"github.com/mirrorset/mirrorset/internal/certsd"
	"github.com/mirrorset/mirrorset/test/controlplane"
)

// memoryLimit is the one of the manager's and the agents' containers, in MiB.
const memoryLimit = 512

// statusOf is what a set of either kind says of itself.
func statusOf(object client.Object) *configv1.MirrorSetStatus {
	switch s := object.(type) {
	case *configv1.ImageDigestMirrorSet:
		return &s.Status
	case *configv1.ImageTagMirrorSet:
		return &s.Status
	}
	return nil
}

// unprintable returns the first character of a text that does more than stand there; "" where there is none.
func unprintable(text string) string {
	at := strings.IndexFunc(text, func(r rune) bool { return r != '\n' && r != '\t' && !unicode.IsPrint(r) })
	if at < 0 {
		return ""
	}
	return fmt.Sprintf("%q", text[max(0, at-100):min(len(text), at+20)])
}

// readByRuntimes returns what the library of CRI-O and Podman makes of a text.
func readByRuntimes(text []byte) []sysregistriesv2.Registry {
	GinkgoHelper()
	dir := GinkgoT().TempDir()
	system := &types.SystemContext{SystemRegistriesConfPath: filepath.Join(dir, "registries.conf"), SystemRegistriesConfDirPath: filepath.Join(dir, "none")}
	Expect(os.WriteFile(system.SystemRegistriesConfPath, text, 0o600)).To(Succeed())
	registries, err := sysregistriesv2.GetRegistries(system)
	Expect(err).NotTo(HaveOccurred())
	return registries
}

// Serial, because some of these sets keep an API server busy for seconds, and it takes 34 s at most for what it is asked.
var _ = Describe("Sets that mean harm", Serial, func() {
	var manager *controlplane.Process
	peak := func() int {
		GinkgoHelper()
		mib, err := manager.PeakMemory()
		Expect(err).NotTo(HaveOccurred())
		return mib
	}
	// send creates a set, and fails where it is invalid. A busy API server may take longer for the largest than it takes time for.
	send := func(ctx context.Context, s hostileSet, options ...client.CreateOption) (invalid error) {
		GinkgoHelper()
		Eventually(func() error {
			err := admin.Create(ctx, s.DeepCopyObject().(client.Object), options...)
			if invalid = nil; apierrors.IsInvalid(err) {
				invalid = err
				return nil
			}
			return client.IgnoreAlreadyExists(err)
		}).WithTimeout(5*time.Minute).Should(Succeed(), s.GetName())
		return invalid
	}
	// publishedAfter creates a good set, and returns how long it took until it was published.
	publishedAfter := func(ctx context.Context, name string) time.Duration {
		GinkgoHelper()
		source := name + ".test"
		began := time.Now()
		create(ctx, set(name, entry(source, "m.test")))
		Eventually(func() (string, error) {
			p, err := published(ctx)
			return string(p.Text), err
		}).Should(ContainSubstring("\nlocation = %q\n", source))
		return time.Since(began)
	}

	It("bring about no rule that nobody asked for, and keep none from anybody else", func(ctx SpecContext) {
		sets, all := hostileSets()
		refused := make(map[string]bool)
		for _, s := range sets { // by the CRD as it is
			err := send(ctx, s, client.DryRunAll)
			refused[s.GetName()] = err != nil
		}
		relaxCRDs(ctx)
		manager = startManager(ctx, alone)
		n := newNode()
		Expect(os.MkdirAll(n.path("etc/containerd/certs.d"), 0o755)).To(Succeed()) // or there is no containerd
		agent := startAgent(ctx, n)
		Eventually(published).WithContext(ctx).Should(HaveField("Revision", BeNumerically(">", 0)))
		for _, s := range sets {
			Expect(send(ctx, s)).To(Succeed())
		}
		Expect(len(sets)).To(BeNumerically(">=", 300))
		took := publishedAfter(ctx, "behind-them")

		text := mustPublished(ctx).Text
		in := make(map[string]bool)
		rules := 0
		for _, r := range readByRuntimes(text) {
			in[r.Prefix] = true
			rules++
			Expect(r.Blocked || r.Insecure).To(BeFalse(), r.Prefix)
			if r.Prefix == "behind-them.test" {
				continue
			}
			Expect(all).To(HaveKey(r.Prefix))
			for _, m := range r.Mirrors {
				Expect(all[r.Prefix]).To(HaveKey(m.Location), r.Prefix)
				if m.Insecure { // as an annotation has it that names the mirror alone
					Expect(hostile).To(ContainElement(m.Location))
				}
			}
		}
		bad := 0
		for _, s := range sets {
			Expect(in).To(HaveKey(s.good), s.GetName())
			Eventually(func(g Gomega) {
				g.Expect(admin.Get(ctx, client.ObjectKeyFromObject(s.Object), s.Object)).To(Succeed())
				status := statusOf(s.Object)
				g.Expect(status.Conditions).NotTo(BeEmpty(), s.GetName())
				if refused[s.GetName()] {
					g.Expect(meta.IsStatusConditionFalse(status.Conditions, configv1.ConditionAccepted)).To(BeTrue(), s.GetName())
				}
			}).Should(Succeed())
			if refused[s.GetName()] {
				bad++
			}
			for _, c := range statusOf(s.Object).Conditions {
				Expect(unprintable(c.Message)).To(BeEmpty(), s.GetName())
				Expect(len(c.Message)).To(BeNumerically("<", 20<<10), s.GetName())
			}
			for _, f := range statusOf(s.Object).Findings {
				Expect(unprintable(f.Message)).To(BeEmpty(), s.GetName())
				Expect(len(f.Message)).To(BeNumerically("<", 8<<10), s.GetName())
			}
		}
		var events eventsv1.EventList
		Expect(admin.List(ctx, &events)).To(Succeed())
		for _, e := range events.Items {
			Expect(unprintable(e.Note)).To(BeEmpty(), e.Regarding.Name)
		}
		Expect(unprintable(manager.Log())).To(BeEmpty())
		Expect(peak()).To(BeNumerically("<", memoryLimit))

		Eventually(n.rules).WithTimeout(3 * time.Minute).Should(Equal(string(text)))
		var files []string
		Eventually(func() (int, error) {
			var err error
			files, err = filepath.Glob(n.path("etc/containerd/certs.d/*/hosts.toml"))
			return len(files), err
		}).WithTimeout(3*time.Minute).Should(BeNumerically(">", 5000), "one for each registry")
		for _, file := range files {
			content, err := os.ReadFile(file)
			Expect(err).NotTo(HaveOccurred())
			_, err = certsd.Parse(filepath.Base(filepath.Dir(file)), content)
			Expect(err).NotTo(HaveOccurred(), file)
		}
		Expect(unprintable(agent.Log())).To(BeEmpty())
		agentPeak, err := agent.PeakMemory()
		Expect(err).NotTo(HaveOccurred())
		Expect(agentPeak).To(BeNumerically("<", memoryLimit))
		AddReportEntry("figures", fmt.Sprintf("%d sets, %d of them with parts refused; %d rules, %d bytes, %d hosts.toml; a good set published after %s; manager %d MiB, agent %d MiB; %d bytes of log",
			len(sets), bad, rules, len(text), len(files), took.Round(time.Millisecond), peak(), agentPeak, len(manager.Log())), ReportEntryVisibilityAlways)
	})

	DescribeTable("leave what is published as it is, and say so, where the rules are too large:", func(ctx SpecContext, names string, make func() []client.Object) {
		manager = startManager(ctx, alone)
		publishedAfter(ctx, "before-them")
		sets := make()
		last := sets[len(sets)-1] // with which they are too large
		for _, s := range sets {
			Expect(admin.Create(ctx, s)).To(Succeed())
		}
		stalled := func(g Gomega) {
			g.Expect(admin.Get(ctx, client.ObjectKeyFromObject(last), last)).To(Succeed())
			c := meta.FindStatusCondition(statusOf(last).Conditions, configv1.ConditionStalled)
			g.Expect(c).NotTo(BeNil())
			g.Expect(c.Message).To(ContainSubstring(names))
		}
		Eventually(stalled).Should(Succeed())
		Expect(mustPublished(ctx).Text).To(ContainSubstring("before-them.test"))
		Expect(mustPublished(ctx).Text).NotTo(ContainSubstring(last.GetName()))
		Expect(admin.Delete(ctx, last)).To(Succeed())
		publishedAfter(ctx, "behind-them")
		Expect(peak()).To(BeNumerically("<", memoryLimit))
		AddReportEntry("figures", fmt.Sprintf("manager %d MiB", peak()), ReportEntryVisibilityAlways)
	},
		Entry("5,000 sources inherit 10,000 mirrors", "more than 8 MiB", func() []client.Object {
			var below []configv1.ImageDigestMirrors
			for i := range 5000 {
				below = append(below, entry(fmt.Sprintf("s.test/%d", i), "m.test"))
			}
			return []client.Object{set("below", below...), newTagSet("broad", configv1.ImageTagMirrors{Source: "s.test", Mirrors: many(10_000, "m-%d.test")})}
		}),
		Entry("they cannot be compressed", "too large for a ConfigMap", func() (sets []client.Object) {
			random := rand.New(rand.NewPCG(1, 2))
			for i := range 2 {
				noise := make([]configv1.ImageMirror, 5000)
				for j := range noise {
					text := make([]byte, 200)
					for k := range text {
						text[k] = "abcdefghijklmnopqrstuvwxyz0123456789"[random.IntN(36)]
					}
					noise[j] = configv1.ImageMirror("m.test/" + string(text))
				}
				sets = append(sets, set(fmt.Sprintf("noise-%d", i), entry(fmt.Sprintf("noise-%d.test", i), noise...)))
			}
			return sets
		}),
	)
})
