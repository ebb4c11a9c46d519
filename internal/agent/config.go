// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"time"

	"github.com/go-logr/logr"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
)

// Paths below the host's root.
const (
	dropInPath = "etc/containers/registries.conf.d/50-mirrorset.conf"
	statePath  = "var/lib/mirrorset/payload.json"
	lockPath   = "var/lib/mirrorset/lock"
)

// Config is what an agent has to know.
type Config struct {
	// HostRoot is the directory that the host's root directory is mounted at.
	HostRoot string
	// Namespace is that of the ConfigMap.
	Namespace string
	// Manager is the name of the manager's Deployment, which this agent is uninstalled with; empty if none deployed it.
	Manager string
	// Client reads the ConfigMap and the manager's Deployment.
	Client kubernetes.Interface
	// Nodes reads and writes MirrorNodes.
	Nodes dynamic.Interface
	// NodeName is that of the Node, and so of its MirrorNode.
	NodeName string
	// Log has the node's name among its values.
	Log logr.Logger
	// Rescan is how often the host's files are looked at even if no event said that they changed.
	Rescan time.Duration
	// Started is called once the redirector serves what an earlier agent accepted, or it is known that it cannot.
	Started func()
	// Metrics, if they are not nil, are kept up to date.
	Metrics *Metrics
	Settings
}

// Settings are what an administrator may choose about a node.
type Settings struct {
	// RedirectorPort is the one of 127.0.0.1 that the redirector listens on.
	RedirectorPort int
	// AllowDefaultHost lets blocked wildcards be put in force for containerd.
	AllowDefaultHost bool
	// CertsDir is what the host calls the folder that the agent finds at etc/containerd/certs.d below the host's root.
	CertsDir string
	// ContainerdConfig is what the host calls containerd's configuration file.
	ContainerdConfig string
	// ContainerdConfigDir is where the folder of that file is below the host's root, if not in its own place.
	ContainerdConfigDir string
	// ReloadCRIO has CRI-O told of each change, which takes the host's PID namespace.
	ReloadCRIO bool
}
