// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package doctor

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"reflect"
	"slices"
	"strings"

	"github.com/mirrorset/mirrorset/internal/certsd"
	"github.com/mirrorset/mirrorset/internal/certsd/ondisk"
	"github.com/mirrorset/mirrorset/internal/hostfile"
	"github.com/mirrorset/mirrorset/internal/mirrors"
	"github.com/mirrorset/mirrorset/internal/nodecheck"
	"github.com/mirrorset/mirrorset/internal/nodecheck/hostview"
	"github.com/mirrorset/mirrorset/internal/plugin/runtimes"
	"github.com/mirrorset/mirrorset/internal/route"
)

// toAgent is what to do about a file of ours that the agent is about to mend, or does not.
const toAgent = "If it stays so for a minute, look at the agent: kubectl mirrors doctor NODE"

// lookAtFolders judges the folder that containerd reads registries from: our files there, and those of somebody else.
func (f *hostFiles) lookAtFolders(rules []mirrors.Rule, watched []mirrors.Scope) {
	dir := hostfile.Follow(f.host.FS(), hostview.Path(f.certsDir))
	entries, err := hostfile.ReadDir(f.host.FS(), dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if len(rules) > 0 && slices.Contains(f.runs, nodecheck.Containerd) {
			f.notInForce(nodecheck.Containerd, "NotInForce", "this machine runs containerd, and %s is not there; make that folder", f.certsDir)
		}
		return
	case err != nil:
		f.notInForce(nodecheck.Containerd, "ForeignFolder", "%s cannot be read: %v", f.certsDir, err)
		return
	}
	folder := ondisk.At(f.host, dir)
	if err := folder.Look(); err != nil {
		f.notInForce(nodecheck.Containerd, "ForeignFolder", "%s cannot be read: %v", f.certsDir, err)
		return
	}
	used := f.lookAtRegistries(folder, rules, watched)
	for _, entry := range entries {
		name := entry.Name()
		host := certsd.HostOf(name)
		info, err := fs.Stat(f.host.FS(), hostfile.Follow(f.host.FS(), path.Join(dir, name)))
		isNoFolder := err == nil && !info.IsDir() // which containerd looks at for a registry of that name only
		if hostfile.IsTemporary(name) || isNoFolder && !used[host] && name != certsd.DefaultHost {
			continue
		}
		if err := folder.Refused(name); err != nil {
			f.problem(nodecheck.Problem{Reason: "HostsFileRefused", Runtime: nodecheck.Containerd, Effect: nodecheck.Unread, Message: fmt.Sprintf("containerd cannot use %s: %v", "/"+folder.Path(name), err),
				Remedy: "Fix or remove that file; containerd reads it at the next pull."})
		}
		var foreign *ondisk.Foreign
		if _, err := folder.Current(host); errors.As(err, &foreign) && !used[host] {
			f.found.add(odd, string(nodecheck.Containerd)+": ForeignFolder", fmt.Sprintf("%s %s, so sets that name %s will not be in force for it for containerd on this machine", "/"+foreign.Path, foreign.What, registry(host)),
				"Have sets say what it says, then take it away; or leave that registry to it.")
		}
	}
}

// lookAtRegistries looks for the rules' own files, and returns the registries that something was said of.
func (f *hostFiles) lookAtRegistries(folder *ondisk.Folder, rules []mirrors.Rule, watched []mirrors.Scope) map[string]bool {
	used := make(map[string]bool)
	w := f.wanted(folder, rules, watched)
	for _, file := range w.tree.Files {
		f.lookAtRegistry(folder, file, w)
		used[file.Host] = true
	}
	for _, p := range w.tree.Pending {
		f.notInForce(nodecheck.Containerd, "NotInForce", "registry %s: not in force for containerd on this machine: %s", p.Host, p.Reason)
		used[p.Host] = true
	}
	f.lookAtLeftovers(folder, w.tree)
	for _, h := range folder.Hidden(route.NewRouter(rules)) {
		f.notInForce(nodecheck.Containerd, "ForeignFolder", "registry %s: %s is not ours and hides source %s, which is not in force for it for containerd on this machine; take it away, or name the registry in a set", h.Host, "/"+h.Path, h.Wildcard)
		used[h.Host] = true
	}
	return used
}

// lookAtRegistry wants the file of one registry to say what the rules make of it, with or without a redirector.
func (f *hostFiles) lookAtRegistry(folder *ondisk.Folder, file certsd.File, w wanted) {
	name := "/" + folder.Path(path.Dir(file.Path))
	problem := nodecheck.Problem{Reason: "NotInForce", Runtime: nodecheck.Containerd, Effect: nodecheck.Unread, Remedy: toAgent}
	var foreign *ondisk.Foreign
	content, err := folder.Current(file.Host)
	switch {
	case errors.As(err, &foreign):
		f.notInForce(nodecheck.Containerd, "ForeignFolder", "registry %s: %s %s, so the rules are not in force for containerd on this machine; take it away, or leave the registry to it", file.Host, "/"+foreign.Path, foreign.What)
	case err != nil:
		f.notInForce(nodecheck.Containerd, "NotInForce", "registry %s: %v", file.Host, err)
	case content == nil:
		problem.Message = fmt.Sprintf("registry %s: %s is not there, though the agent of this machine accepted rules for it", file.Host, name)
		f.problem(problem)
	case isClosed(w.unserved, file.Host, content):
		problem.Message = fmt.Sprintf("registry %s: nothing can be pulled from it on this machine: %s closes it until the agent's redirector runs, so that no blocked source is contacted", file.Host, name)
		f.problem(problem)
	case !says(w.unserved, file.Host, content) && !says(w.streamed, file.Host, content) && !sameSay(file.Host, file.Content, content):
		problem.Message = fmt.Sprintf("registry %s: %s is ours, and does not say what the agent of this machine accepted", file.Host, name)
		f.problem(problem)
	}
}

// lookAtLeftovers finds files of ours that the rules do not make. One that the agent keeps, so that a blocked source is not
// opened, was told of by what it waits for.
func (f *hostFiles) lookAtLeftovers(folder *ondisk.Folder, tree certsd.Tree) {
	ours, err := folder.Ours()
	if err != nil {
		f.notInForce(nodecheck.Containerd, "NotInForce", "%s cannot be read whole: %v", f.certsDir, err)
	}
	for _, name := range ours {
		content, err := folder.Read(name)
		if err != nil || // a killed agent only began to write it
			slices.ContainsFunc(tree.Files, func(file certsd.File) bool { return path.Dir(file.Path) == name }) ||
			slices.ContainsFunc(tree.Pending, func(p certsd.Pending) bool {
				return p.Blocked && !p.Unwanted && p.Folder() == name && certsd.Closes(p.Host, content)
			}) {
			continue
		}
		f.problem(nodecheck.Problem{Reason: "NotInForce", Runtime: nodecheck.Containerd, Effect: nodecheck.Unread, Remedy: toAgent,
			Message: fmt.Sprintf("registry %s: %s is ours, and the rules that the agent of this machine accepted make no such file, so containerd follows what was in force before", certsd.HostOf(name), "/"+folder.Path(name))})
	}
}

// wanted is what the rules make of containerd's folder, as far as the settings of this machine's agent can be told.
type wanted struct {
	tree certsd.Tree
	// unserved is the same without a redirector, and streamed with a login or an authority for each mirror: which of them have one is not all
	// to be seen on a machine.
	unserved, streamed certsd.Tree
}

// wanted takes blocked wildcards for allowed where the default host's file has them.
func (f *hostFiles) wanted(folder *ondisk.Folder, rules []mirrors.Rule, watched []mirrors.Scope) wanted {
	node := certsd.Node{
		Redirector: runtimes.RedirectorAddress(runtimes.DefaultRedirectorPort), AllowDefaultHost: true, Certificates: folder.Certificates, Watched: watched,
		Streamed: func(mirror mirrors.Scope) bool { return ondisk.HasTLS(f.host, mirror.Host()) },
	}
	all := certsd.Project(rules, node)
	content, err := folder.Current(certsd.DefaultHost)
	served := node.Redirector
	node.Redirector = ""
	w := wanted{tree: all, unserved: certsd.Project(rules, node)}
	node.AllowDefaultHost = err == nil && (says(all, certsd.DefaultHost, content) || isClosed(w.unserved, certsd.DefaultHost, content))
	if !node.AllowDefaultHost {
		w.unserved = certsd.Project(rules, node)
		node.Redirector = served
		w.tree = certsd.Project(rules, node)
	}
	streamed := node
	streamed.Redirector, streamed.Streamed = served, func(mirrors.Scope) bool { return true }
	w.streamed = certsd.Project(rules, streamed)
	return w
}

// isClosed reports whether a file of ours is the one that closes its registry for want of a redirector.
func isClosed(unserved certsd.Tree, host string, content []byte) bool {
	return slices.ContainsFunc(unserved.Pending, func(p certsd.Pending) bool {
		return p.Instead != nil && p.Instead.Host == host && bytes.Equal(p.Instead.Content, content)
	})
}

// says tells whether a file of ours has the endpoints that a tree has for its registry.
func says(tree certsd.Tree, host string, content []byte) bool {
	return slices.ContainsFunc(tree.Files, func(file certsd.File) bool { return file.Host == host && sameSay(host, file.Content, content) })
}

// sameSay reports whether two files of ours have the same endpoints, wherever the redirector is.
func sameSay(host string, a, b []byte) bool {
	ours, err := endpoints(host, a)
	theirs, otherErr := endpoints(host, b)
	return err == nil && otherErr == nil && reflect.DeepEqual(ours, theirs)
}

// endpoints are those of a file of ours, without what the agent alone knows of the redirector's address.
func endpoints(host string, content []byte) ([]certsd.Endpoint, error) {
	all, err := certsd.Parse(host, content)
	for i := range all {
		if e := &all[i]; strings.HasPrefix(e.Path, route.RedirectorPath) {
			e.Host, e.Path = "", route.RedirectorPath+path.Base(e.Path)
		}
	}
	return all, err
}

func registry(host string) string {
	if host == certsd.DefaultHost {
		return "a wildcard"
	}
	return "registry " + host
}
