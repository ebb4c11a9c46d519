// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"regexp"
	"strings"
)

// option is one flag of a program.
type option struct {
	// Short is the one-letter name, if any, and Name the full name, both without hyphens.
	Short, Name string
	// Value is the kind of value that the flag takes, such as "string". It is empty if the flag takes none.
	Value string
	// Usage describes the flag, and Default is its default value, if that is not the zero value.
	Usage, Default string
}

var (
	// heads matches the beginning of a flag in the help text that package flag prints, up to its usage.
	heads    = regexp.MustCompile(`(?m)^  -(\S+?)(?:(?: (\S+))?\n    )?\t`)
	defaults = regexp.MustCompile(`(?s)^(.*) \(default (.*)\)$`)
)

// options returns the flags in a help text of package flag.
func options(help string) []option {
	var found []option
	starts := heads.FindAllStringSubmatchIndex(help, -1)
	for i, start := range starts {
		end := len(help)
		if i+1 < len(starts) {
			end = starts[i+1][0]
		}
		o := option{Name: help[start[2]:start[3]], Usage: strings.TrimSpace(help[start[1]:end])}
		if start[4] >= 0 {
			o.Value = help[start[4]:start[5]]
		}
		if parts := defaults.FindStringSubmatch(o.Usage); parts != nil {
			o.Usage, o.Default = parts[1], strings.Trim(parts[2], `"`)
		}
		found = append(found, o)
	}
	return found
}

// Facts are the kind of value of a flag, and its default.
func (o option) Facts() string {
	var facts []string
	switch o.Value {
	case "":
		facts = append(facts, "Value: true or false.")
	case "value": // package flag has no name for it
	default:
		facts = append(facts, "Value: *"+o.Value+"*.")
	}
	if o.Default != "" {
		facts = append(facts, "Default: `"+o.Default+"`.")
	}
	return strings.Join(facts, " ")
}

// ManagerFacts also name the environment variable that sets a flag of the manager. The flag --version has none.
func (o option) ManagerFacts() string {
	if o.Name == "version" {
		return o.Facts()
	}
	variable := "MIRRORSET_" + strings.ToUpper(strings.ReplaceAll(o.Name, "-", "_"))
	return strings.TrimSpace("Variable: `" + variable + "`. " + o.Facts())
}

// Lead is how a flag begins in a list.
func (o option) Lead() string {
	lead := "`--" + o.Name + "`"
	if o.Short != "" {
		lead = "`-" + o.Short + "`, " + lead
	}
	if o.Value != "" {
		lead += " *" + o.Value + "*"
	}
	return lead
}

// Text describes a flag in a list.
func (o option) Text() string {
	text := escape(sentence(o.Usage))
	if o.Default != "" {
		text += " Default: `" + o.Default + "`."
	}
	return text
}
