// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

// Package onhost reads our registries.conf drop-in together with the files of others on a host, by the library that CRI-O,
// Podman, Buildah and Skopeo read them with, and finds what of the rules does not count there (N1 of docs/reference/semantics.md). The
// agent does so before it writes, and the plugin on the machine that it runs on.
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
	// LocalBlock: a file of this host blocks a scope, so the rules in it are not put in force here.
	LocalBlock nodecheck.Reason = "LocalBlock"
	// ShadowsLocal: our table hides what a file of this host says, or that file hides ours.
	ShadowsLocal nodecheck.Reason = "ShadowsLocal"
	// LocalBroken: a file of this host cannot be read by the consumers.
	LocalBroken nodecheck.Reason = "LocalBroken"
	// ForeignFile: a file of somebody else has the name of ours.
	ForeignFile nodecheck.Reason = "ForeignFile"
)

// Finding is about sources that are not in force on this host for CRI-O and Podman.
type Finding struct {
	Reason  nodecheck.Reason
	Message string
	// Sources are as they stand in the rules.
	Sources []string
}

// Candidate is what is to be written on this host.
type Candidate struct {
	// Text is that of the drop-in; nil for no file.
	Text []byte
	// Rules is how many are in it.
	Rules int
	// Findings are about sources that are not in force.
	Findings []Finding
	// Problems are with files of this host, all else.
	Problems []nodecheck.Problem

	owners map[string][]localFile
	// isPartial says that a file of others could not even be tried, which may be otherwise in a moment.
	isPartial bool
}

// preflights go one after the other: the consumers' library keeps what it read for the whole process, in one place.
var preflights sync.Mutex

// Preflight makes the drop-in for this host out of rules and their text, and reads it together with the files of others as the
// consumers will (N1). It writes nothing. It refuses, with an error, only what our file would make worse.
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

// namesake reports a file of somebody else with the name of ours in another folder.
func (c *Candidate) namesake(others local, rules []mirrors.Rule) {
	file, hidesOurs, ok := others.takeNamesake()
	switch {
	case !ok:
	case hidesOurs:
		sources := make([]string, len(rules))
		for i := range rules {
			sources[i] = string(rules[i].Source)
		}
		c.find(ForeignFile, sources, "/%s on this node is not a file of Mirrorset, but has the same name as /%s and hides it from each CRI-O and Podman that reads that folder, so no rule is in force for them here; rename or remove that file", file.path, Path)
	default:
		c.problem(ForeignFile, nodecheck.Mild, fmt.Sprintf("/%s is not a file of Mirrorset, and CRI-O and Podman do not read it, because /%s has the same name and hides it", file.path, Path), "Rename or remove that file")
	}
}

// judge returns the rules that are to be written, and reports what of them the files of this host keep from being in force.
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

// withhold returns the rules without those in a scope that a file of this host blocks, and of these the ones that no table of
// such a file hides whole. It reports what the rules hide.
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

// hidden tells whether the table of this host that covers a source hides our table for it, and reports what one of them hides
// of the other.
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

// shadow reports what a broader table of this host says that our narrower one hides.
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

// replaced reports two tables with one prefix, of which the one in the file that is read last counts. It tells whether that is theirs.
func (c *Candidate) replaced(prefix string) bool {
	if last := c.decider(prefix); path.Base(last) > path.Base(Path) && slices.Contains(DropInDirs, path.Dir(last[1:])) {
		c.find(ShadowsLocal, []string{prefix}, "%s on this node is read after the drop-in of Mirrorset and has a [[registry]] table with the prefix %q, so source %q is not in force here; remove that table", last, prefix, prefix)
		return true
	}
	c.problem(ShadowsLocal, nodecheck.Mild, fmt.Sprintf("source %q replaces the [[registry]] table with that prefix in %s", prefix, c.decider(prefix)),
		"Move the settings that you still need into a set, then remove that table")
	return false
}

// decider is the path of the file of others whose table with a prefix counts: the last one that is read.
func (c *Candidate) decider(prefix string) string {
	files := c.owners[prefix]
	return "/" + files[len(files)-1].path
}

func (c *Candidate) find(reason nodecheck.Reason, sources []string, format string, args ...any) {
	c.Findings = append(c.Findings, Finding{Reason: reason, Message: fmt.Sprintf(format, args...), Sources: sources})
}

// broken reports files of others that cannot be read, by us or by the consumers.
func (c *Candidate) broken(effect nodecheck.Effect, errs []error) {
	for _, err := range errs {
		how := "Fix or remove that file"
		if strings.Contains(err.Error(), "v2 format but is in v1") { // in the words of the consumers' library
			how = "In that file, replace [registries.search] with unqualified-search-registries = [...], and replace [registries.insecure] and [registries.block] with a [[registry]] table that has insecure = true or blocked = true. One file cannot use both formats"
		}
		c.problem(LocalBroken, effect, err.Error(), how+". Then run: systemctl reload crio")
	}
}

func (c *Candidate) problem(reason nodecheck.Reason, effect nodecheck.Effect, message, remedy string) {
	c.Problems = append(c.Problems, nodecheck.Problem{Reason: reason, Runtime: nodecheck.CRIO, Effect: effect, Message: message, Remedy: remedy})
}
