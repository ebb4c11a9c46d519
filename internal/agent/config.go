// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/mirrorset/mirrorset/internal/agent/sink"
)

// Config is what an agent has to know.
type Config struct {
	// HostRoot is the directory where the host's root directory is mounted.
	HostRoot string
	// Namespace is that of the ConfigMap.
	Namespace string
	// Manager is the name of the manager's Deployment, which this agent is uninstalled with; empty if none deployed it.
	Manager string
	// Clients are those of the API server.
	Clients Clients
	// NodeName is that of the Node, and so of its MirrorNode.
	NodeName string
	// IsInPod says that the agent runs in a container of this host's runtime, so that one must be seen there.
	IsInPod bool
	// Log has the node's name among its values.
	Log logr.Logger
	// Rescan is how often the host's files are looked at even if no event said that they changed.
	Rescan time.Duration
	// Started is called once the redirector serves what an earlier agent accepted, or it is known that it cannot.
	Started func()
	// Metrics takes what an agent counts.
	Metrics prometheus.Registerer
	// Socket is the path of the socket on which the agent says what it saw of pulls; empty for none.
	Socket string
	// Sinks are those of the runtimes, in the order in which they are written.
	Sinks []sink.Open
}
