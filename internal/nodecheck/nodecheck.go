// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

// Package nodecheck tells whether the runtimes of a node read what Mirrorset writes there, by their own configuration
// files. It only reads, and what it cannot read is one more problem.
package nodecheck

import (
	"cmp"
	"io/fs"
	"slices"
	"strings"
	"time"

	"github.com/mirrorset/mirrorset/internal/nodecheck/hostview"
)

// The defaults of [Node].
const (
	DefaultContainerdConfig = "etc/containerd/config.toml"
	DefaultCertsDir         = "/etc/containerd/certs.d"
)

// maxFiles bounds the configuration files of one runtime that are read.
const maxFiles = 200

// DropInsDir is the folder that CRI-O watches, below the host's root.
const DropInsDir = "etc/containers/registries.conf.d"

// Node is what there is to know about a node. All but Root may be left out.
type Node struct {
	// Root has the host's files, or those of its folders that can be seen from here.
	Root fs.FS
	// Mounts says where folders of the host are below Root, if not in their own places. The keys are what the host calls
	// them; of one in another, the inner one counts.
	Mounts map[string]string
	// ContainerdConfig is the path on the host of containerd's configuration file. All of its folder must be there.
	ContainerdConfig string
	// CertsDir is the folder that hosts.toml files are written to, as the host names it.
	CertsDir string
	// RuntimeVersion is what status.nodeInfo.containerRuntimeVersion of the Node says, as in "containerd://2.1.4". It says
	// which runtime the kubelet uses, and spares the answers that begin with "it depends".
	RuntimeVersion string
	// ReloadsCRIO says that CRI-O is told of each change of a drop-in, so that it follows none late.
	ReloadsCRIO bool
	// Booted is when the machine was started, and DropInsBorn when its [DropInsDir] was created.
	Booted, DropInsBorn time.Time
	// ContainerdStarted and CRIOStarted are when the processes were started. Without them, it is the time of their sockets
	// below Root that counts, where they can be seen.
	ContainerdStarted, CRIOStarted time.Time
}

// Check reads the configuration of the node's runtimes.
func Check(node Node) Report {
	node.ContainerdConfig = hostview.Path(cmp.Or(node.ContainerdConfig, DefaultContainerdConfig))
	node.CertsDir = cmp.Or(node.CertsDir, DefaultCertsDir)
	node.Root = hostview.New(node.Root, node.Mounts)
	var found Report
	switch RuntimeOf(node.RuntimeVersion) {
	case Containerd:
		newContainerdCheck(node, &found).run(true)
	case CRIO:
		(&crioCheck{node, &found}).run(true)
	default:
		(&crioCheck{node, &found}).run(false)
		newContainerdCheck(node, &found).run(false)
	}
	if node.ReloadsCRIO {
		found.Problems = slices.DeleteFunc(found.Problems, func(p Problem) bool { return p.Runtime == CRIO && p.Effect == Late })
	}
	return found
}

// RuntimeOf returns the runtime that the kubelet uses by what status.nodeInfo.containerRuntimeVersion of a Node says, as in
// "containerd://2.1.4"; "" for none of those that are checked.
func RuntimeOf(version string) Runtime {
	switch name, _, _ := strings.Cut(version, "://"); name {
	case "containerd":
		return Containerd
	case "cri-o":
		return CRIO
	}
	return ""
}

// started returns when a runtime was started: the given time, else that of its socket, which it creates then.
func started(root fs.FS, given time.Time, socket string) time.Time {
	if !given.IsZero() {
		return given
	}
	info, err := fs.Stat(root, socket)
	if err != nil || info.Mode().Type() != fs.ModeSocket {
		return time.Time{}
	}
	return info.ModTime()
}
