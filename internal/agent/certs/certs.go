// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

// Package certs is the sink for containerd: its folder of hosts.toml files, and the redirector that they lead to (N3 and N4 of
// docs/reference/semantics.md).
package certs

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/mirrorset/mirrorset/internal/agent/sink"
	"github.com/mirrorset/mirrorset/internal/certsd/ondisk"
	"github.com/mirrorset/mirrorset/internal/mirrors"
	"github.com/mirrorset/mirrorset/internal/nodecheck"
)

// dir is the folder that containerd's config_path names. A host without it has no containerd to serve.
const dir = "etc/containerd/certs.d"

// settings are what an administrator may choose about containerd: see [Flags].
type settings struct {
	redirectorPort   int
	redirectorSocket int
	allowDefaultHost bool
	dir, config      string // as the host calls them
	configDir        string // below the host's root; empty for its own place
}

// Flags adds a flag for each setting. Open the sink after the flags are parsed.
func Flags(flags *flag.FlagSet) sink.Open {
	var s settings
	flags.IntVar(&s.redirectorPort, "redirector-port", 289, "port of 127.0.0.1 on which the redirector serves containerd")
	flags.IntVar(&s.redirectorSocket, "redirector-socket", 0, "file descriptor of a socket on this port, passed by a parent process (--respawn); 0 for none")
	flags.BoolVar(&s.allowDefaultHost, "allow-default-host", false, "put blocked wildcards in force for containerd; then every registry without a folder of its own depends on the redirector")
	flags.StringVar(&s.dir, "containerd-certs-dir", "/etc/containerd/certs.d", "path on the host of the folder that is mounted at etc/containerd/certs.d below --host-root")
	flags.StringVar(&s.config, "containerd-config", "/etc/containerd/config.toml", "path on the host of containerd's configuration file")
	flags.StringVar(&s.configDir, "containerd-config-dir", "", "where the folder of --containerd-config is mounted below --host-root; the default is its path on the host")
	return func(env sink.Env) sink.Sink { return newSink(env, s) }
}

// Sink is containerd's folder of a host.
type Sink struct {
	env      sink.Env
	settings settings
	folder   *ondisk.Folder
	drift    *sink.Drift
	unseen   atomic.Pointer[string] // why no pulls are seen; nil where they are
	redirector
}

var (
	_ sink.Server   = &Sink{}
	_ sink.Asker    = &Sink{}
	_ sink.Witness  = &Sink{}
	_ sink.Recorder = &Sink{}
	_ sink.Observer = &Sink{}
)

// newSink returns the sink of a host. Its redirector knows no rules yet.
func newSink(env sink.Env, chosen settings) *Sink {
	return &Sink{env: env, settings: chosen, folder: ondisk.At(env.Host, dir), drift: env.Drift("hosts_toml"), redirector: newRedirector(env, chosen)}
}

// Try finds nothing to harm: each registry is judged by itself when its file is written.
func (s *Sink) Try(rules *sink.Accepted) (apply func() sink.Outcome, err error) {
	return func() sink.Outcome { return s.apply(rules) }, nil
}

// apply reports a failure about one registry among the findings, as it does not stop the others.
func (s *Sink) apply(rules *sink.Accepted) sink.Outcome {
	p := &pass{Sink: s, rules: rules.Rules, granted: rules.Grants, missing: make(map[string]bool), withTLS: make(map[string]bool)}
	for _, source := range slices.Sorted(maps.Keys(rules.Shadow)) {
		p.watched = append(p.watched, mirrors.Scope(source))
	}
	err := p.write()
	if p.changed > 0 {
		s.env.Log.Info("Changed the registries of containerd", "path", "/"+dir, "changed", p.changed, "revision", rules.Revision)
	}
	return p.outcome(err)
}

// Serve serves only if containerd's folder exists, because nothing else could lead to the redirector.
func (s *Sink) Serve(ctx context.Context) {
	_, err := fs.Stat(s.env.Host.FS(), dir)
	s.serve(ctx, err == nil)
	s.unseen.Store(s.whyUnseen(err == nil))
}

// Describe adds the places of containerd's folders.
func (s *Sink) Describe(node *nodecheck.Node) {
	node.CertsDir, node.ContainerdConfig = s.settings.dir, s.settings.config
	node.Mounts = map[string]string{s.settings.dir: dir}
	if s.settings.configDir != "" {
		node.Mounts[path.Dir(s.settings.config)] = s.settings.configDir
	}
}

// Lost reports if the host now has another folder in the place of the folder that this Pod has mounted.
func (s *Sink) Lost() error {
	if s.settings.configDir == "" || path.Dir(s.settings.dir) != path.Dir(s.settings.config) {
		return nil // it cannot be told
	}
	mounted, err := fs.Stat(s.env.Host.FS(), dir)
	if err != nil {
		return nil // there is none to be replaced
	}
	there, err := s.env.Host.Lstat(path.Join(s.settings.configDir, path.Base(s.settings.dir)))
	if err == nil && (there.Mode()&fs.ModeSymlink != 0 || os.SameFile(mounted, there)) {
		return nil
	}
	return fmt.Errorf("%s was replaced on the host and must be mounted again", s.settings.dir)
}

// Files is one file for each registry.
func (s *Sink) Files() string {
	return s.folder.Path("*")
}

// Owned returns the files of registries.
func (s *Sink) Owned() (paths []string, err error) {
	if err := s.folder.Look(); err != nil {
		return nil, err
	}
	folders, err := s.folder.Ours()
	for _, folder := range folders {
		paths = append(paths, s.folder.Path(folder))
	}
	return paths, err
}

// Folders are the folders of the files, of the certificates of registries, and of containerd's configuration.
func (s *Sink) Folders() []string {
	config := s.settings.configDir
	if config == "" {
		config = strings.TrimPrefix(path.Dir(s.settings.config), "/")
	}
	return []string{dir, ondisk.OwnTLSDir, config}
}

// FileFolders are the folders of registries.
func (s *Sink) FileFolders() (folders []string) {
	ours, _ := s.folder.Known() // what cannot be read fails the pass
	for _, folder := range ours {
		folders = append(folders, path.Join(dir, folder))
	}
	return folders
}

// Clean removes the files because they lead to a redirector that is about to end. That would close their registries forever. It also removes the
// keys.
func (s *Sink) Clean() error {
	failed := []error{s.folder.Look(), s.folder.RemoveLeftovers(), s.keys.remove()}
	ours, err := s.folder.Ours()
	failed = append(failed, err)
	for _, removed := range s.folder.Remove(ours...) {
		failed = append(failed, removed.Err)
	}
	return errors.Join(failed...)
}
