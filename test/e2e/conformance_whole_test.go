// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"net/http"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/mirrorset/mirrorset/test/conformance"
)

// whole has rules for whole registries and for parts of some, and images of them. Pull is where each comes from while the agent is away, and whatever
// stands behind the redirector's entries stands in.
var whole = []conformance.Case{
	{Image: "open.whole.test/x/app@digest", Pull: []string{"alpha.whole.test/open/x/app", "open.whole.test/x/app"}},
	{Image: "open.whole.test/x/app:1", Pull: []string{"open.whole.test/x/app"}, Content: []string{"alpha.whole.test/open/x/app", "open.whole.test/x/app"}},
	{Image: "shut.whole.test/x/app@digest", Pull: []string{"alpha.whole.test/shut/x/app", "beta.whole.test/shut/x/app"}},
	{Image: "shut.whole.test/x/app:1", Pull: []string{}},
	{Image: "plain.whole.test/x/app@digest", Pull: []string{"gamma.whole.test/plain/x/app", "plain.whole.test/x/app"}},
	{Image: "part.whole.test/team/app@digest", Pull: []string{"part.whole.test/team/app"}},
	{Image: "half.whole.test/team/app@digest", Pull: []string{}},
	{Image: "half.whole.test/shut/app@digest", Pull: []string{}},
	{Image: "any.wild.whole.test/x/app@digest", Pull: []string{"any.wild.whole.test/x/app"}},
}

const wholeSets = `a: open.whole.test -> alpha.whole.test/open
a: shut.whole.test -> alpha.whole.test/shut, beta.whole.test/shut [Never]
a: plain.whole.test -> gamma.whole.test/plain
a: part.whole.test/team -> alpha.whole.test/part
a: half.whole.test/shut -> alpha.whole.test/half [Never]
a: *.wild.whole.test -> alpha.whole.test/wild`

// wholeCases returns these with their rules, as one case: they are in force together.
func wholeCases() []conformance.Case {
	all := make([]conformance.Case, 0, len(whole))
	for _, c := range whole {
		c.Name, c.Sets, c.Insecure = "whole registries", wholeSets, []string{"gamma.whole.test", "plain.whole.test"}
		all = append(all, c)
	}
	return all
}

// fails has a place answer in this way. It returns how often it has been asked for the image itself.
func (j *judges) fails(place, how string) (asked func() int) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.faults = map[string]func(http.ResponseWriter, *http.Request) bool{place: badAnswers[how]}
	return func() (n int) {
		for _, r := range j.asked() {
			if r.place == place {
				n++
			}
		}
		return n
	}
}

// itTakesWholeRegistriesByTheRedirector adds specs about registries that hosts.toml could say all about. In the end there is no agent any more.
func itTakesWholeRegistriesByTheRedirector(of func() *judges) {
	cases := wholeCases()
	for _, judge := range []string{newContainerd, debianContainerd} {
		// containerd waits 30 seconds for each of the four requests and more that a pull has, and so would the client of these specs for all of it.
		for _, how := range []string{"hangs", "has other content"} {
			It(judge+" passes over the first mirror of a blocked registry where that "+how, func(ctx SpecContext) {
				j := of()
				j.putInForce(ctx, &cases[0])
				image := tinyImage()
				digest, err := image.Digest()
				Expect(err).NotTo(HaveOccurred())
				// The redirector remembers for a while what it found out about a repository.
				repository := map[string]string{newContainerd: "/new/", debianContainerd: "/old/"}[judge] + strings.ReplaceAll(how, " ", "-")
				j.begin(cases[0].Insecure, image, "beta.whole.test/shut"+repository)
				asked := j.fails("alpha.whole.test/shut"+repository, how)
				started := time.Now()
				Expect(j.containerd[judge].pull(ctx, "shut.whole.test"+repository+"@"+digest.String())).To(Succeed())
				reportTime("the pull took", started)
				j.expectAsked(nil, []string{"alpha.whole.test/shut" + repository, "beta.whole.test/shut" + repository})
				if how == "hangs" {
					Expect(asked()).To(Equal(1), "one deadline, once")
				}
			}, nodeTimeout)
		}

		It(judge+" says who refuses an image, or at least that somebody does", func(ctx SpecContext) {
			j := of()
			j.putInForce(ctx, &cases[0])
			message := map[string]string{newContainerd: "source shut.whole.test is blocked by policy NeverContactSource", debianContainerd: "403 Forbidden"}[judge]
			Expect(j.pull(ctx, judge, &cases[2])).To(MatchError(ContainSubstring(message)))
			Expect(j.pull(ctx, judge, &cases[3])).To(MatchError(ContainSubstring(message)))
		}, nodeTimeout)
	}

	Describe("while the agent is away", Ordered, func() {
		BeforeAll(func(ctx SpecContext) {
			j := of()
			j.putInForce(ctx, &cases[0])
			Expect(j.agent.End()).To(Succeed())
			j.found = nil
		}, setUpTimeout)

		for i := range cases {
			c := &cases[i]
			for _, judge := range []string{newContainerd, debianContainerd} {
				It(judge+" pulls "+c.Image, func(ctx SpecContext) {
					j := of()
					j.expectWalk(ctx, judge, c)
					if len(c.Pull) > 0 {
						j.expectLast(ctx, judge, c)
						j.expectFirst(ctx, judge, c)
					}
				}, nodeTimeout)
			}
		}
	})
}
