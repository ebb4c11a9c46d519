// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

// Package dropin is the sink for CRI-O, Podman, Buildah and Skopeo. It writes one registries.conf drop-in, which it first tries together with the
// files of others (N1 of docs/reference/semantics.md). It also writes the files with the grants of its mirrors (G4).
package dropin

import (
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/mirrorset/mirrorset/internal/agent/sink"
	grantsonhost "github.com/mirrorset/mirrorset/internal/grants/onhost"
	"github.com/mirrorset/mirrorset/internal/hostfile"
	"github.com/mirrorset/mirrorset/internal/nodecheck"
	"github.com/mirrorset/mirrorset/internal/registriesconf"
	"github.com/mirrorset/mirrorset/internal/registriesconf/onhost"
)

var ours = hostfile.File{Path: onhost.Path, Marker: registriesconf.Header}

// Flags adds the sink's flags. Open the sink after they are parsed.
func Flags(flags *flag.FlagSet) sink.Open {
	reload := flags.Bool("crio-reload", false, "send SIGHUP to CRI-O after each change; needs the host's PID namespace")
	return func(env sink.Env) sink.Sink { return newSink(env, *reload) }
}

// Sink is the drop-in of a host.
type Sink struct {
	env   sink.Env
	drift *sink.Drift
	// preflights try the drop-in together with the files of others.
	preflights *onhost.Preflights
	// granted are the files next to it.
	granted grantFiles
	// reloads notifies CRI-O of each change.
	reloads bool
	// reloadOwed is true if CRI-O has not been notified of the present drop-in.
	reloadOwed bool
}

// newSink returns the sink of a host. To reload CRI-O takes the host's PID namespace.
func newSink(env sink.Env, reload bool) *Sink {
	return &Sink{env: env, drift: env.Drift("drop_in"), preflights: onhost.PreflightsOf(env.Host), granted: newGrantFiles(env), reloads: reload}
}

// Try refuses rules that would make the files of this host unreadable.
func (s *Sink) Try(rules *sink.Accepted) (apply func() sink.Outcome, err error) {
	c, err := s.preflights.Try(rules.Rules, rules.Text)
	if err != nil {
		return nil, err
	}
	findings := make([]sink.Finding, len(c.Findings))
	for i, f := range c.Findings {
		findings[i] = sink.Finding{Reason: sink.Reason(f.Reason), Message: f.Message, Runtime: nodecheck.CRIO, Sources: f.Sources}
	}
	return func() sink.Outcome {
		problems, again := s.granted.write(rules) // before the drop-in leads to a mirror that wants it
		return sink.Outcome{Findings: findings, Problems: slices.Concat(c.Problems, problems), Again: again, Err: s.write(&c, rules)}
	}, nil
}

// write replaces the drop-in. No rules: no file.
func (s *Sink) write(c *onhost.Candidate, rules *sink.Accepted) (err error) {
	var changed bool
	if c.Rules == 0 {
		changed, err = s.env.Host.Remove(ours)
	} else {
		changed, err = s.env.Host.Replace(ours, c.Text)
	}
	switch {
	case err == nil:
		s.drift.Wrote(onhost.Path, c.Text, changed)
	case errors.Is(err, hostfile.ErrForeign):
		err = fmt.Errorf("/%s is not a file of Mirrorset, so no rule is in force for CRI-O and Podman on this node; remove that file: %w", onhost.Path, hostfile.ErrForeign)
	}
	if changed {
		s.env.Log.Info("Wrote the rules", "path", "/"+onhost.Path, "rules", c.Rules, "revision", rules.Revision, "digest", rules.Digest)
		s.reloadOwed = true
	}
	return errors.Join(err, s.reload())
}

// Describe adds how CRI-O is notified of a change.
func (s *Sink) Describe(node *nodecheck.Node) {
	node.DropInsBorn, node.ReloadsCRIO = born(s.env.Host.FS(), nodecheck.DropInsDir), s.reloads
}

// Lost finds nothing: the folder above the drop-in's is the one that is mounted.
func (s *Sink) Lost() error {
	return nil
}

// Files is the drop-in, with the files of the grants of mirrors.
func (s *Sink) Files() string {
	return strings.Join([]string{onhost.Path, grantsonhost.AuthFile, grantsonhost.CertPath("*")}, " and /")
}

// Owned returns the files of these that are ours.
func (s *Sink) Owned() ([]string, error) {
	paths, err := s.granted.files.Owned()
	if err != nil {
		return nil, err
	}
	switch _, err := s.env.Host.Read(ours); {
	case err == nil:
		return append(paths, onhost.Path), nil
	case !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, hostfile.ErrForeign):
		return nil, err
	}
	return paths, nil
}

// Folders are all folders where the consumers read registries.conf files and certificates, and the folders of CRI-O's configuration.
func (s *Sink) Folders() []string {
	return slices.Concat([]string{"etc/containers", "usr/share/containers", grantsonhost.CertsDir, grantsonhost.DockerDir}, onhost.DropInDirs,
		[]string{"etc/crio", "etc/crio/crio.conf.d"})
}

// FileFolders are the folders of the authorities of mirrors.
func (s *Sink) FileFolders() (folders []string) {
	registries, _ := s.granted.files.Registries() // what cannot be read fails the pass
	for _, registry := range registries {
		folders = append(folders, path.Dir(grantsonhost.CertPath(registry)))
	}
	return folders
}

// Clean leaves a foreign file in the place of one of the files untouched.
func (s *Sink) Clean() error {
	changed, err := s.env.Host.Remove(ours)
	s.reloadOwed = s.reloadOwed || changed
	if errors.Is(err, hostfile.ErrForeign) {
		err = nil
	}
	return errors.Join(err, s.granted.files.Clean(), s.reload())
}

// born returns when a file was created; zero where there is none, or the file system does not keep it.
func born(files fs.FS, name string) time.Time {
	opened, err := files.Open(name)
	if err != nil {
		return time.Time{}
	}
	defer func() { _ = opened.Close() }() // it was only asked
	of, ok := opened.(*os.File)
	var stat unix.Statx_t
	if !ok || unix.Statx(int(of.Fd()), "", unix.AT_EMPTY_PATH, unix.STATX_BTIME, &stat) != nil || stat.Mask&unix.STATX_BTIME == 0 {
		return time.Time{}
	}
	return time.Unix(stat.Btime.Sec, int64(stat.Btime.Nsec))
}
