// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/mirrorset/mirrorset/internal/agent/sink"
)

// Config configures an agent.
type Config struct {
	// HostRoot is the directory where the host's root directory is mounted.
	HostRoot string
	// Namespace is the namespace of the ConfigMap.
	Namespace string
	// Manager is the name of the manager's Deployment, which is uninstalled together with this agent; empty if no Deployment runs it.
	Manager string
	// Clients are the clients of the API server.
	Clients Clients
	// NodeName is the name of the Node, and so of its MirrorNode.
	NodeName string
	// IsInPod is true if the agent runs in a container of this host's runtime, so that it must find a container there.
	IsInPod bool
	// Log has the node's name among its values.
	Log logr.Logger
	// Rescan is how often the agent looks at the host's files even without an event about a change.
	Rescan time.Duration
	// Started is called once the redirector serves what an earlier agent accepted, or it is known that it cannot.
	Started func()
	// Metrics registers the agent's metrics.
	Metrics prometheus.Registerer
	// Socket is the path of the socket where the agent reports the pulls that it saw; empty for none.
	Socket string
	// Sinks are the sinks of the runtimes, in the order in which they are written.
	Sinks []sink.Open
}
