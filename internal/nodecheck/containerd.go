// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package nodecheck

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/mirrorset/mirrorset/internal/nodecheck/hostview"
)

// verdict describes what the containerd of some versions makes of our folder. Without a reason, it reads the folder and there is no problem.
type verdict struct {
	reason Reason
	effect Effect
	detail string // the tables that are in the way, or the folder that comes first
	path   string // config_path as it is in force
}

// containerdCheck finds out if containerd reads our folder.
type containerdCheck struct {
	Node
	distribution distribution
	found        *Report
}

func newContainerdCheck(node Node, found *Report) *containerdCheck {
	return &containerdCheck{node, distributionOf(node.ContainerdConfig), found}
}

// run checks everything. If containerd is not known to be the kubelet's runtime, its configuration file is the evidence.
func (c *containerdCheck) run(known bool) {
	if _, err := fs.Stat(c.Root, c.ContainerdConfig); errors.Is(err, fs.ErrNotExist) {
		c.missing(known)
		return
	}
	before := len(c.found.Problems)
	l := c.load()
	if len(l.files) == 0 || l.files[0].path != c.ContainerdConfig {
		c.found.runs(Containerd)
		return
	}
	j := c.judge(l.files)
	disabled := len(j.verdicts) > 0 && !slices.ContainsFunc(j.verdicts, func(v verdict) bool { return v.reason != ContainerdCRIDisabled })
	if disabled && len(c.found.Runtimes) > 0 {
		c.found.Problems = c.found.Problems[:before] // another program's containerd, next to CRI-O
		return
	}
	if !disabled || known {
		c.found.runs(Containerd)
	}
	for _, reason := range j.reasons() {
		c.found.find(j.problem(reason))
	}
	j.checkTransfer()
	c.checkStart(l.changed)
}

func (c *containerdCheck) load() loaded {
	l := loader{root: c.Root, main: c.ContainerdConfig, restart: c.distribution.restart, found: c.found}
	return l.load()
}

func (c *containerdCheck) missing(known bool) {
	if known {
		c.found.runs(Containerd)
	} else if _, err := fs.Stat(c.Root, hostview.Path(c.CertsDir)); err != nil || len(c.found.Runtimes) > 0 {
		return // no containerd here
	}
	c.found.find(Problem{
		Reason: ContainerdConfigMissing, Runtime: Containerd, Effect: Unread,
		Message: fmt.Sprintf("/%s does not exist, and without a configuration file containerd reads no hosts.toml", c.ContainerdConfig),
		Remedy: fmt.Sprintf("If the configuration of containerd is elsewhere, start the manager with --containerd-config=PATH. Otherwise, write /%s with\n\n%s\nand run: %s",
			c.ContainerdConfig, lines(0, c.CertsDir), c.distribution.restart),
	})
}

// judgement is what each containerd that the node can have makes of its files.
type judgement struct {
	*containerdCheck
	files    []file
	dialects []dialect // those that start with the files
	verdicts []verdict // one for each
}

// judge has each containerd that the node can have judge the files.
func (c *containerdCheck) judge(files []file) *judgement {
	j := &judgement{containerdCheck: c, files: files}
	var refusal error
	for _, d := range candidates(c.RuntimeVersion) {
		s, err := d.read(files)
		if err != nil {
			refusal = err
			continue
		}
		j.verdicts, j.dialects = append(j.verdicts, c.judgeOne(&d, &s)), append(j.dialects, d)
	}
	if len(j.dialects) == 0 {
		c.found.find(Problem{
			Reason: ContainerdConfigRefused, Runtime: Containerd, Effect: Unsure,
			Message: fmt.Sprintf("containerd does not start with the configuration /%s: %s", c.ContainerdConfig, refusal),
			Remedy:  fmt.Sprintf("Fix the configuration; `containerd config dump` shows if containerd can read it. Then run: %s", c.distribution.restart),
		})
	}
	return j
}

// The tables that containerd had before config_path, as far as they are in its way.
const (
	mirrorTables = "mirrors"
	tlsTables    = "configs.*.tls"
)

// judgeOne says what one containerd does when the kubelet has it pull.
func (c *containerdCheck) judgeOne(d *dialect, s *settings) verdict {
	r := s.pull.Registry
	unread := func(reason Reason, detail string) verdict {
		return verdict{reason: reason, effect: Unread, detail: detail, path: s.configPath(d)}
	}
	value := s.configPath(d)
	switch {
	case s.disabled:
		return unread(ContainerdCRIDisabled, "")
	case value != "" && len(r.Mirrors) > 0:
		return unread(ContainerdRegistryConflict, mirrorTables)
	case value != "" && d.max < 3 && r.hasTLS():
		return unread(ContainerdRegistryConflict, tlsTables)
	case value == "" && len(r.Mirrors) > 0:
		return unread(ContainerdConfigPathUnset, mirrorTables)
	case value == "":
		return unread(ContainerdConfigPathUnset, "")
	}
	folders := strings.Split(value, ":")
	ours := slices.IndexFunc(folders, c.isCertsDir)
	reason := ContainerdConfigPathJoined
	if r.ConfigPath == nil || *r.ConfigPath == "" {
		reason = ContainerdConfigPathUnset
	}
	switch {
	case len(folders) == 1 && ours == 0:
		return verdict{path: value}
	case ours < 0 && reason != ContainerdConfigPathUnset:
		return unread(ContainerdConfigPathElsewhere, "")
	case ours < 0 || !d.local(&s.pull):
		return unread(reason, "")
	case ours == 0:
		return verdict{reason: reason, path: value}
	}
	return verdict{reason: reason, detail: folders[0], path: value}
}

// configPath returns the value that is in force for the kubelet's pulls.
func (s *settings) configPath(d *dialect) string {
	r := s.pull.Registry
	switch {
	case r.ConfigPath != nil && *r.ConfigPath != "":
		return *r.ConfigPath
	case d.defaults && len(r.Mirrors) == 0, d.defaultsEarly && (r.ConfigPath == nil || s.legacy):
		return defaultPath
	}
	return ""
}

func (r *registry) hasTLS() bool {
	for _, config := range r.Configs {
		if config.TLS != nil {
			return true
		}
	}
	return false
}

// snapRevision is the folder of one revision of a snap, which a link named current leads to.
var snapRevision = regexp.MustCompile(`^/var/snap/([^/]+)/x?[0-9]+/`)

// isCertsDir reports if a folder, as the host names it, is our folder.
func (c *containerdCheck) isCertsDir(folder string) bool {
	plain := func(name string) string {
		return snapRevision.ReplaceAllString(path.Clean(name), "/var/snap/$1/current/")
	}
	if !path.IsAbs(folder) {
		return false
	}
	if plain(folder) == plain(c.CertsDir) {
		return true
	}
	a, err := fs.Stat(c.Root, hostview.Path(folder))
	if err != nil {
		return false
	}
	b, err := fs.Stat(c.Root, hostview.Path(c.CertsDir))
	return err == nil && os.SameFile(a, b)
}

// checkTransfer compares the transfer service's own config_path.
func (j *judgement) checkTransfer() {
	if len(j.dialects) == 0 {
		return
	}
	d := &j.dialects[len(j.dialects)-1]
	s, err := d.read(j.files)
	value := s.configPath(d)
	if err != nil || s.transfer == "" || path.Clean(s.transfer) == path.Clean(value) || j.isCertsDir(s.transfer) && j.isCertsDir(value) {
		return
	}
	j.found.find(Problem{
		Reason: ContainerdTransferDiffers, Runtime: Containerd, Effect: Mild,
		Message: fmt.Sprintf("/%s sets config_path = %s for the transfer service but %s for the kubelet's pulls, and the kubelet's pulls use only the latter",
			j.ContainerdConfig, quote(s.transfer), orNone(value)),
		Remedy: fmt.Sprintf("Set the value of the kubelet in both places, or remove that of the transfer service; `ctr images pull` needs --hosts-dir %s in any case:\n\n[plugins.%q]\n  config_path = %q\n\nThen run: %s",
			j.CertsDir, "io.containerd.transfer.v1.local", j.CertsDir, j.distribution.restart),
	})
}

func orNone(value string) string {
	if value == "" {
		return "none"
	}
	return quote(value)
}

// checkStart compares the time of the configuration with that of the process.
func (c *containerdCheck) checkStart(changed time.Time) {
	start := started(c.Root, c.ContainerdStarted, c.distribution.socket)
	if start.IsZero() || !changed.After(start) {
		return
	}
	c.found.find(Problem{
		Reason: ContainerdNotRestarted, Runtime: Containerd, Effect: Unsure,
		Message: fmt.Sprintf("containerd was started at %s, before its configuration was changed at %s, so it may still use the old configuration",
			stamp(start), stamp(changed)),
		Remedy: "Run: " + c.distribution.restart,
	})
}

func stamp(t time.Time) string {
	return t.UTC().Format(time.RFC3339)
}
