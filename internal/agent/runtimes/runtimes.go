// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

// Package runtimes names the sinks that an agent has. A further runtime is a room of its own and a line here.
package runtimes

import (
	"flag"

	"github.com/mirrorset/mirrorset/internal/agent/certs"
	"github.com/mirrorset/mirrorset/internal/agent/dropin"
	"github.com/mirrorset/mirrorset/internal/agent/sink"
)

// Flags adds the flags of all sinks, which are to be opened once these are parsed. In this order they are written.
func Flags(flags *flag.FlagSet) []sink.Open {
	return []sink.Open{certs.Flags(flags), dropin.Flags(flags)}
}
