// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"fmt"
	"slices"
)

// The files and folders that the agent writes, below a host's root.
const (
	dropIn      = "etc/containers/registries.conf.d/50-mirrorset.conf"
	dropIns     = "etc/containers/registries.conf.d"
	certs       = "etc/containerd/certs.d"
	hosts       = "etc/containerd/certs.d/blocked.example/hosts.toml"
	registry    = "etc/containerd/certs.d/blocked.example"
	logins      = "var/lib/mirrorset/auth.json"
	keys        = "var/lib/mirrorset/redirector-keys.json"
	accepted    = "var/lib/mirrorset/payload.json"
	own         = "var/lib/mirrorset"
	authorities = "etc/containers/certs.d"
	authority   = "etc/containers/certs.d/mirror.example:5000/mirrorset.crt"
	authorityOf = "etc/containers/certs.d/mirror.example:5000"
)

// takenBy is the registry that loses its file with a path; "" for none.
var takenBy = map[string]string{hosts: "blocked.example", registry: "blocked.example", certs: "all"}

// harmless are the faults that an agent gets on with, because it writes nothing there, or what it writes takes the place of what is there.
var harmless = []string{
	"may not write: " + registry, "may not write: " + authorities, "immutable: " + authorities, "immutable: " + keys,
	"a hard link in place of the file: " + logins, "a hard link in place of the file: " + keys, "a hard link in place of the file: " + accepted,
}

// faults are all that are tried.
func faults() (all []fault) {
	for _, disk := range []struct{ path, says string }{{"etc/containers", dropIns}, {"etc/containerd", certs}, {"var/lib", own}} {
		all = append(all,
			fault{name: "full disk: " + disk.path, make: fill(disk.path, false), puts: []string{disk.path + "/filler"}, says: []string{"/" + disk.says, "no space left on device"}},
			fault{name: "no file left on the disk: " + disk.path, make: fill(disk.path, true), puts: []string{disk.path + "/filler"}, says: []string{"/" + disk.says, "no space left on device"}},
			fault{name: "read-only disk: " + disk.path, make: freeze(disk.path), says: []string{"/" + disk.says, "read-only file system"}})
	}
	for _, folder := range []string{dropIns, certs, registry, own, authorities, authorityOf} {
		all = append(all,
			fault{name: "may not write: " + folder, make: restrict(folder, 0, 0o555), says: []string{"/" + folder, "permission denied"}},
			fault{name: "may not read: " + folder, make: restrict(folder, nobody, 0o700), says: []string{"/" + folder, "permission denied"}},
			fault{name: "immutable: " + folder, make: pin(folder), says: []string{"/" + folder, "operation not permitted"}})
		for _, kind := range []string{"a symlink to a folder", "a symlink with an absolute name to a folder", "a pipe", "a file"} {
			all = append(all, fault{name: fmt.Sprintf("%s in place of the folder: %s", kind, folder), make: replace(folder, kind), puts: []string{folder},
				taken: takenBy[folder], says: []string{"/" + folder}})
		}
	}
	for _, file := range []string{dropIn, hosts, logins, keys, accepted, authority} {
		all = append(all,
			fault{name: "may not read: " + file, make: restrict(file, nobody, 0o600), says: []string{"/" + file, "permission denied"}},
			fault{name: "immutable: " + file, make: pin(file), says: []string{"/" + file, "operation not permitted"}},
			fault{name: "a hard link in place of the file: " + file, make: link(file), puts: []string{file}, taken: takenBy[file], says: []string{"/" + file}})
		for _, kind := range []string{"a directory", "a symlink", "a pipe"} {
			all = append(all, fault{name: fmt.Sprintf("%s in place of the file: %s", kind, file), make: replace(file, kind), puts: []string{file},
				taken: takenBy[file], says: []string{"/" + file}})
		}
	}
	none := func(*node) (func() error, error) { return func() error { return nil }, nil }
	for i, f := range all {
		if slices.Contains(harmless, f.name) {
			all[i].says = nil
		}
	}
	return append([]fault{
		{name: "2,000 folders of others", make: neighbours(2000), puts: []string{certs + "/n0", certs + "/n1"}},
		{name: "no inotify instance left", limits: [2]string{"0", "100"}, make: none, says: []string{"inotify", "fs.inotify.max_user_instances"}}, // which takes minutes
		{name: "no inotify watch left", limits: [2]string{"10", "3"}, make: none, says: []string{"inotify", "fs.inotify.max_user_watches"}},
		{name: "full disk: tmp", make: fill("tmp", false), says: []string{"/tmp", "cannot test", "no space left on device"}},
	}, all...)
}
