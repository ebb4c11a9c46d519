// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package certs

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"

	"github.com/mirrorset/mirrorset/internal/agent/sink"
	"github.com/mirrorset/mirrorset/internal/certsd"
	"github.com/mirrorset/mirrorset/internal/certsd/ondisk"
	"github.com/mirrorset/mirrorset/internal/grants"
	"github.com/mirrorset/mirrorset/internal/hostfile"
	"github.com/mirrorset/mirrorset/internal/mirrors"
	"github.com/mirrorset/mirrorset/internal/nodecheck"
	"github.com/mirrorset/mirrorset/internal/route"
)

// The reasons about containerd's files.
const (
	// NotInForce: rules that containerd cannot follow on this node, or that the agent does not write there.
	NotInForce sink.Reason = "NotInForce"
	// ForeignFolder: a registry's folder has files of others.
	ForeignFolder sink.Reason = "ForeignFolder"
	// RedirectorKeys: the file with the redirector's keys cannot be written. The rules are still in force.
	RedirectorKeys nodecheck.Reason = "RedirectorKeys"
)

// pass makes containerd's folder say what the rules say.
type pass struct {
	*Sink
	rules    []mirrors.Rule
	watched  []mirrors.Scope // by sets in shadow mode
	granted  grants.Grants
	findings []sink.Finding
	again    []error // what is among the findings and to be tried again
	changed  int
	keysLost error           // why the redirector's keys are not kept
	withTLS  map[string]bool // whether a registry has TLS settings of the host's own, of those that were looked for
	// missing are the folders of files that would close a registry, and are not in place as the rules want them. A folder of
	// somebody else is none, because it hides the default host's.
	missing map[string]bool
}

// write writes new files before it removes stale ones (N3). A file that closes a registry stays where the rules now need
// what this node does not have, or what could not be written. A failure about one registry does not stop the others, and is a
// finding about its sources.
func (p *pass) write() error {
	if _, err := fs.Stat(p.env.Host.FS(), dir); err != nil {
		if !errors.Is(err, fs.ErrNotExist) {
			return p.env.Host.Explain(dir, err)
		}
		if p.env.Runtime() == nodecheck.Containerd {
			var all []string
			for i := range p.rules {
				all = append(all, string(p.rules[i].Source))
			}
			p.find(NotInForce, all, "this node runs containerd, but %s does not exist; create that folder", p.settings.dir)
		}
		return nil
	}
	if err := p.folder.Look(); err != nil {
		return err
	}
	about := certsd.Node{AllowDefaultHost: p.settings.allowDefaultHost, Streamed: p.streams, Certificates: p.folder.Certificates, Watched: p.watched}
	if p.listening != nil {
		about.Redirector = p.server.Address()
		about.Key, p.keysLost = p.keys.write()
		p.again = append(p.again, p.keysLost)
	}
	tree := certsd.Project(p.rules, about)
	wanted := make(map[string]bool, len(tree.Files))
	err := p.folder.RemoveLeftovers()
	for _, f := range tree.Files {
		wanted[path.Dir(f.Path)] = true
	}
	p.writeFiles(tree.Files)
	for _, pending := range tree.Pending {
		p.pending(pending, wanted)
	}
	if p.failed != nil && len(tree.Pending) > 0 {
		p.again = append(p.again, p.failed)
	}
	router := route.NewRouter(p.rules)
	err = errors.Join(err, p.removeStale(wanted, router), p.countDependent())
	p.reportHidden(router)
	return err
}

// streams reports whether only the redirector can reach a mirror.
func (p *pass) streams(mirror mirrors.Scope) bool {
	host := mirror.Host()
	hasTLS, isKnown := p.withTLS[host]
	if !isKnown { // many mirrors are on one registry
		hasTLS = p.tls.has(host)
		p.withTLS[host] = hasTLS
	}
	return hasTLS || p.granted.Concern(mirror)
}

// put puts files in place, and returns the result for each. Most of them are usually in place already. An error is an [*ondisk.Foreign] if others
// configure that registry.
func (p *pass) put(files ...certsd.File) []error {
	var changed []certsd.File
	for _, f := range files {
		if !p.folder.Says(f) {
			changed = append(changed, f)
		}
	}
	written := p.folder.Write(changed...)
	failed := make([]error, len(files))
	for i, f := range files {
		var w ondisk.Written
		if len(changed) > 0 && changed[0].Path == f.Path {
			w, changed, written = written[0], changed[1:], written[1:]
		}
		if w.Changed {
			p.changed++
		}
		if failed[i] = w.Err; w.Changed || w.Err == nil {
			p.drift.Wrote(path.Join(dir, f.Path), f.Content, w.Changed)
		}
	}
	return failed
}

// writeFiles puts files in place, but for those of registries that somebody else configures.
func (p *pass) writeFiles(files []certsd.File) {
	for i, err := range p.put(files...) {
		var theirs *ondisk.Foreign
		switch f, isForeign := files[i], errors.As(err, &theirs); {
		case err == nil:
		case isForeign:
			p.find(ForeignFolder, p.sources(f.Host), "registry %s: /%s %s, so the rules are not in force for containerd on this node; remove it, or remove the registry from the sets", f.Host, theirs.Path, theirs.What)
			p.missing[path.Dir(f.Path)] = f.Host == certsd.DefaultHost && certsd.Closes(f.Host, f.Content)
		default:
			p.find(NotInForce, p.sources(f.Host), "registry %s: the rules are not in force for containerd on this node: %v%s", f.Host, err, p.opened(f))
			p.again = append(p.again, fmt.Errorf("registry %s: %w", f.Host, err))
			p.missing[path.Dir(f.Path)] = certsd.Closes(f.Host, f.Content)
		}
	}
}

// opened describes the consequence of a file that closes a registry and could not be written, if no earlier file closes it.
func (p *pass) opened(f certsd.File) string {
	content, err := p.folder.Read(path.Dir(f.Path))
	if !certsd.Closes(f.Host, f.Content) || err == nil && certsd.Closes(f.Host, content) {
		return ""
	}
	return "; until then, containerd may contact a source that must never be contacted"
}

// pending reports a registry whose rules are not in force. If they block a part of it, its present file stays if that file closes the registry.
// Otherwise the registry gets a file that closes it, if only the redirector is missing.
func (p *pass) pending(of certsd.Pending, wanted map[string]bool) {
	how := "containerd goes to the source"
	if of.Blocked || of.Instead != nil { // which is for all wildcards where one of them is blocked
		how = p.keepClosed(of, wanted)
	}
	p.find(NotInForce, p.sources(of.Host), "registry %s: the rules are not in force for containerd on this node (%s): %s", of.Host, how, of.Reason)
}

// keepClosed keeps a source that must never be contacted closed while its rules are not in force, if possible, and describes the consequence.
func (p *pass) keepClosed(of certsd.Pending, wanted map[string]bool) (how string) {
	const isOpen = "containerd contacts a source that must never be contacted"
	if of.Unwanted { // an administrator has it so
		return isOpen
	}
	folder := of.Folder()
	content, err := p.folder.Read(folder)
	if err == nil && certsd.Closes(of.Host, content) && (of.Instead == nil || !bytes.Equal(content, of.Instead.Content)) {
		wanted[folder] = true
		return "the earlier rules stay in force, because the source must stay blocked"
	}
	isForeign := errors.Is(err, hostfile.ErrForeign)
	how = isOpen
	if of.Instead != nil {
		if err = p.put(*of.Instead)[0]; err == nil {
			wanted[folder] = true
			return p.howClosed(of)
		}
		how = fmt.Sprintf("%s, because the agent cannot close it: %v", isOpen, err)
		var theirs *ondisk.Foreign
		if isForeign = errors.As(err, &theirs); !isForeign {
			p.again = append(p.again, fmt.Errorf("registry %s: %w", of.Host, err))
		}
	}
	p.missing[folder] = !isForeign || folder == certsd.DefaultHost
	return how
}

// howClosed describes that a registry is closed, and how to open it.
func (p *pass) howClosed(of certsd.Pending) string {
	all := "this registry"
	if of.Folder() == certsd.DefaultHost {
		all = "any registry without a folder of its own"
	}
	how := "nothing can be pulled from " + all + " on this node until the redirector runs, so that no blocked source is contacted"
	if p.failed != nil {
		how += fmt.Sprintf("; %v, so free %s, or start the manager with another --redirector-port", p.failed, p.server.Address())
	}
	return how
}

// mostHidden bounds what is said one by one of the folders that hide a wildcard.
const mostHidden = 10

// reportHidden reports the registries that a wildcard is not in force for.
func (p *pass) reportHidden(router *route.Router) {
	found := make(map[string]int)
	for _, h := range p.folder.Hidden(router) {
		if found[h.Wildcard]++; found[h.Wildcard] <= mostHidden {
			p.find(ForeignFolder, []string{h.Wildcard}, "registry %s: source %s is not in force, because /%s, which is not a file of Mirrorset, hides it from containerd on this node; remove the file, or name the registry in a set", h.Host, h.Wildcard, h.Path)
		}
	}
	for _, wildcard := range slices.Sorted(maps.Keys(found)) {
		if more := found[wildcard] - mostHidden; more > 0 {
			p.find(ForeignFolder, []string{wildcard}, "%d more folders in /%s hide source %s in the same way", more, dir, wildcard)
		}
	}
}

// sources are those that a registry's file would put in force, or have watched.
func (p *pass) sources(registry string) (sources []string) {
	add := func(source mirrors.Scope) {
		if source.Host() == registry || registry == certsd.DefaultHost && source.IsWildcard() {
			sources = append(sources, string(source))
		}
	}
	for i := range p.rules {
		add(p.rules[i].Source)
	}
	for _, source := range p.watched {
		if !slices.Contains(sources, string(source)) {
			add(source)
		}
	}
	return sources
}

func (p *pass) find(reason sink.Reason, sources []string, format string, args ...any) {
	p.findings = append(p.findings, sink.Finding{Reason: reason, Message: fmt.Sprintf(format, args...), Runtime: nodecheck.Containerd, Sources: sources})
}

func (p *pass) outcome(err error) sink.Outcome {
	problems := p.problems()
	if p.keysLost != nil {
		problems = append(problems, nodecheck.Problem{Reason: RedirectorKeys, Runtime: nodecheck.Containerd, Effect: nodecheck.Mild,
			Message: "the agent cannot save the redirector's keys for its next start, which then breaks the pulls in progress", Remedy: p.keysLost.Error()})
	}
	return sink.Outcome{Findings: p.findings, Problems: problems, Again: errors.Join(p.again...), Err: err}
}
