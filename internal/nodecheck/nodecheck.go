// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

// Package nodecheck finds out if the runtimes of a node read the files of Mirrorset there, from their own configuration files. It only reads, and
// reports what it cannot read as another problem.
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

// Node is the known facts about a node. All but Root may be left out.
type Node struct {
	// Root has the host's files, or those of its folders that are visible here.
	Root fs.FS
	// Mounts maps folders of the host, by their names there, to their places below Root if those differ. If one folder is in another, the inner one
	// counts.
	Mounts map[string]string
	// ContainerdConfig is the path on the host of containerd's configuration file. The complete folder of the file must be visible.
	ContainerdConfig string
	// CertsDir is the folder that Mirrorset writes hosts.toml files to, as the host names it.
	CertsDir string
	// RuntimeVersion is status.nodeInfo.containerRuntimeVersion of the Node, as in "containerd://2.1.4". It shows which runtime the kubelet uses, and
	// avoids the answers that begin with "it depends".
	RuntimeVersion string
	// ReloadsCRIO is true if CRI-O is notified of each change of a drop-in, so that it follows none late.
	ReloadsCRIO bool
	// Booted is when the machine was started, and DropInsBorn when its [DropInsDir] was created.
	Booted, DropInsBorn time.Time
	// ContainerdStarted and CRIOStarted are when the processes were started. Without them, the time of their sockets below Root counts, where these
	// are visible.
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

// RuntimeOf returns the runtime that the kubelet uses, given status.nodeInfo.containerRuntimeVersion of a Node, as in "containerd://2.1.4". It
// returns "" for a runtime that is not checked.
func RuntimeOf(version string) Runtime {
	switch name, _, _ := strings.Cut(version, "://"); name {
	case "containerd":
		return Containerd
	case "cri-o":
		return CRIO
	}
	return ""
}

// started returns when a runtime was started: the given time, or otherwise the time of its socket, which it creates then.
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
