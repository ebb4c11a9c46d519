// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

// Package runtimes names the sinks of an agent. Another runtime needs a room of its own and a line here.
package runtimes

import (
	"flag"

	"github.com/mirrorset/mirrorset/internal/agent/certs"
	"github.com/mirrorset/mirrorset/internal/agent/dropin"
	"github.com/mirrorset/mirrorset/internal/agent/sink"
)

// Flags adds the flags of all sinks. Open the sinks after the flags are parsed. They are written in this order.
func Flags(flags *flag.FlagSet) []sink.Open {
	return []sink.Open{certs.Flags(flags), dropin.Flags(flags)}
}
