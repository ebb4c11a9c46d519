// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/mirrorset/mirrorset/internal/grants/onhost"
	"github.com/mirrorset/mirrorset/internal/hostfile"
	"github.com/mirrorset/mirrorset/internal/kinds"
	"github.com/mirrorset/mirrorset/internal/mirrors"
	"github.com/mirrorset/mirrorset/internal/mirrors/mirrorstest"
	"github.com/mirrorset/mirrorset/internal/payload"
	"github.com/mirrorset/mirrorset/internal/registriesconf"
	dropin "github.com/mirrorset/mirrorset/internal/registriesconf/onhost"
)

// Paths below a host's root.
const (
	certsDir = "etc/containerd/certs.d"
	keysFile = "var/lib/mirrorset/redirector-keys.json"
	lockFile = "var/lib/mirrorset/lock"
)

// The mirrors that have a login and an authority.
const (
	private = "mirror.example:5000"
	leaving = "leaving.example"
)

// cycle is the way of a host from the files of one payload to those of another.
type cycle struct {
	name          string
	before, after string   // the sets, in the short notation of docs/reference/semantics.md
	granted       bool     // whether the mirrors have logins and authorities
	files         []string // all that there are afterwards, but for those of the agent itself
}

// second are the sets that a host gets next, or has last. They change whole registries, a part of one, and a wildcard.
const second = `a: blocked.example -> mirror.example:5000/new [Never]
a: whole.example -> plain.example/new [Never]
a: open.example/team -> plain.example/new
a: new.example/part -> mirror.example:5000/part [Never]
a: *.wild.example -> plain.example/new-wild [Never]`

var cycles = []cycle{
	{name: "first sets", after: second, files: secondFiles},
	{name: "changed sets", granted: true, before: `a: blocked.example -> mirror.example:5000/old, mirror.example:5000/new [Never]
a: whole.example -> plain.example/old [Never]
a: open.example -> plain.example/old
a: gone.example -> plain.example/gone [Never]
a: also-gone.example/team -> leaving.example/team
a: *.wild.example -> plain.example/wild [Never]`,
		after: second, files: append([]string{onhost.AuthFile, onhost.CertPath(private)}, secondFiles...)},
	{name: "last sets deleted", granted: true, before: second},
}

var secondFiles = []string{
	dropin.Path, certsDir + "/_default/hosts.toml", certsDir + "/blocked.example/hosts.toml", certsDir + "/new.example/hosts.toml",
	certsDir + "/open.example/hosts.toml", certsDir + "/whole.example/hosts.toml",
}

// blocked returns the registries that are at least partly blocked both before and afterwards, as containerd's folders name them.
func (c cycle) blocked() (registries []string, err error) {
	closed := func(sets string) (map[string]bool, error) {
		rules, err := rulesOf(sets)
		found := make(map[string]bool)
		for i := range rules {
			if rules[i].Blocked && rules[i].Source.IsWildcard() {
				found["_default"] = true
			} else if rules[i].Blocked {
				found[rules[i].Source.Host()] = true
			}
		}
		return found, err
	}
	before, err := closed(c.before)
	if err != nil {
		return nil, err
	}
	after, err := closed(c.after)
	for registry := range after {
		if before[registry] {
			registries = append(registries, registry)
		}
	}
	return registries, err
}

func rulesOf(sets string) ([]mirrors.Rule, error) {
	parsed, err := mirrorstest.Parse(sets)
	if err != nil {
		return nil, err
	}
	return kinds.Merge(parsed, nil).Rules, nil
}

// keep leaves a payload on a host as an agent that accepted it does, in the same words or with other white space.
func keep(root, sets string, sameWords bool) error {
	rules, err := rulesOf(sets)
	if err != nil {
		return err
	}
	text, err := registriesconf.Encode(rules)
	if err != nil {
		return err
	}
	state, err := payload.New(time.Now().UnixMilli(), text).Marshal()
	if err != nil {
		return err
	}
	if !sameWords {
		var indented bytes.Buffer
		if err := json.Indent(&indented, state, "", "  "); err != nil {
			return err
		}
		state = indented.Bytes()
	}
	return os.WriteFile(filepath.Join(root, payload.HostPath), state, 0o644)
}

// grant leaves logins and authorities on a host.
func grant(root string) (err error) {
	host, err := hostfile.Open(root)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, host.Close()) }()
	files := onhost.At(host)
	certificate, err := newAuthority()
	if err != nil {
		return err
	}
	login := base64.StdEncoding.EncodeToString([]byte("name:not-a-secret"))
	_, err = files.WriteLogins(fmt.Appendf(nil, `{"auths": {%q: {"auth": %q}, %q: {"auth": %q}}}`, private, login, leaving, login))
	for _, registry := range []string{private, leaving} {
		_, _, failed := files.WriteAuthority(registry, certificate)
		err = errors.Join(err, failed)
	}
	return err
}

// prepare makes a host with the files of the payload before, of which the agent has to change each: what it accepted last is the payload
// afterwards. Then it finds out what the agent makes of that.
func (c cycle) prepare(agent, root string) (before, after tree, err error) {
	for _, dir := range []string{certsDir, "var/lib/mirrorset"} {
		if err := os.MkdirAll(filepath.Join(root, dir), 0o755); err != nil {
			return nil, nil, err
		}
	}
	if c.before != "" {
		if err := c.writeBefore(agent, root); err != nil {
			return nil, nil, err
		}
	}
	if err := keep(root, c.after, false); err != nil {
		return nil, nil, err
	}
	if before, err = read(root); err != nil {
		return nil, nil, err
	}
	finished := root + ".finished"
	if err := before.write(finished); err != nil {
		return nil, nil, err
	}
	if _, _, err := run(agent, finished, c.isFinished, 0); err != nil {
		return nil, nil, fmt.Errorf("without a fault: %w", err)
	}
	after, err = read(finished)
	return before, after, err
}

// writeBefore has an agent write the files before, and ages them.
func (c cycle) writeBefore(agent, root string) error {
	if c.granted {
		if err := grant(root); err != nil {
			return err
		}
	}
	if err := keep(root, c.before, true); err != nil {
		return err
	}
	if _, _, err := run(agent, root, func(now tree) bool { return now[dropin.Path] != nil }, 0); err != nil {
		return fmt.Errorf("writing the files before: %w", err)
	}
	now, err := read(root)
	if err != nil {
		return err
	}
	if c.after == "" {
		return nil
	}
	old, err := now.keys()
	if err != nil {
		return err
	}
	old.Since = old.Since.Add(-25 * time.Hour) // so that a new key is due
	text, err := json.Marshal(old)
	if err != nil {
		return err
	}
	authority := filepath.Join(root, onhost.CertPath(private))
	return errors.Join(
		os.WriteFile(filepath.Join(root, keysFile), text, 0o600),
		os.WriteFile(authority, append(now[onhost.CertPath(private)].content, "# as it was written before\n"...), 0o644),
	)
}

// isFinished reports whether all files that should exist afterwards exist, and no others.
func (c cycle) isFinished(now tree) bool {
	own := []string{keysFile, payload.HostPath}
	for _, name := range append(own, c.files...) {
		if now[name] == nil {
			return false
		}
	}
	return now.files() == len(own)+len(c.files)
}
