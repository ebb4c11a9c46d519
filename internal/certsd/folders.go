// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package certsd

import "strings"

// Folders returns the names that containerd (on Linux, since 1.6) looks for, in order. If one exists, with or without a hosts.toml, containerd reads
// neither the later ones nor [DefaultHost]. Our folder is the first, so that no other folder hides a blocked source.
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
