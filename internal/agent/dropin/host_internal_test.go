// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package dropin

import (
	"testing"

	"github.com/go-logr/logr"

	"github.com/mirrorset/mirrorset/internal/agent/sinktest"
)

const etc = "etc/containers/registries.conf.d/"

// newHost returns the sink of a host with these files, and the host's root directory.
func newHost(t *testing.T, have sinktest.Files) (n *Sink, root string) {
	t.Helper()
	host, root := sinktest.NewHost(t, have)
	return newSink(sinktest.Env(host, logr.Discard()), false), root
}
