// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/mirrorset/mirrorset/internal/accesslog"
)

// answered is one line of a registry's own log.
type answered struct {
	registry, repository string
	byContainerd         bool // or else the redirector asked
	outcome              accesslog.Outcome
}

// ownLogs are those of the registries of a spec.
type ownLogs struct {
	mu    sync.Mutex
	lines []answered
}

// statusWriter remembers what was answered.
type statusWriter struct {
	http.ResponseWriter
	status int
}

func (w *statusWriter) WriteHeader(status int) {
	w.status = status
	w.ResponseWriter.WriteHeader(status)
}

// keep has a registry write its own log from now on. Repositories whose name begins with "wrong" have other content than their digest says.
func (l *ownLogs) keep(r *countedRegistry) {
	handler := r.server.Config.Handler
	r.server.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		status := &statusWriter{w, http.StatusOK}
		line := answered{registry: r.host, byContainerd: strings.HasPrefix(req.UserAgent(), "containerd/")}
		line.repository, _, _ = strings.Cut(strings.TrimPrefix(strings.TrimPrefix(req.URL.Path, "/v2/"), r.host), "/manifests/")
		line.repository, _, _ = strings.Cut(line.repository, "/blobs/")
		defer func() {
			switch {
			case req.Context().Err() != nil && strings.HasPrefix(line.repository, "silent"):
				line.outcome = accesslog.Silent
			case status.status == http.StatusUnauthorized: // by which containerd goes on: no mirror that answers so is streamed here
				line.outcome = accesslog.CameBack
			case status.status == http.StatusNotFound:
				line.outcome = accesslog.Missing
			case status.status >= 300:
				line.outcome = accesslog.Error
			case strings.HasPrefix(line.repository, "wrong") && r.answer != nil:
				line.outcome = accesslog.WrongContent
			default:
				line.outcome = accesslog.Served
			}
			l.mu.Lock()
			defer l.mu.Unlock()
			l.lines = append(l.lines, line)
		}()
		handler.ServeHTTP(status, req)
	})
}

// of counts the lines about a place by outcome, of one of the two who ask.
func (l *ownLogs) of(place string, byContainerd bool) map[accesslog.Outcome]int {
	l.mu.Lock()
	defer l.mu.Unlock()
	counts := make(map[accesslog.Outcome]int)
	for _, line := range l.lines {
		if line.registry+"/"+line.repository == place && line.byContainerd == byContainerd {
			counts[line.outcome]++
		}
	}
	return counts
}

// perPlace has counts by place and outcome.
type perPlace map[string]map[accesslog.Outcome]int

func (p perPlace) add(place string, outcome accesslog.Outcome, n int) {
	if p[place] == nil {
		p[place] = make(map[accesslog.Outcome]int)
	}
	p[place][outcome] += n
}

// counted adds what a counter says, unless that is 0.
func (p perPlace) counted(place, outcome, count string) {
	GinkgoHelper()
	n, err := strconv.Atoi(count)
	Expect(err).NotTo(HaveOccurred())
	if n > 0 {
		p.add(place, accesslog.Outcome(outcome), n)
	}
}

// The patterns find the counters by mirror and by source, whose labels are in the order of their names.
var (
	mirrorSample = regexp.MustCompile(`(?m)^mirrorset_mirror_requests_total\{mirror="([^"]+)",outcome="([^"]+)"\} (\d+)$`)
	sourceSample = regexp.MustCompile(`(?m)^mirrorset_source_requests_total\{outcome="([^"]+)",source="([^"]+)"\} (\d+)$`)
)

// metrics are those of the agent about mirrors and about sources.
func (s *site) metrics(ctx context.Context, token string) (atMirrors, atSources perPlace) {
	GinkgoHelper()
	ip := s.kubectl(ctx, "get", "nodes", "-o", `jsonpath={.items[0].status.addresses[?(@.type=="InternalIP")].address}`)
	status, body := scrape(ctx, net.JoinHostPort(ip, "290"), token)
	Expect(status).To(Equal(http.StatusOK), body)
	atMirrors, atSources = make(perPlace), make(perPlace)
	for _, m := range mirrorSample.FindAllStringSubmatch(body, -1) {
		atMirrors.counted(m[1], m[2], m[3])
	}
	for _, m := range sourceSample.FindAllStringSubmatch(body, -1) {
		atSources.counted(m[2], m[1], m[3])
	}
	return atMirrors, atSources
}

// pullsSeen is the access log of the node's agent, read as the plugin reads it.
func (s *site) pullsSeen(ctx context.Context) (pulls []accesslog.Pull) {
	GinkgoHelper()
	out := s.kubectl(ctx, "exec", "-n", namespace, "daemonset/mirrorset-agent", "-c", "agent", "--", "/agent", "pulls")
	lines := bufio.NewScanner(strings.NewReader(out))
	for lines.Scan() {
		var pull accesslog.Pull
		if json.Unmarshal(lines.Bytes(), &pull) == nil && pull.ID > 0 {
			pulls = append(pulls, pull)
		}
	}
	return pulls
}

// locationOf is the mirror or source, of those that are known, which a place lies in.
func locationOf(place string, known perPlace) string {
	for location := range known {
		if place == location || strings.HasPrefix(place, location+"/") {
			return location
		}
	}
	return place
}

var _ = Describe("what is seen of pulls", func() {
	It("is the same in the metrics, the access log and the registries' own logs", func(ctx SpecContext) {
		s := newSite(ctx)
		token := s.prometheusToken(ctx)
		s.setArgument(ctx, "--agent-metrics-bind-address=:290")
		own := &ownLogs{}
		for _, r := range []*countedRegistry{s.source, s.first, s.second, s.third, s.mirror} {
			own.keep(r)
		}
		s.first.answer = func(w http.ResponseWriter, r *http.Request) bool {
			switch {
			case strings.HasPrefix(r.URL.Path, "/v2/wrong/"):
				return badAnswers["has other content"](w, r)
			case strings.HasPrefix(r.URL.Path, "/v2/silent/"):
				return badAnswers["hangs"](w, r)
			case strings.HasPrefix(r.URL.Path, "/v2/login/"):
				w.Header().Set("WWW-Authenticate", `Basic realm="site"`)
				w.WriteHeader(http.StatusUnauthorized)
				return true
			}
			return false
		}
		// Where each image is, and what becomes of it.
		repositories := []string{"served", "missing", "silent", "wrong", "login", "streamed", "open", "shut"}
		holders := map[string]*countedRegistry{"served": s.first, "streamed": s.mirror, "open": s.source}
		manifests := []string{never("30-shut", s.source.host+"/shut", s.first.host+"/shut"), set("50-whole", s.third.host, s.first.host+"/whole")}
		references := make(map[string]string)
		for _, repository := range repositories {
			image, digest := newImage(ctx)
			references[repository] = s.source.host + "/" + repository + digest
			mirrorsOf := []string{s.first.host + "/" + repository, s.second.host + "/" + repository}
			switch holder := holders[repository]; {
			case repository == "shut":
				s.source.push(ctx, repository, image)
				continue
			case holder == s.mirror:
				mirrorsOf = []string{s.mirror.host + "/" + repository}
				fallthrough
			case holder != nil:
				holder.push(ctx, repository, image)
			default:
				s.second.push(ctx, repository, image)
			}
			manifests = append(manifests, set("20-"+repository, s.source.host+"/"+repository, mirrorsOf...))
		}
		image, digest := newImage(ctx)
		s.first.push(ctx, "whole/app", image)
		s.apply(ctx, []string{mirrored("source")}, manifests...)
		Eventually(func() string { return s.files()[certsFolder(s.third.host)+"/hosts.toml"] }).WithContext(ctx).WithTimeout(convergeTimeout).Should(ContainSubstring(mirrored("source")))

		for _, repository := range repositories {
			if repository == "shut" {
				s.expectRefusedWith(ctx, references[repository], "NeverContactSource of set 30-shut")
				continue
			}
			s.expectPulled(ctx, references[repository])
		}
		s.expectPulled(ctx, s.third.host+"/app"+digest)

		atMirrors, atSources := s.metrics(ctx, token)
		s.compare(own, atMirrors, atSources, s.pullsSeen(ctx))
		// Each case came to what it was made for.
		Expect(atMirrors[s.first.host+"/missing"]).To(HaveKey(accesslog.Missing))
		Expect(atMirrors[s.first.host+"/silent"]).To(HaveKey(accesslog.Silent))
		Expect(atMirrors[s.first.host+"/wrong"]).To(HaveKey(accesslog.WrongContent))
		Expect(atMirrors[s.first.host+"/login"]).To(HaveKey(accesslog.CameBack))
		Expect(atSources[s.source.host+"/open"]).To(HaveKey(accesslog.Sent))
		Expect(atSources[s.source.host+"/shut"]).To(HaveKey(accesslog.Refused))
		s.expectUntouchedBelow(own, s.source.host+"/shut", s.third.host+"/app")
	}, nodeTimeout)
})

// compare wants no difference between the three.
func (s *site) compare(own *ownLogs, atMirrors, atSources perPlace, pulls []accesslog.Pull) {
	GinkgoHelper()
	logged := map[bool]perPlace{true: {}, false: {}}
	repositoryAt := make(map[string]string)
	for _, pull := range pulls {
		for _, t := range pull.Tries {
			known := atMirrors
			if t.Source {
				known = atSources
			}
			location := locationOf(t.Place, known)
			logged[t.Source].add(location, t.Outcome, t.Requests)
			repositoryAt[location] = t.Place
		}
	}
	Expect(logged[false]).To(Equal(atMirrors), "the access log and the metrics about mirrors")
	Expect(logged[true]).To(Equal(atSources), "the access log and the metrics about sources")

	table := []string{fmt.Sprintf("%-34s %-14s %8s %8s %22s", "PLACE", "OUTCOME", "METRIC", "LOG", "REGISTRY'S OWN LOG")}
	for location, outcomes := range atMirrors {
		place := cmp.Or(repositoryAt[location], location)
		byContainerd, byRedirector := own.of(place, true), own.of(place, false)
		for outcome, n := range outcomes {
			table = append(table, fmt.Sprintf("%-34s %-14s %8d %8d %10d and %3d asked", location, outcome, n, logged[false][location][outcome], byContainerd[outcome], byRedirector[outcome]))
			switch {
			case outcome != accesslog.Served: // asked once, and remembered for a moment
				Expect(byContainerd[outcome]+byRedirector[outcome]).To(BeNumerically(">", 0), "%s: %s", location, outcome)
			case strings.HasPrefix(location, s.mirror.host): // streamed
				Expect(byRedirector[outcome]).To(Equal(n), location)
			default:
				Expect(byContainerd[outcome]).To(Equal(n), location)
			}
		}
		for outcome := range byRedirector {
			Expect(outcomes).To(HaveKey(outcome), "%s: the registry's own log", location)
		}
	}
	for location, outcomes := range atSources {
		byContainerd := own.of(cmp.Or(repositoryAt[location], location), true)
		table = append(table, fmt.Sprintf("%-34s %-14s %8d %8d %10d", location, "sent", outcomes[accesslog.Sent], logged[true][location][accesslog.Sent], byContainerd[accesslog.Served]))
		Expect(byContainerd[accesslog.Served]).To(Equal(outcomes[accesslog.Sent]), location)
	}
	slices.Sort(table[1:])
	AddReportEntry("seen", strings.Join(table, "\n"), ReportEntryVisibilityAlways)
}

// expectUntouchedBelow wants no request for these repositories in the registries' own logs.
func (s *site) expectUntouchedBelow(own *ownLogs, places ...string) {
	GinkgoHelper()
	Consistently(func() (lines int) {
		for _, place := range places {
			for _, byContainerd := range []bool{true, false} {
				for _, n := range own.of(place, byContainerd) {
					lines += n
				}
			}
		}
		return lines
	}).WithTimeout(time.Second).Should(BeZero())
}
