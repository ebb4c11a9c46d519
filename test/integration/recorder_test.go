// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package integration_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/go-logr/logr"
	"github.com/go-logr/logr/funcr"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	configv1 "github.com/mirrorset/mirrorset/api/config/v1"
	"github.com/mirrorset/mirrorset/internal/controller/records"
	"github.com/mirrorset/mirrorset/internal/history"
	"github.com/mirrorset/mirrorset/internal/kinds"
	"github.com/mirrorset/mirrorset/internal/payload"
	"github.com/mirrorset/mirrorset/test/controlplane"
)

var _ = Describe("A recorder", func() {
	const start = 1_800_000_000_000
	recorder := func() *records.Recorder {
		return &records.Recorder{Client: admin, Live: admin, Namespace: controlplane.Namespace}
	}
	// made is the payload of a set with a mirror, in a generation, and that set.
	made := func(revision, generation int64, mirror string) (payload.Payload, []kinds.Set) {
		GinkgoHelper()
		s := set("a", entry("quay.io", configv1.ImageMirror(mirror)))
		s.UID, s.Generation = types.UID("uid"), generation
		sets, err := kinds.Digest.FromList(&configv1.ImageDigestMirrorSetList{Items: []configv1.ImageDigestMirrorSet{*s}})
		Expect(err).NotTo(HaveOccurred())
		p := payload.New(revision, []byte(rendered(s)))
		p.Sets = kinds.DigestOf(sets)
		return p, sets
	}
	// record has a recorder keep what was made.
	record := func(ctx context.Context, r *records.Recorder, revision, generation int64, mirror string) payload.Payload {
		GinkgoHelper()
		p, sets := made(revision, generation, mirror)
		Expect(r.Record(ctx, p, sets)).To(Succeed())
		return p
	}
	// fill records so many texts, with the mirrors m1 and so on.
	fill := func(ctx context.Context, r *records.Recorder, count int64) {
		GinkgoHelper()
		for i := range count {
			record(ctx, r, start+i+1, i+1, fmt.Sprintf("m%d", i+1)+".local")
		}
	}
	// mirrors are those of the records, the latest first, with how far their revisions are beyond the start.
	mirrors := func(ctx context.Context) (all []string) {
		GinkgoHelper()
		for _, r := range recordsOf(ctx) {
			mirror, _, _ := strings.Cut(saying([]history.Record{r})[0], " ")
			all = append(all, fmt.Sprintf("%s@%d", strings.TrimSuffix(mirror, ".local"), r.Revision-start))
		}
		return all
	}

	It("asks for nothing and writes nothing where there is nothing new", func(ctx SpecContext) {
		c := &counted{Client: admin}
		r := &records.Recorder{Client: c, Live: c, Namespace: controlplane.Namespace}
		p, sets := made(start+1, 1, "m1.local")
		for range 3 {
			Expect(r.Record(ctx, p, sets)).To(Succeed())
		}
		Expect([]int{c.lists, c.writes}).To(Equal([]int{1, 1}))
		record(ctx, r, start+2, 2, "m2.local")
		Expect([]int{c.lists, c.writes}).To(Equal([]int{1, 2}), "what it knows it does not list again")
		p.Provisional, p.Revision = true, start+3
		Expect(r.Record(ctx, p, sets)).To(Succeed())
		Expect(mirrors(ctx)).To(Equal([]string{"m2@2", "m1@1"}))
	})

	It("has an earlier payload that is published again take the later revision, and goes on from it", func(ctx SpecContext) {
		r := recorder()
		fill(ctx, r, 3)
		p, _ := made(start+4, 1, "m1.local")
		Expect(r.Record(ctx, p, nil)).To(Succeed())
		Expect(mirrors(ctx)).To(Equal([]string{"m1@4", "m3@3", "m2@2"}))
		// The third text was of the same set in the same generation, as where the manager was told that a registry is insecure.
		p = record(ctx, r, start+5, 3, "m4.local")
		Expect(recordsOf(ctx)[0].Changes).To(ConsistOf(SatisfyAll(HaveField("What", "changed"), HaveField("Generation", BeEquivalentTo(3)))), "since the first text")
		p.Revision = start + 6
		Expect(r.Record(ctx, p, nil)).To(Succeed(), "as while changes are paused, and the ConfigMap was deleted")
		Expect(mirrors(ctx)).To(Equal([]string{"m4@6", "m1@4", "m3@3", "m2@2"}))
		p.Revision, p.Sets = start+7, ""
		Expect(r.Record(ctx, p, nil)).To(Succeed(), "as where somebody damaged it")
		Expect(mirrors(ctx)).To(Equal([]string{"m4@7", "m1@4", "m3@3", "m2@2"}))
		Expect(recordsOf(ctx)[0].Sets).To(HaveLen(1))
		record(ctx, r, start+8, 8, "m2.local")
		Expect(mirrors(ctx)).To(Equal([]string{"m2@8", "m4@7", "m1@4", "m3@3"}), "which was of another generation")
	})

	It("does not say that a text is of sets which it is not of", func(ctx SpecContext) {
		p, _ := made(start+1, 1, "m1.local")
		_, others := made(start+1, 2, "m1.local")
		Expect(recorder().Record(ctx, p, others)).To(Succeed())
		Expect(recordsOf(ctx)).To(ConsistOf(SatisfyAll(HaveField("Sets", BeEmpty()), HaveField("Partial", true), HaveField("SetsDigest", p.Sets))))
	})

	It("keeps what an undo names, whatever else there was since", func(ctx SpecContext) {
		r := recorder()
		first := record(ctx, r, start+1, 1, "m1.local")
		cm := &corev1.ConfigMap{ObjectMeta: configMapMeta}
		cm.Annotations = payload.Rollout{Undone: &payload.Undo{Revision: start + 1, Digest: first.Digest}}.Annotations()
		Expect(admin.Create(ctx, cm)).To(Succeed())
		fill(ctx, r, 12)
		Expect(mirrors(ctx)).To(Equal([]string{"m12@12", "m11@11", "m10@10", "m9@9", "m8@8", "m7@7", "m6@6", "m5@5", "m4@4", "m3@3", "m1@1"}))
		found, err := r.Find(ctx, first.Digest)
		Expect(err).NotTo(HaveOccurred())
		Expect(found.Revision).To(BeEquivalentTo(start + 1))
	})

	It("of a manager that lost its lease gives no record an earlier revision", func(ctx SpecContext) {
		old := recorder()
		fill(ctx, old, 3)
		p, _ := made(start+5, 1, "m1.local")
		Expect(recorder().Record(ctx, p, nil)).To(Succeed())
		p.Revision--
		err := old.Record(ctx, p, nil)
		Expect(apierrors.IsConflict(err)).To(BeTrue(), "error %v", err)
		Expect(old.Record(ctx, p, nil)).To(Succeed(), "now that it has looked again")
		Expect(mirrors(ctx)).To(Equal([]string{"m1@5", "m3@3", "m2@2"}))
	})

	It("of a manager that lost its lease takes nothing away from its successor's", func(ctx SpecContext) {
		old, successor := recorder(), recorder()
		fill(ctx, old, 10)
		p, _ := made(start+11, 1, "m1.local")
		Expect(successor.Record(ctx, p, nil)).To(Succeed())
		want := []string{"m1@11", "m10@10", "m9@9", "m8@8", "m7@7", "m6@6", "m5@5", "m4@4", "m3@3", "m2@2"}
		Expect(mirrors(ctx)).To(Equal(want))

		// The old one has published before, and takes m1 for the first.
		p, sets := made(start+10, 20, "m20.local")
		err := old.Record(ctx, p, sets)
		Expect(apierrors.IsConflict(err)).To(BeTrue(), "error %v", err)
		Expect(mirrors(ctx)).To(ContainElement("m1@11"))
		Expect(old.Record(ctx, p, sets)).To(Succeed(), "now that it has looked again")
		Expect(mirrors(ctx)).To(ContainElements("m1@11", "m20@10", "m10@10"))
		p, _ = made(start+9, 1, "m1.local")
		Expect(old.Record(ctx, p, nil)).To(Succeed())
		Expect(mirrors(ctx)).To(ContainElement("m1@11"))
		p, sets = made(start+12, 21, "m21.local")
		Expect(recorder().Record(ctx, p, sets)).To(Succeed())
		Expect(mirrors(ctx)).To(HaveLen(history.Limit))
	})

	It("finds the latest record, whoever wrote it", func(ctx SpecContext) {
		r := recorder()
		found, err := r.Latest(ctx)
		Expect(err).NotTo(HaveOccurred())
		Expect(found).To(BeNil())
		fill(ctx, r, 3)
		p, _ := made(start+4, 1, "forged.local")
		forged := history.OfUnknown(p)
		object, err := forged.Object(controlplane.Namespace)
		Expect(err).NotTo(HaveOccurred())
		Expect(admin.Create(ctx, object)).To(Succeed())
		found, err = r.Latest(ctx)
		Expect(err).NotTo(HaveOccurred())
		Expect(found.Payload(start + 5).Text).To(Equal(p.Text))
		found, err = r.Find(ctx, p.Digest)
		Expect(err).NotTo(HaveOccurred())
		Expect(found.Text).To(Equal(p.Text))
		Expect(admin.Delete(ctx, object)).To(Succeed())
		found, err = r.Latest(ctx)
		Expect(err).NotTo(HaveOccurred())
		Expect(found.Revision).To(BeEquivalentTo(start + 3))
	})

	It("is of objects whose text nobody can change", func(ctx SpecContext) {
		r := recorder()
		fill(ctx, r, 2)
		objects := recordObjects(ctx)
		objects[0].Data = objects[1].Data
		Expect(admin.Update(ctx, &objects[0])).To(MatchError(ContainSubstring("field is immutable")))
		Expect(mirrors(ctx)).To(Equal([]string{"m2@2", "m1@1"}))
	})

	It("passes over what is no record, once in the log, and what nobody published displaces nothing", func(ctx SpecContext) {
		var log []string
		logged := logr.NewContext(ctx, funcr.New(func(_, line string) { log = append(log, line) }, funcr.Options{}))
		forge := func(name string, forge func(*appsv1.ControllerRevision)) {
			GinkgoHelper()
			p, _ := made(start+1_000_000, 1, name)
			forged := history.OfUnknown(p)
			object, err := forged.Object(controlplane.Namespace)
			Expect(err).NotTo(HaveOccurred())
			forge(object)
			Expect(admin.Create(ctx, object)).To(Succeed())
		}
		forge("x.local", func(o *appsv1.ControllerRevision) { o.Data.Raw = []byte(`{"spec": {}}`) })
		forge("y.local", func(o *appsv1.ControllerRevision) {
			o.Revision++
			o.Data.Raw = []byte(strings.Replace(string(o.Data.Raw), `"text":"H4sI`, `"text":"AAAA`, 1))
		})
		for i := range 12 {
			forge(fmt.Sprintf("z%d.local", i), func(*appsv1.ControllerRevision) {})
		}
		r := recorder()
		for range 2 {
			found, err := r.Latest(logged)
			Expect(err).NotTo(HaveOccurred())
			Expect(found.Revision).To(BeEquivalentTo(start + 1_000_000))
		}
		Expect(log).To(HaveLen(2), "a line for each of the two")
		for i := range int64(11) {
			p, sets := made(start+i+1, i+1, fmt.Sprintf("m%d.local", i+1))
			Expect(r.Record(logged, p, sets)).To(Succeed())
		}
		Expect(log).To(HaveLen(2))
		p := record(ctx, recorder(), start+12, 12, "m12.local")
		found, err := r.Find(logged, p.Digest)
		Expect(err).NotTo(HaveOccurred())
		Expect(found.Changes).To(ConsistOf(HaveField("What", "changed")), "and not in comparison with what nobody published")
		gone, _ := made(start+1, 1, "m1.local")
		found, err = r.Find(logged, gone.Digest)
		Expect(err).NotTo(HaveOccurred())
		Expect(found).To(BeNil(), "the first of twelve")
		Expect(recordObjects(ctx)).To(HaveLen(14 + history.Limit))
	})

	It("says what to do where something else has the name of a record", func(ctx SpecContext) {
		p, sets := made(start+1, 1, "m1.local")
		foreign := history.OfUnknown(p)
		object, err := foreign.Object(controlplane.Namespace)
		Expect(err).NotTo(HaveOccurred())
		object.Labels = nil
		Expect(admin.Create(ctx, object)).To(Succeed())
		DeferCleanup(func(ctx SpecContext) { Expect(client.IgnoreNotFound(admin.Delete(ctx, object))).To(Succeed()) })
		r := recorder()
		for range 2 {
			Expect(r.Record(ctx, p, sets)).To(MatchError(ContainSubstring("already exists; delete it, unless the label app.kubernetes.io/component=rules-history shows that it is the record of another manager")))
		}
		Expect(admin.Delete(ctx, object)).To(Succeed())
		Expect(r.Record(ctx, p, sets)).To(Succeed())
	})

	It("keeps the largest text there can be, with ten thousand sets, in an API server and etcd as they are", Serial, func(ctx SpecContext) {
		random := rand.New(rand.NewPCG(1, 2))
		noise := func(length int) string {
			name := make([]byte, length)
			for i := range name {
				name[i] = byte('a' + random.IntN(26))
			}
			return string(name)
		}
		var list configv1.ImageDigestMirrorSetList
		var entries []configv1.ImageDigestMirrors
		for range 10_000 {
			s := set(noise(63))
			s.UID, s.Generation = types.UID(noise(36)), 1
			list.Items = append(list.Items, *s)
		}
		for range 13_800 {
			entries = append(entries, entry(noise(50)+".com", configv1.ImageMirror(noise(50)+".local")))
		}
		sets, err := kinds.Digest.FromList(&list)
		Expect(err).NotTo(HaveOccurred())
		p := payload.New(start+1, []byte(rendered(set("x", entries...))))
		p.Sets = kinds.DigestOf(sets)
		_, binaryData, err := p.Data()
		Expect(err).NotTo(HaveOccurred())
		Expect(len(binaryData[payload.CompressedKey])).To(BeNumerically(">", 850<<10), "or the text is not the largest")
		r := recorder()
		Expect(r.Record(ctx, p, sets)).To(Succeed())
		p.Revision++
		Expect(r.Record(ctx, p, nil)).To(Succeed())
		kept := recordsOf(ctx)
		Expect(kept).To(HaveLen(1))
		Expect(kept[0].Partial).To(BeTrue())
		Expect(kept[0].Revision).To(BeEquivalentTo(start + 2))
		AddReportEntry("Record", fmt.Sprintf("%d bytes with %d sets", len(recordObjects(ctx)[0].Data.Raw), len(kept[0].Sets)))
		Expect(slices.IsSortedFunc(kept[0].Sets, func(a, b history.Set) int { return strings.Compare(a.Name, b.Name) })).To(BeTrue())
	})
})
