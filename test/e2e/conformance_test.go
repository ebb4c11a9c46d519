// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"fmt"
	"path"
	"slices"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/mirrorset/mirrorset/test/conformance"
)

// The tests of test/conformance hold explain and the library of CRI-O and Podman to the same cases.
var _ = Describe("a runtime that pulls by the agent's files", Ordered, ContinueOnFailure, longest, func() {
	cases, err := conformance.Load()
	if err != nil {
		panic(err) // no spec can be made of them; `make test` says it better
	}
	var (
		j       *judges
		started time.Time
	)

	BeforeAll(func(ctx SpecContext) {
		j = startJudges(ctx, slices.Concat(cases, wholeCases()))
		started = time.Now()
	}, setUpTimeout)

	AfterEach(func() {
		if j != nil && CurrentSpecReport().Failed() {
			AddReportEntry("state", j.state(), ReportEntryVisibilityFailureOrVerbose)
		}
	})

	for i := range cases {
		c := &cases[i]
		for _, judge := range []string{newContainerd, debianContainerd} {
			It(judge+": "+c.Name, func(ctx SpecContext) {
				j.putInForce(ctx, c)
				j.expectWalk(ctx, judge, c)
				if pull, _ := order(c); len(pull) > 0 {
					j.expectLast(ctx, judge, c)
					j.expectFirst(ctx, judge, c)
				}
			}, nodeTimeout)
		}
		It("Podman: "+c.Name, func(ctx SpecContext) {
			j.putInForce(ctx, c)
			j.expectPodman(ctx, c)
		}, nodeTimeout)
	}

	itTakesWholeRegistriesByTheRedirector(func() *judges { return j })

	AfterAll(func() {
		if j != nil && len(j.containerd) == 2 {
			AddReportEntry("figures", fmt.Sprintf("%d cases, %d pulls by %s and %s in %s", len(cases), j.pulls,
				j.containerd[newContainerd].version, j.containerd[debianContainerd].version, time.Since(started).Round(time.Second)), ReportEntryVisibilityAlways)
		}
	})
})

// order returns the places that a containerd tries for the image, and for what it found by tag, each once; found are the mirrors
// that it was sent to for a tag before, which stand behind the others for digests (T10).
func order(c *conformance.Case, found ...string) (pull, content []string) {
	pull, content = pullOf(c), c.Content
	if content == nil {
		content = pull
	}
	var source []string
	if n := len(content); n > 0 && content[n-1] == repositoryOf(c) {
		content, source = content[:n-1], content[n-1:]
	}
	content = slices.Clone(content)
	for _, place := range pull { // in the order of the mirrors for tags
		if slices.Contains(found, place) {
			content = append(content, place)
		}
	}
	return once(pull), once(slices.Concat(content, source))
}

// repositoryOf returns the source's own place for the image.
func repositoryOf(c *conformance.Case) string {
	GinkgoHelper()
	name, err := c.Repository()
	Expect(err).NotTo(HaveOccurred())
	return name
}

func once(places []string) []string {
	all := []string{}
	for _, place := range places {
		if place = dialed(place); !slices.Contains(all, place) {
			all = append(all, place)
		}
	}
	return all
}

// pull has a containerd pull a new image that is at these places, and returns its error.
func (j *judges) pull(ctx SpecContext, judge string, c *conformance.Case, places ...string) error {
	GinkgoHelper()
	image := tinyImage()
	digest, err := image.Digest()
	Expect(err).NotTo(HaveOccurred())
	j.begin(c.Insecure, image, places...)
	j.pulls++
	reference := c.Reference(digest.String())
	if strings.Contains(path.Base(reference), ":") && !c.ByDigest() { // the redirector remembers for a moment that a mirror lacks a tag
		reference += fmt.Sprintf("-%d", j.pulls)
	}
	return j.containerd[judge].pull(ctx, reference)
}

// expectWalk wants that all places are asked, in order, when none has the image.
func (j *judges) expectWalk(ctx SpecContext, judge string, c *conformance.Case) {
	GinkgoHelper()
	err := j.pull(ctx, judge, c)
	pull, _ := order(c)
	if c.ByDigest() {
		j.expectAsked(nil, pull)
	} else {
		j.expectAsked(pull, nil)
	}
	Expect(err).To(HaveOccurred())
}

// expectLast wants that the pull succeeds when only the last place has the image, after all others were asked.
func (j *judges) expectLast(ctx SpecContext, judge string, c *conformance.Case) {
	GinkgoHelper()
	last := pullOf(c)[len(pullOf(c))-1]
	err := j.pull(ctx, judge, c, last)
	j.expectFoundAt(c, last, last)
	Expect(err).NotTo(HaveOccurred())
}

// expectFirst wants that only the first place is asked when all have the image.
func (j *judges) expectFirst(ctx SpecContext, judge string, c *conformance.Case) {
	GinkgoHelper()
	pull, content := order(c, pullOf(c)...)
	err := j.pull(ctx, judge, c, slices.Concat(pull, content)...)
	first := pullOf(c)[0]
	_, content = order(c, append(j.found, first)...)
	j.expectFoundAt(c, first, content[0])
	Expect(err).NotTo(HaveOccurred())
}

// expectFoundAt wants that the places up to the one that has the image were asked, and, for a tag, then those for its content up to the one that
// has it.
func (j *judges) expectFoundAt(c *conformance.Case, place, contentAt string) {
	GinkgoHelper()
	if !c.ByDigest() {
		j.found = append(j.found, place)
	}
	pull, content := order(c, j.found...)
	pull = pull[:slices.Index(pull, dialed(place))+1]
	if c.ByDigest() {
		j.expectAsked(nil, pull)
		return
	}
	j.expectAsked(pull, content[:slices.Index(content, dialed(contentAt))+1])
}

func pullOf(c *conformance.Case) []string {
	if c.Containerd != nil {
		return c.Containerd.Pull
	}
	return c.Pull
}

// expectAsked wants that manifests were asked for at these places, in the order of the first request, by tag and by digest;
// that nobody else was asked for anything; and how.
func (j *judges) expectAsked(byTag, byDigest []string) {
	GinkgoHelper()
	var tags, digests, places []string
	for _, r := range j.asked() {
		host, _, _ := strings.Cut(r.place, "/")
		if r.place == host+"/v2/" { // who begins by asking what the registry is
			Expect(slices.Concat(byTag, byDigest)).To(ContainElement(HavePrefix(host+"/")), r.String())
			continue
		}
		places = append(places, r.place)
		switch {
		case r.kind != "manifests":
		case strings.HasPrefix(r.object, "sha256:"):
			digests = append(digests, r.place)
		default:
			tags = append(tags, r.place)
		}
		Expect(r.authorization).To(BeEmpty(), r.String())
		if !j.isInsecure(host) {
			Expect(r.scheme).To(Equal("https"), r.String())
		}
	}
	Expect(once(tags)).To(Equal(once(byTag)), "places that were asked for a tag")
	Expect(once(digests)).To(Equal(once(byDigest)), "places that were asked for a digest")
	for _, place := range places {
		Expect(slices.Concat(byTag, byDigest)).To(ContainElement(place), "a place that was asked for anything")
	}
}
