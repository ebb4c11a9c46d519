// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package doctor

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"github.com/mirrorset/mirrorset/internal/hostfile"
	"github.com/mirrorset/mirrorset/internal/mirrors"
	"github.com/mirrorset/mirrorset/internal/nodecheck"
	"github.com/mirrorset/mirrorset/internal/payload"
	"github.com/mirrorset/mirrorset/internal/registriesconf"
	"github.com/mirrorset/mirrorset/internal/registriesconf/onhost"
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
	rules, text, watched := f.rules()
	f.lookAtDropIns(rules, text)
	f.lookAtFolders(rules, watched)
}

// rules are those that an agent accepted last on this machine, with the sources that it watches, or those in the drop-in; none where there has been no agent.
func (f *hostFiles) rules() (rules []mirrors.Rule, text []byte, watched []mirrors.Scope) {
	if data, err := f.host.Read(hostfile.File{Path: payload.HostPath}); err == nil {
		if p, err := payload.Unmarshal(data); err == nil {
			text = p.Text
			for source := range p.Shadow {
				watched = append(watched, mirrors.Scope(source))
			}
		}
	}
	if text == nil {
		text, _ = f.host.Read(ownDropIn)
	}
	rules, err := registriesconf.Decode(text)
	if err != nil {
		return nil, nil, nil // the agent would not have written it
	}
	return rules, text, watched
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
		f.problem(nodecheck.Problem{Reason: onhost.ForeignFile, Runtime: nodecheck.CRIO, Effect: nodecheck.Unread, Message: fmt.Sprintf("/%s is not what Mirrorset wrote, so its rules cannot be written there", onhost.Path),
			Remedy: "Rename or remove that file."})
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		f.notInForce(nodecheck.CRIO, "LocalBroken", "/%s cannot be read: %v", onhost.Path, err)
	case !bytes.Equal(current, c.Text):
		f.problem(nodecheck.Problem{Reason: "NotInForce", Runtime: nodecheck.CRIO, Effect: nodecheck.Unread, Message: fmt.Sprintf("/%s does not say what the agent of this machine accepted", onhost.Path),
			Remedy: toAgent})
	}
}
