// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

// Package onhost reads our registries.conf drop-in together with the files of others on a host, with the library that CRI-O, Podman,
// Buildah and Skopeo use. It finds the rules that do not count there (N1 of docs/reference/semantics.md). The agent does this before it
// writes, and the plugin does it on the machine where it runs.
package onhost

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
	"sync"

	"go.podman.io/image/v5/pkg/sysregistriesv2"

	"github.com/mirrorset/mirrorset/internal/hostfile"
	"github.com/mirrorset/mirrorset/internal/mirrors"
	"github.com/mirrorset/mirrorset/internal/nodecheck"
	"github.com/mirrorset/mirrorset/internal/registriesconf"
)

// The reasons, of semantics.md N1.
const (
	// LocalBlock: a file of this host blocks a scope, so the rules in that scope are not put in force here.
	LocalBlock nodecheck.Reason = "LocalBlock"
	// ShadowsLocal: our table hides a setting in a file of this host, or that file hides ours.
	ShadowsLocal nodecheck.Reason = "ShadowsLocal"
	// LocalBroken: the consumers cannot read a file of this host.
	LocalBroken nodecheck.Reason = "LocalBroken"
	// ForeignFile: a file that is not ours has our file's name.
	ForeignFile nodecheck.Reason = "ForeignFile"
)

// Finding is about sources that are not in force on this host for CRI-O and Podman.
type Finding struct {
	Reason  nodecheck.Reason
	Message string
	// Sources are the sources as the rules spell them.
	Sources []string
}

// Candidate is what should be written on this host.
type Candidate struct {
	// Text is the text of the drop-in, or nil for no file.
	Text []byte
	// Rules is the number of rules in the text.
	Rules int
	// Findings are about sources that are not in force.
	Findings []Finding
	// Problems are all other problems with files of this host.
	Problems []nodecheck.Problem

	owners map[string][]localFile
	// isPartial means that a file of others could not be tested at all. A later attempt may succeed.
	isPartial bool
}

// preflights makes preflights run one after the other, because the consumers' library has one cache for the whole process.
var preflights sync.Mutex

// Preflight makes the drop-in for this host from rules and their text, and reads it together with the files of others as the consumers will
// (N1). It writes nothing. It fails only for problems that our file would make worse.
func Preflight(host *hostfile.Host, rules []mirrors.Rule, text []byte) (Candidate, error) {
	removeLeftovers()
	others, unseen := readLocal(host)
	return preflight(others, unseen, rules, text)
}

func preflight(others local, unseen []error, rules []mirrors.Rule, text []byte) (Candidate, error) {
	preflights.Lock()
	defer preflights.Unlock()
	var c Candidate
	c.broken(nodecheck.Unsure, unseen)
	if len(rules) > 0 {
		c.namesake(others, rules)
	}
	others, owners, broken := others.usable()
	c.owners = owners
	c.isPartial = errors.Is(errors.Join(broken...), errUntried)
	c.broken(nodecheck.Unread, broken)
	theirs, err := others.load()
	if err != nil {
		return Candidate{}, fmt.Errorf("cannot read the registries.conf files of this host: %w", err)
	}
	kept, err := c.judge(rules, theirs)
	if err != nil {
		return Candidate{}, err
	}
	if c.Rules = len(kept); c.Rules == 0 {
		return c, nil
	}
	c.Text = text
	if len(kept) < len(rules) {
		if c.Text, err = registriesconf.Encode(kept); err != nil {
			return Candidate{}, err
		}
	}
	if _, err := others.with(c.Text).load(); errors.Is(err, errUntried) {
		return Candidate{}, err
	} else if err != nil {
		return Candidate{}, fmt.Errorf("CRI-O and Podman would refuse the new drop-in: %w", err)
	}
	return c, nil
}

// namesake reports a file of somebody else that has the name of ours in another folder.
func (c *Candidate) namesake(others local, rules []mirrors.Rule) {
	file, hidesOurs, ok := others.takeNamesake()
	switch {
	case !ok:
	case hidesOurs:
		sources := make([]string, len(rules))
		for i := range rules {
			sources[i] = string(rules[i].Source)
		}
		c.find(ForeignFile, sources, "/%s on this node is not a file of Mirrorset, but has the same name as /%s. It hides our file from CRI-O and Podman versions that read its folder, so no rule is in force for them here; rename or remove it", file.path, Path)
	default:
		c.problem(ForeignFile, nodecheck.Mild, fmt.Sprintf("/%s is not a file of Mirrorset, and CRI-O and Podman do not read it, because /%s has the same name and hides it", file.path, Path), "Rename or remove that file")
	}
}

// judge returns the rules that should be written, and reports the rules that files of this host keep from being in force.
func (c *Candidate) judge(rules []mirrors.Rule, theirs *consumer) (kept []mirrors.Rule, err error) {
	kept, inForce, err := c.withhold(rules, theirs)
	if err != nil {
		return nil, err
	}
	tables, err := theirs.tables()
	if err != nil {
		return nil, err
	}
	c.narrower(rules, inForce, tables)
	return kept, c.blockedMirrors(rules, inForce, theirs, tables)
}

// withhold returns in kept the rules outside the scopes that a file of this host blocks, and in inForce those of them that no table of such
// a file hides completely. It reports what the rules hide.
func (c *Candidate) withhold(rules []mirrors.Rule, theirs *consumer) (kept, inForce []mirrors.Rule, err error) {
	for i := range rules {
		source := string(rules[i].Source)
		t, err := theirs.covering(source)
		if err != nil {
			return nil, nil, err
		}
		if t != nil && t.Blocked {
			c.find(LocalBlock, []string{source}, "%s on this node blocks %q, so source %q is not in force here; remove the [[registry]] table with that prefix, or remove the source from the sets", c.decider(t.Prefix), t.Prefix, source)
			continue
		}
		kept = append(kept, rules[i])
		if t == nil || !c.hidden(&rules[i], t) {
			inForce = append(inForce, rules[i])
		}
	}
	return kept, inForce, nil
}

// hidden reports whether the table of this host that covers a source hides our table for it. It adds a finding about what either table
// hides of the other.
func (c *Candidate) hidden(rule *mirrors.Rule, t *sysregistriesv2.Registry) bool {
	switch {
	case t.Prefix == string(rule.Source):
		return !sameEffect(rule, t, t.Prefix) && c.replaced(t.Prefix)
	case !isTied(mirrors.Scope(t.Prefix), string(rule.Source)):
		c.shadow(rule, t)
		return false
	case sameEffect(rule, t, string(rule.Source)):
		return false
	}
	c.find(ShadowsLocal, []string{string(rule.Source)}, "%s on this node has a [[registry]] table with the prefix %q, which CRI-O and Podman prefer to %q because it is no shorter, so source %q is not in force here; remove that table", c.decider(t.Prefix), t.Prefix, rule.Source, rule.Source)
	return true
}

// shadow reports the settings in a broader table of this host that our narrower table hides.
func (c *Candidate) shadow(rule *mirrors.Rule, t *sysregistriesv2.Registry) {
	by := c.decider(t.Prefix)
	if t.Insecure != rule.Insecure {
		c.problem(ShadowsLocal, nodecheck.Mild, fmt.Sprintf("source %q hides insecure = %t, which %s sets for %q", rule.Source, t.Insecure, by, t.Prefix),
			"Use one value in both places: for the source, set it with --insecure-registry of the manager")
	}
	if t.Location != "" && t.Location != t.Prefix {
		c.problem(ShadowsLocal, nodecheck.Mild, fmt.Sprintf("source %q hides location = %q, which %s sets for %q", rule.Source, t.Location, by, t.Prefix),
			"Remove that table, or name the location as a mirror of the source")
	}
}

// replaced reports whether a table of this host takes effect instead of ours because both have the same prefix. The table in the file that
// is read last counts. It adds a finding about the two tables.
func (c *Candidate) replaced(prefix string) bool {
	if last := c.decider(prefix); path.Base(last) > path.Base(Path) && slices.Contains(DropInDirs, path.Dir(last[1:])) {
		c.find(ShadowsLocal, []string{prefix}, "%s on this node is read after the drop-in of Mirrorset and has a [[registry]] table with the prefix %q, so source %q is not in force here; remove that table", last, prefix, prefix)
		return true
	}
	c.problem(ShadowsLocal, nodecheck.Mild, fmt.Sprintf("source %q replaces the [[registry]] table with that prefix in %s", prefix, c.decider(prefix)),
		"Move the settings that you still need into a set, then remove that table")
	return false
}

// decider is the path of the file of others whose table with a prefix counts, which is the last file that is read.
func (c *Candidate) decider(prefix string) string {
	files := c.owners[prefix]
	return "/" + files[len(files)-1].path
}

func (c *Candidate) find(reason nodecheck.Reason, sources []string, format string, args ...any) {
	c.Findings = append(c.Findings, Finding{Reason: reason, Message: fmt.Sprintf(format, args...), Sources: sources})
}

// broken reports files of others that we or the consumers cannot read.
func (c *Candidate) broken(effect nodecheck.Effect, errs []error) {
	for _, err := range errs {
		how := "Fix or remove that file"
		if strings.Contains(err.Error(), "v2 format but is in v1") { // this is an error of the consumers' library
			how = "In that file, replace [registries.search] with unqualified-search-registries = [...], and replace [registries.insecure] and [registries.block] with a [[registry]] table that has insecure = true or blocked = true. One file cannot use both formats"
		}
		c.problem(LocalBroken, effect, err.Error(), how+". Then run: systemctl reload crio")
	}
}

func (c *Candidate) problem(reason nodecheck.Reason, effect nodecheck.Effect, message, remedy string) {
	c.Problems = append(c.Problems, nodecheck.Problem{Reason: reason, Runtime: nodecheck.CRIO, Effect: effect, Message: message, Remedy: remedy})
}
