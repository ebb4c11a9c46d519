// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

// Package agent puts the published rules in force on one node: it watches the one ConfigMap, verifies what it reads, tries
// it beside the host's own files, writes the drop-in, and repairs it. What it accepted last it keeps on the host, so that
// neither an API server that is away nor a payload that is broken changes anything on the node.
package agent

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"

	"github.com/go-logr/logr"

	"github.com/mirrorset/mirrorset/internal/hostfile"
	"github.com/mirrorset/mirrorset/internal/mirrors"
	"github.com/mirrorset/mirrorset/internal/nodecheck"
	"github.com/mirrorset/mirrorset/internal/payload"
	"github.com/mirrorset/mirrorset/internal/redirect"
	"github.com/mirrorset/mirrorset/internal/registriesconf"
	"github.com/mirrorset/mirrorset/internal/route"
)

// Run keeps the node in step with the ConfigMap until the context ends. It waits for another agent on the same host to
// end first, and serves the redirector beside that one meanwhile. If it ends because Mirrorset is being uninstalled, it leaves a
// clean node.
func Run(ctx context.Context, config Config) (err error) {
	host, err := hostfile.Open(config.HostRoot)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, host.Close()) }()
	n := newNode(host, config.Log, config.Settings)
	if config.Metrics != nil {
		n.metrics = config.Metrics
	}
	n.restore()
	n.listen(ctx)
	defer func() { err = errors.Join(err, n.closeRedirector()) }()
	config.Started()
	if config.Manager == "" {
		return n.run(ctx, config, func(context.Context) string { return "" })
	}
	following, stop := context.WithCancel(context.WithoutCancel(ctx)) // past the end of what the agent does otherwise
	defer stop()
	return n.run(ctx, config, followOwner(following, config).uninstalled)
}

// run does what only one agent of a host may do at a time.
func (n *node) run(ctx context.Context, config Config, uninstalled func(context.Context) (why string)) (err error) {
	why := ""
	unlock, err := n.lock(ctx)
	if errors.Is(err, context.Canceled) { // told to end before it was its turn
		after := context.WithoutCancel(ctx)
		if why = uninstalled(after); why == "" {
			return nil
		}
		bounded, cancel := context.WithTimeout(after, cleanUp)
		defer cancel()
		unlock, err = n.lock(bounded)
	}
	if err != nil {
		return fmt.Errorf("waiting to be the only agent on this host: %w", err)
	}
	defer func() { err = errors.Join(err, unlock()) }()
	if why == "" {
		if err := watch(ctx, config, n); err != nil || ctx.Err() == nil {
			return err
		}
		if why = uninstalled(context.WithoutCancel(ctx)); why == "" {
			return nil
		}
	}
	n.log.Info("Mirrorset is being uninstalled, so this node is cleaned", "cause", why)
	return n.clean()
}

// node is the state of one host.
type node struct {
	host     *hostfile.Host
	log      logr.Logger
	settings Settings
	// runtimeVersion is what the Node says of its container runtime; empty while that is not known.
	runtimeVersion func() string
	redirector
	metrics *Metrics
	written map[string][sha256.Size]byte // what each file of ours was last made to be, by path

	accepted *accepted // nil until a payload was accepted
	// reloadOwed says that CRI-O has not been told of what the drop-in says.
	reloadOwed bool
	inForce    payload.Payload // the last one that was written whole, without its text
	findings   []Finding       // of the last pass
	again      error           // what is to be tried again of that which they say is not in force
	checked    nodecheck.Report
	logged     string // the last findings, so that each is logged once
}

func newNode(host *hostfile.Host, log logr.Logger, settings Settings) *node {
	n := &node{host: host, log: log, settings: settings, runtimeVersion: func() string { return "" }, metrics: NewMetrics(), written: make(map[string][sha256.Size]byte)}
	n.server = redirect.New(redirect.Config{
		Port: settings.RedirectorPort, OwnTLS: n.ownTLS, Log: log.WithName("redirector"),
		Answered: func(result redirect.Result) { n.metrics.answered(result) },
	})
	return n
}

// accepted is a payload that passed every check, with the rules in it.
type accepted struct {
	payload.Payload
	rules []mirrors.Rule
}

var (
	dropInFile = hostfile.File{Path: dropInPath, Marker: registriesconf.Header}
	stateFile  = hostfile.File{Path: statePath}
)

// restore takes what an earlier agent accepted on this host (N6).
func (n *node) restore() {
	data, err := n.host.Read(stateFile)
	if errors.Is(err, fs.ErrNotExist) {
		return
	}
	var p payload.Payload
	var restored *accepted
	if err == nil {
		p, err = payload.Unmarshal(data)
	}
	if err == nil {
		restored, err = decode(p)
	}
	if err != nil {
		n.log.Error(err, "The state of an earlier agent is not used", "path", "/"+statePath)
		return
	}
	n.accept(restored)
	n.log.Info("Restored what an earlier agent accepted", "revision", p.Revision, "digest", p.Digest)
}

func decode(p payload.Payload) (*accepted, error) {
	rules, err := registriesconf.Decode(p.Text)
	if err != nil {
		return nil, err
	}
	return &accepted{Payload: p, rules: rules}, nil
}

// take puts a published payload in force if it is newer than the accepted one, readable, and no harm to the host's other
// files. With an error, what was accepted before stays accepted.
func (n *node) take(p payload.Payload) (taken bool, err error) {
	if news, err := n.isNews(p); err != nil || !news {
		return false, err
	}
	next, err := decode(p)
	if err != nil {
		return false, fmt.Errorf("revision %d: %w", p.Revision, err)
	}
	c, err := preflight(n.host, next)
	if err != nil {
		return false, fmt.Errorf("revision %d: %w", p.Revision, err)
	}
	if err := n.keep(p); err != nil {
		return false, err
	}
	n.accept(next)
	return true, n.write(&c)
}

// accept has the redirector answer by the new rules before any file leads to it.
func (n *node) accept(next *accepted) {
	n.accepted = next
	n.metrics.revision.Set(float64(next.Revision))
	n.server.SetRules(redirect.Rules{Router: route.NewRouter(next.rules), Blockers: registriesconf.Blockers(next.Text)})
}

// isNews tells whether a payload is to follow the accepted one; an error says why it never will.
func (n *node) isNews(p payload.Payload) (bool, error) {
	if n.accepted == nil {
		if !payload.Plausible(p.Revision, 0) {
			return false, fmt.Errorf("revision %d is out of range: refused", p.Revision)
		}
		return true, nil
	}
	switch have := n.accepted; {
	case p.Digest == have.Digest && p.Revision <= have.Revision:
		return false, nil
	case p.Provisional && len(have.rules) > 0:
		n.log.Info("Rules stay in force, because what was published without any is provisional", "revision", p.Revision, "inForce", have.Revision)
		return false, nil
	case p.Revision == have.Revision:
		return false, fmt.Errorf("revision %d was published with digest %s before, and now with %s: refused", p.Revision, have.Digest, p.Digest)
	case p.Revision < have.Revision:
		return false, fmt.Errorf("revision %d is older than %d, which is in force: refused", p.Revision, have.Revision)
	case !payload.Plausible(p.Revision, have.Revision):
		return false, fmt.Errorf("revision %d is out of range behind %d: refused", p.Revision, have.Revision)
	}
	return true, nil
}

// keep has the next agent on this host begin with the payload (N6).
func (n *node) keep(p payload.Payload) error {
	data, err := p.Marshal()
	if err == nil {
		_, err = n.host.Replace(stateFile, data)
	}
	if err != nil {
		return fmt.Errorf("keeping revision %d: %w", p.Revision, err)
	}
	return nil
}

// repair makes the host's files say what was accepted, whoever changed them.
func (n *node) repair() error {
	if n.accepted == nil {
		return nil
	}
	kept := n.keep(n.accepted.Payload)
	c, err := preflight(n.host, n.accepted)
	if err != nil {
		return errors.Join(kept, err, n.write(nil))
	}
	return errors.Join(kept, n.write(&c))
}

// write puts the accepted rules in force for containerd and, where there is a candidate, for the others, and reports what
// is odd about it. Neither stops the other.
func (n *node) write(c *candidate) error {
	certs, err := n.writeCerts()
	if certs.changed > 0 {
		n.log.Info("Changed containerd's registries", "path", "/"+certsDir, "changed", certs.changed, "revision", n.accepted.Revision)
	}
	n.checked = n.check()
	n.again = errors.Join(certs.again...)
	findings := certs.findings
	if c != nil {
		findings = append(findings, c.findings...)
		n.checked.Problems = append(n.checked.Problems, c.problems...)
		err = errors.Join(err, n.writeDropIn(c))
	}
	n.findings = findings
	n.logFindings(append(findings, problems(n.checked)...))
	switch {
	case err != nil && n.inForce.Revision == n.accepted.Revision:
		n.inForce = payload.Payload{} // what was in force is no more
	case err == nil && c != nil:
		n.inForce = payload.Payload{Revision: n.accepted.Revision, Digest: n.accepted.Digest}
	}
	return err
}

// writeDropIn replaces the drop-in. No rules: no file.
func (n *node) writeDropIn(c *candidate) (err error) {
	var changed bool
	if c.rules == 0 {
		changed, err = n.host.Remove(dropInFile)
	} else {
		changed, err = n.host.Replace(dropInFile, c.text)
	}
	if err == nil {
		n.wrote(dropInRepairs, dropInPath, c.text, changed)
	}
	if changed {
		n.log.Info("Wrote the rules", "path", "/"+dropInPath, "rules", c.rules, "revision", n.accepted.Revision, "digest", n.accepted.Digest)
		n.reloadOwed = true
	}
	return errors.Join(err, n.reloadCRIO())
}

// CheckClean fails where a host still has a registry file of ours.
func CheckClean(hostRoot string) (err error) {
	host, err := hostfile.Open(hostRoot)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, host.Close()) }()
	ours, err := ourCerts(host)
	if err != nil {
		return err
	}
	for _, f := range append(ours, dropInFile) {
		switch _, err := host.Read(f); {
		case err == nil:
			return fmt.Errorf("/%s is still there", f.Path)
		case !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, hostfile.ErrForeign):
			return err
		}
	}
	return nil
}

// logFindings logs findings that are not those of the last time.
func (n *node) logFindings(findings []Finding) {
	if now := fmt.Sprint(findings); now != n.logged {
		n.logged = now
		for _, f := range findings {
			n.log.Info(f.Message, "reason", f.Reason)
		}
	}
}
