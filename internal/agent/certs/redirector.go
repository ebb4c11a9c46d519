// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package certs

import (
	"context"
	"os"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/mirrorset/mirrorset/internal/accesslog"
	"github.com/mirrorset/mirrorset/internal/agent/certs/tally"
	"github.com/mirrorset/mirrorset/internal/agent/sink"
	"github.com/mirrorset/mirrorset/internal/nodecheck"
	"github.com/mirrorset/mirrorset/internal/redirect"
	"github.com/mirrorset/mirrorset/internal/redirect/complaints"
	"github.com/mirrorset/mirrorset/internal/redirect/failures"
	"github.com/mirrorset/mirrorset/internal/redirect/tries"
	"github.com/mirrorset/mirrorset/internal/route"
)

// redirector is the one of this process.
type redirector struct {
	tls       ownTLS
	keys      *keyring
	log       logr.Logger
	server    *redirect.Server
	listening *redirect.Listening // nil while it does not
	failed    error               // why it does not
	pulls     *accesslog.Log
	tally     *tally.Tally
	up        prometheus.Gauge
	dependent prometheus.Gauge
	observed  observed
}

func newRedirector(env sink.Env, chosen settings) redirector {
	var given *os.File
	if chosen.redirectorSocket != 0 {
		given = os.NewFile(uintptr(chosen.redirectorSocket), "redirector")
	}
	requests := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "mirrorset_agent_redirector_requests_total",
		Help: "Requests to the redirector, by result.",
	}, []string{"result"})
	for _, result := range redirect.Results() {
		requests.WithLabelValues(string(result))
	}
	r := redirector{pulls: accesslog.New(), tls: ownTLS{env.Host, &roots{host: env.Host}}, keys: &keyring{host: env.Host, log: env.Log}, log: env.Log, observed: newObserved(env), up: prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "mirrorset_agent_redirector_up",
		Help: "1 while the redirector serves; 0 while it does not serve, or the node has no containerd.",
	}), dependent: prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "mirrorset_agent_redirector_dependent_registries",
		Help: "Registries from which the node's Pods can pull nothing while the redirector is down, because sources in these registries are blocked.",
	})}
	r.tally = tally.New(func() { r.server.Settle() })
	r.server = redirect.New(redirect.Config{
		Port: chosen.redirectorPort, Socket: given, Keys: r.keys.open, Roots: r.tls.roots.trusted, OwnTLS: r.tls.config, Log: env.Log.WithName("redirector"),
		Complained: env.Wake, Worse: env.Wake,
		Answered: func(result redirect.Result) { requests.WithLabelValues(string(result)).Inc() },
		Pulls:    r.pulls, Tried: func(t tries.Try) {
			r.tally.Tried(t)
			r.observed.tried(t)
		},
		AtSource: r.tally.AtSource, WouldRefuse: r.observed.watched.Note, AllowDefaultHost: chosen.allowDefaultHost,
	})
	env.Metrics.MustRegister(requests, r.up, r.dependent, r.tally)
	return r
}

// Follow makes the redirector answer by these rules.
func (r *redirector) Follow(rules *sink.Accepted) {
	r.server.SetRules(redirect.Rules{
		Digest: rules.Digest, Router: route.NewRouter(rules.Rules), Blockers: rules.Blockers, Watched: rules.Shadow, Grants: rules.Grants,
	})
	r.tally.Keep(rules.Rules, rules.Shadow)
	r.observed.keep(rules)
}

// Ask contacts a registry with the redirector's connections and logins.
func (r *redirector) Ask(ctx context.Context, at route.Target, manifest string, isSource bool) route.Answer {
	return r.server.Ask(ctx, at, manifest, isSource)
}

// FailedPulls are the failed pulls that the redirector saw.
func (r *redirector) FailedPulls(change sink.Change) sink.FailedPulls {
	c := r.server.FailedPulls(failures.Change(change))
	return sink.FailedPulls{Refused: sink.Count(c.Refused), PassedOver: sink.Count(c.PassedOver), More: c.More, Last: c.Last, Known: c.Known}
}

// reasons are those of complaints.
var reasons = map[complaints.Kind]nodecheck.Reason{
	complaints.LoginRefused:       nodecheck.MirrorLoginRefused,
	complaints.LoginNeeded:        nodecheck.MirrorLoginNeeded,
	complaints.CertificateExpired: nodecheck.MirrorCertificateExpired,
	complaints.AuthorityUnknown:   nodecheck.MirrorAuthorityUnknown,
	complaints.CertificateName:    nodecheck.MirrorCertificateName,
}

// problems are the complaints of the redirector about mirrors. containerd still reads the rules.
func (r *redirector) problems() (all []nodecheck.Problem) {
	for _, c := range r.server.Complaints() {
		all = append(all, nodecheck.Problem{Reason: reasons[c.Kind], Runtime: nodecheck.Containerd, Effect: nodecheck.Mild, Message: c.Message, Remedy: c.Remedy})
	}
	return all
}

// serve has the redirector listen if it is wanted and does not.
func (r *redirector) serve(ctx context.Context, wanted bool) {
	defer func() { r.up.Set(map[bool]float64{true: 1}[r.listening != nil]) }()
	if r.listening != nil {
		select {
		case err := <-r.listening.Ended():
			r.log.Error(err, "The redirector stopped and is restarted")
			r.listening = nil
		default:
			return
		}
	}
	if wanted {
		r.listening, r.failed = r.server.Listen(ctx)
	}
}

// Close ends the redirector.
func (r *redirector) Close() error {
	if r.listening == nil {
		return nil
	}
	return r.listening.Close()
}
