// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

// Package mirrorfiles reads the files in which other programs configure their mirrors, and writes entries of sets with the same effect. It
// is strict about meaning. Either the entries have the same places in the same order for each image, or the source has no entry and the
// content explains why. The package is pure: its callers read the files.
package mirrorfiles

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/mirrorset/mirrorset/internal/mirrors"
	"github.com/mirrorset/mirrorset/internal/mirrors/value"
)

// Blocked is the mirror of a source that has none and is never to be contacted: a host that cannot exist (RFC 6761, section 6.4),
// because an entry without mirrors blocks nothing (docs/reference/semantics.md, E5).
const Blocked = "blocked.invalid"

// Entry is what a file says of one source, for references of one mode.
type Entry struct {
	Mode mirrors.Mode
	mirrors.SetEntry
	// Blocks says that the file blocks the source where it is a mirror of another one, too, as NeverContactSource does (docs/reference/semantics.md,
	// Q4). Else the policy is about the source alone.
	Blocks bool
}

// Content is what a file says. All texts are for people, and none has a secret in it.
type Content struct {
	// Place names the file, for messages about several files. The caller that reads the file sets it.
	Place   string
	Entries []Entry
	// Readers says that the file is for CRI-O and Podman, with their quirks (docs/reference/semantics.md, Q2).
	Readers bool
	// Lost is what the entries lack, with what to do.
	Lost []string
	// Elsewhere are settings that no set has, with where they belong.
	Elsewhere []string
	// Ignored is what the program that the file is for passes over, and what else is worth a note.
	Ignored []string
}

func (c *Content) lose(format string, args ...any) {
	c.Lost = append(c.Lost, fmt.Sprintf(format, args...))
}

// elsewhere says each thing once: files repeat one host for many registries.
func (c *Content) elsewhere(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	if !slices.Contains(c.Elsewhere, text) {
		c.Elsewhere = append(c.Elsewhere, text)
	}
}

func (c *Content) ignore(format string, args ...any) {
	c.Ignored = append(c.Ignored, fmt.Sprintf(format, args...))
}

// add takes the entry.
func (c *Content) add(mode mirrors.Mode, source string, places []string, policy mirrors.Policy) {
	c.Entries = append(c.Entries, Entry{Mode: mode, SetEntry: mirrors.SetEntry{Source: source, Mirrors: places, Policy: policy}})
}

// insecure says where a setting belongs that lets a host be reached without TLS checks.
func (c *Content) insecure(what, host string) {
	c.elsewhere("%s: %s", what, howInsecure(printable(host)))
}

// howInsecure explains how to let nodes reach a host without TLS checks, as a mirror or as a source.
func howInsecure(host string) string {
	return "for a mirror, add to the sets that name it the annotation " + mirrors.InsecureAnnotation + ": " + host + ", or start the manager with --insecure-registry=" + host + ", which is for sources too"
}

func (c *Content) credentials(host string) {
	c.elsewhere("credentials for %q: use pull secrets of Pods, or a credential provider of the kubelet", host)
}

func (c *Content) tlsFiles(of, host string) {
	c.elsewhere("TLS files of %q: put them into /etc/containers/certs.d/%s on each node", of, printable(host))
}

// check returns why a set cannot name these mirrors for the source.
func check(source string, places []string) error {
	for _, place := range places {
		if !value.Mirror.Takes(place) {
			return fmt.Errorf("mirror %s of source %s: %s", value.Quote(place), value.Quote(source), value.Wrong(place, value.Mirror))
		}
		rule := mirrors.Rule{Source: mirrors.Scope(source), Mirrors: []mirrors.Mirror{{Location: mirrors.Scope(place), Modes: mirrors.ByDigest | mirrors.ByTag}}}
		if err := rule.Validate(); err != nil {
			return err
		}
	}
	return nil
}

// below joins a place and a path, either of which may be empty.
func below(place, path string) string {
	if place == "" || path == "" {
		return place + path
	}
	return place + "/" + path
}

// isPath reports whether a text is the path of a repository, or of a level above one.
func isPath(text string) bool {
	_, err := mirrors.ParseScopes([]string{"host.example/" + text})
	return err == nil
}

// printable quotes what could do something to a terminal.
func printable(text string) string {
	if quoted := strconv.Quote(text); strings.Trim(quoted, `"`) != text {
		return quoted
	}
	return text
}
