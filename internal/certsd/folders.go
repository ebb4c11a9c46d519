// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package certsd

import "strings"

// Folders returns the names that containerd (on Linux, since 1.6) looks for, the first first. Where one exists, with or
// without a hosts.toml, those behind it are not read, and neither is [DefaultHost]. Ours is the first, so that nobody's
// folder hides a blocked source.
func Folders(host string) []string {
	if name, port, ok := strings.Cut(host, ":"); ok {
		return []string{name + "_" + port + "_", host}
	}
	return []string{host}
}

// HostOf returns the registry that a folder is for.
func HostOf(folder string) string {
	if name, ok := strings.CutSuffix(folder, "_"); ok {
		if at := strings.LastIndexByte(name, '_'); at > 0 {
			return name[:at] + ":" + name[at+1:]
		}
	}
	return folder
}
