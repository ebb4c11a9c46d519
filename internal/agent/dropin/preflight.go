// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package dropin

import (
	"fmt"
	"sync"

	"go.podman.io/image/v5/pkg/sysregistriesv2"

	"github.com/mirrorset/mirrorset/internal/agent/sink"
	"github.com/mirrorset/mirrorset/internal/hostfile"
	"github.com/mirrorset/mirrorset/internal/mirrors"
	"github.com/mirrorset/mirrorset/internal/nodecheck"
	"github.com/mirrorset/mirrorset/internal/registriesconf"
)

// The reasons, of semantics.md N1.
const (
	// LocalBlock: a file of this host blocks a scope, so the rules in it are not put in force here.
	LocalBlock sink.Reason = "LocalBlock"
	// ShadowsLocal: our table hides what a file of this host says, or that file hides ours.
	ShadowsLocal sink.Reason = "ShadowsLocal"
	// LocalBroken: a file of this host cannot be read by the consumers.
	LocalBroken sink.Reason = "LocalBroken"
)

// candidate is what is to be written on this node.
type candidate struct {
	text     []byte // nil for no file
	rules    int
	findings []sink.Finding      // about sources that are not in force
	problems []nodecheck.Problem // with files of this host, all else
	having   map[string][]localFile
}

// preflights go one after the other: the consumers' library keeps what it read for the whole process, in one place.
var preflights sync.Mutex

// preflight makes the drop-in for this node out of what was published, and reads it together with the files of others as
// the consumers will (N1). It refuses, with an error, only what our file would make worse.
func preflight(host *hostfile.Host, a *sink.Accepted) (candidate, error) {
	preflights.Lock()
	defer preflights.Unlock()
	var c candidate
	others, unseen := readLocal(host)
	c.broken(nodecheck.Unsure, unseen)
	if _, err := others.load(); err != nil {
		var broken []error
		others, broken = others.usable()
		c.broken(nodecheck.Unread, broken)
	}
	c.having = others.tables()
	theirs, err := others.load()
	if err != nil {
		return candidate{}, fmt.Errorf("reading the registries.conf files of this host: %w", err)
	}
	kept, shadowed, err := c.withhold(a.Rules, theirs)
	if err != nil {
		return candidate{}, err
	}
	if err := c.narrower(kept, theirs); err != nil {
		return candidate{}, err
	}
	for _, prefix := range shadowed {
		c.replaced(prefix)
	}
	if c.rules = len(kept); c.rules == 0 {
		return c, nil
	}
	c.text = a.Text
	if len(kept) < len(a.Rules) {
		if c.text, err = registriesconf.Encode(kept); err != nil {
			return candidate{}, err
		}
	}
	if _, err := others.with(c.text).load(); err != nil {
		return candidate{}, fmt.Errorf("the consumers refuse the new drop-in: %w", err)
	}
	return c, nil
}

// withhold returns the rules without those in a scope that a file of this host blocks, and the prefixes for which both
// have a table. It reports what the rules hide.
func (c *candidate) withhold(rules []mirrors.Rule, theirs *consumer) (kept []mirrors.Rule, shared []string, err error) {
	for i := range rules {
		source := string(rules[i].Source)
		t, err := theirs.covering(source)
		if err != nil {
			return nil, nil, err
		}
		if t != nil && t.Blocked {
			c.find(LocalBlock, []string{source}, "%s blocks %q by its [[registry]] table with that prefix, so source %q is not in force on this node; take that table away, or leave the source to it", c.fileOf(t.Prefix), t.Prefix, source)
			continue
		}
		kept = append(kept, rules[i])
		switch {
		case t == nil:
		case t.Prefix == source:
			shared = append(shared, source)
		default:
			c.shadow(&rules[i], t)
		}
	}
	return kept, shared, nil
}

// shadow reports what a broader table of this host says that our narrower one hides.
func (c *candidate) shadow(rule *mirrors.Rule, t *sysregistriesv2.Registry) {
	if t.Insecure != rule.Insecure {
		c.problem(ShadowsLocal, nodecheck.Mild, fmt.Sprintf("source %q hides insecure = %t, which %s says for %q", rule.Source, t.Insecure, c.fileOf(t.Prefix), t.Prefix),
			"Say the same in both places: for the source, by --insecure-registry of the manager")
	}
	if t.Location != "" && t.Location != t.Prefix {
		c.problem(ShadowsLocal, nodecheck.Mild, fmt.Sprintf("source %q hides location = %q, which %s says for %q", rule.Source, t.Location, c.fileOf(t.Prefix), t.Prefix),
			"Take that table away, or name the location as a mirror of the source")
	}
}

// narrower reports tables of this host that open a part of a source which we block.
func (c *candidate) narrower(rules []mirrors.Rule, theirs *consumer) error {
	tables, err := theirs.tables()
	if err != nil {
		return err
	}
	index := mirrors.NewIndex(rules)
	for i := range tables {
		prefix := tables[i].Prefix
		rule := index.Resolve(mirrors.Reference{Name: prefix}).Rule
		if rule != nil && rule.Blocked && string(rule.Source) != prefix && !tables[i].Blocked {
			c.find(ShadowsLocal, []string{string(rule.Source)}, "%s has a [[registry]] table with the prefix %q, so that part of source %q is not blocked on this node, although the sets block it; take that table away", c.fileOf(prefix), prefix, rule.Source)
		}
	}
	return nil
}

// replaced reports two tables with one prefix, of which the one in the file that is read last counts.
func (c *candidate) replaced(prefix string) {
	if files := c.having[prefix]; len(files) > 0 && files[len(files)-1].isLater() {
		c.find(ShadowsLocal, []string{prefix}, "%s is read later and has a [[registry]] table with the prefix %q, so source %q is not in force on this node; take that table away", c.fileOf(prefix), prefix, prefix)
		return
	}
	c.problem(ShadowsLocal, nodecheck.Mild, fmt.Sprintf("source %q replaces the [[registry]] table with that prefix in %s", prefix, c.fileOf(prefix)),
		"Take that table away, once a set says what is to stay of it")
}

// fileOf names the file whose table with a prefix counts among those of this host.
func (c *candidate) fileOf(prefix string) string {
	if files := c.having[prefix]; len(files) > 0 {
		return "/" + files[len(files)-1].path
	}
	return "a file of this host"
}

func (c *candidate) find(reason sink.Reason, sources []string, format string, args ...any) {
	c.findings = append(c.findings, sink.Finding{Reason: reason, Message: fmt.Sprintf(format, args...), Runtime: nodecheck.CRIO, Sources: sources})
}

// broken reports files of others that cannot be read, by us or by the consumers.
func (c *candidate) broken(effect nodecheck.Effect, errs []error) {
	for _, err := range errs {
		c.problem(LocalBroken, effect, err.Error(), "Mend that file or take it away, then run: systemctl reload crio")
	}
}

func (c *candidate) problem(reason sink.Reason, effect nodecheck.Effect, message, remedy string) {
	c.problems = append(c.problems, nodecheck.Problem{Reason: nodecheck.Reason(reason), Runtime: nodecheck.CRIO, Effect: effect, Message: message, Remedy: remedy})
}
