// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package doctor

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"

	"github.com/mirrorset/mirrorset/internal/certsd"
	"github.com/mirrorset/mirrorset/internal/certsd/ondisk"
	"github.com/mirrorset/mirrorset/internal/hostfile"
	"github.com/mirrorset/mirrorset/internal/mirrors"
	"github.com/mirrorset/mirrorset/internal/nodecheck"
	"github.com/mirrorset/mirrorset/internal/nodecheck/hostview"
	"github.com/mirrorset/mirrorset/internal/payload"
	"github.com/mirrorset/mirrorset/internal/plugin/runtimes"
	"github.com/mirrorset/mirrorset/internal/registriesconf"
	"github.com/mirrorset/mirrorset/internal/registriesconf/onhost"
	"github.com/mirrorset/mirrorset/internal/route"
)

// hostFiles are those of a machine that runtimes read rules from, ours and those of others, judged as the agent judges them.
type hostFiles struct {
	*machine

	runs  []nodecheck.Runtime // what there is evidence for
	found *diagnoses
	ill   map[nodecheck.Runtime]bool // which of them do not follow all rules
	host  *hostfile.Host
}

// problem says what is wrong for a runtime. Where another one pulls for the kubelet, it is Podman that CRI-O's files matter to.
func (f *hostFiles) problem(p nodecheck.Problem) {
	h, subject := wrong, string(p.Runtime)
	others := len(f.runs) > 0 && !slices.Contains(f.runs, p.Runtime)
	if p.Effect == nodecheck.Mild || others {
		h = odd
	}
	if others && p.Runtime == nodecheck.CRIO {
		subject = "Podman"
	}
	f.ill[p.Runtime] = f.ill[p.Runtime] || h == wrong
	f.found.add(h, fmt.Sprintf("%s: %s", subject, p.Reason), p.Message, p.Remedy)
}

// notInForce says which rules do not count for a runtime.
func (f *hostFiles) notInForce(runtime nodecheck.Runtime, reason nodecheck.Reason, format string, args ...any) {
	f.problem(nodecheck.Problem{Reason: reason, Runtime: runtime, Effect: nodecheck.Unread, Message: fmt.Sprintf(format, args...)})
}

// look judges the files of all runtimes.
func (f *hostFiles) look() {
	host, err := hostfile.Open(f.root)
	if err != nil {
		f.found.add(wrong, "machine", err.Error(), "Look as root.")
		return
	}
	defer func() { _ = host.Close() }() // it was only a handle
	f.host = host
	rules, text := f.rules()
	f.lookAtDropIns(rules, text)
	f.lookAtFolders(rules)
}

// rules are those that an agent accepted last on this machine, or those in the drop-in; none where there has been no agent.
func (f *hostFiles) rules() (rules []mirrors.Rule, text []byte) {
	if data, err := f.host.Read(hostfile.File{Path: payload.HostPath}); err == nil {
		if p, err := payload.Unmarshal(data); err == nil {
			text = p.Text
		}
	}
	if text == nil {
		text, _ = f.host.Read(ownDropIn)
	}
	rules, err := registriesconf.Decode(text)
	if err != nil {
		return nil, nil // the agent would not have written it
	}
	return rules, text
}

var ownDropIn = hostfile.File{Path: onhost.Path, Marker: registriesconf.Header}

// lookAtDropIns has the library of CRI-O and Podman read all registries.conf files.
func (f *hostFiles) lookAtDropIns(rules []mirrors.Rule, text []byte) {
	c, err := onhost.Preflight(f.host, rules, text)
	if err != nil {
		f.notInForce(nodecheck.CRIO, "LocalBroken", "%v", err)
		return
	}
	for _, p := range c.Problems {
		f.problem(p)
	}
	for _, found := range c.Findings {
		f.notInForce(nodecheck.CRIO, found.Reason, "%s", found.Message)
	}
	current, err := f.host.Read(ownDropIn)
	switch {
	case errors.Is(err, hostfile.ErrForeign):
		f.problem(nodecheck.Problem{Reason: "ForeignFile", Runtime: nodecheck.CRIO, Effect: nodecheck.Unread, Message: fmt.Sprintf("/%s is not what Mirrorset wrote, so its rules cannot be written there", onhost.Path),
			Remedy: "Give that file another name, or take it away."})
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		f.notInForce(nodecheck.CRIO, "LocalBroken", "/%s cannot be read: %v", onhost.Path, err)
	case !bytes.Equal(current, c.Text):
		f.problem(nodecheck.Problem{Reason: "NotInForce", Runtime: nodecheck.CRIO, Effect: nodecheck.Unread, Message: fmt.Sprintf("/%s does not say what the agent of this machine accepted", onhost.Path),
			Remedy: "If it stays so for a minute, look at the agent: kubectl mirrors doctor NODE"})
	}
}

// lookAtFolders finds registries that somebody else configures for containerd.
func (f *hostFiles) lookAtFolders(rules []mirrors.Rule) {
	dir := hostfile.Follow(f.host.FS(), hostview.Path(f.certsDir))
	entries, err := hostfile.ReadDir(f.host.FS(), dir)
	if err != nil {
		if !errors.Is(err, fs.ErrNotExist) {
			f.notInForce(nodecheck.Containerd, "ForeignFolder", "%s cannot be read: %v", f.certsDir, err)
		}
		return
	}
	folder := ondisk.At(f.host, dir)
	used := f.lookAtRegistries(folder, rules)
	for _, entry := range entries {
		name := entry.Name()
		if hostfile.IsTemporary(name) {
			continue
		}
		if err := folder.Refused(name); err != nil {
			f.problem(nodecheck.Problem{Reason: "HostsFileRefused", Runtime: nodecheck.Containerd, Effect: nodecheck.Unread, Message: fmt.Sprintf("containerd cannot use %s: %v", "/"+folder.Path(name), err),
				Remedy: "Mend that file or take it away; containerd reads it at the next pull."})
		}
		var foreign *ondisk.Foreign
		host := certsd.HostOf(name)
		if _, err := folder.Current(host); errors.As(err, &foreign) && !used[host] {
			f.found.add(odd, string(nodecheck.Containerd)+": ForeignFolder", fmt.Sprintf("%s %s, so sets that name %s will not be in force for it for containerd on this machine", "/"+foreign.Path, foreign.What, registry(host)),
				"Have sets say what it says, then take it away; or leave that registry to it.")
		}
	}
}

// lookAtRegistries looks for the rules' own files, and returns the registries that something was said of.
func (f *hostFiles) lookAtRegistries(folder ondisk.Folder, rules []mirrors.Rule) map[string]bool {
	used := make(map[string]bool)
	tree := certsd.Project(rules, certsd.Node{Redirector: runtimes.RedirectorAddress(runtimes.DefaultRedirectorPort), Certificates: folder.Certificates})
	for _, file := range tree.Files {
		var foreign *ondisk.Foreign
		content, err := folder.Current(file.Host)
		switch {
		case errors.As(err, &foreign):
			f.notInForce(nodecheck.Containerd, "ForeignFolder", "registry %s: %s %s, so the rules are not in force for containerd on this machine; take it away, or leave the registry to it", file.Host, "/"+foreign.Path, foreign.What)
		case err != nil:
			f.notInForce(nodecheck.Containerd, "NotInForce", "registry %s: %v", file.Host, err)
		case content == nil:
			f.problem(nodecheck.Problem{Reason: "NotInForce", Runtime: nodecheck.Containerd, Effect: nodecheck.Unread, Message: fmt.Sprintf("registry %s: %s is not there, though the agent of this machine accepted rules for it", file.Host, "/"+folder.Path(path.Dir(file.Path))),
				Remedy: "If it stays so for a minute, look at the agent: kubectl mirrors doctor NODE"})
		}
		used[file.Host] = true
	}
	for _, p := range tree.Pending {
		if !p.Unwanted {
			f.notInForce(nodecheck.Containerd, "NotInForce", "registry %s: not in force for containerd on this machine: %s", p.Host, p.Reason)
			used[p.Host] = true
		}
	}
	hidden, _ := folder.Hidden(route.NewRouter(rules)) // it was just read
	for _, h := range hidden {
		f.notInForce(nodecheck.Containerd, "ForeignFolder", "registry %s: %s is not ours and hides source %s, which is not in force for it for containerd on this machine; take it away, or name the registry in a set", h.Host, "/"+h.Path, h.Wildcard)
		used[h.Host] = true
	}
	return used
}

func registry(host string) string {
	if host == certsd.DefaultHost {
		return "a wildcard"
	}
	return "registry " + host
}
