// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sys/unix"

	"github.com/mirrorset/mirrorset/internal/agent/sink"
	"github.com/mirrorset/mirrorset/internal/hostfile"
	"github.com/mirrorset/mirrorset/internal/nodecheck"
)

// sinks are those of one host, in the order in which they are written.
type sinks []sink.Sink

// each does something with all sinks. None of them stops the others.
func (all sinks) each(do func(sink.Sink) error) error {
	var failed []error
	for _, s := range all {
		failed = append(failed, do(s))
	}
	return errors.Join(failed...)
}

// servers are the sinks that serve.
func (all sinks) servers() (servers []sink.Server) {
	for _, s := range all {
		if server, ok := s.(sink.Server); ok {
			servers = append(servers, server)
		}
	}
	return servers
}

func (all sinks) follow(rules *sink.Accepted) {
	for _, s := range all.servers() {
		s.Follow(rules)
	}
}

func (all sinks) serve(ctx context.Context) {
	for _, s := range all.servers() {
		s.Serve(ctx)
	}
}

func (all sinks) close() error {
	var failed []error
	for _, s := range all.servers() {
		failed = append(failed, s.Close())
	}
	return errors.Join(failed...)
}

// observed returns what is seen of the pulls of this host; nothing where no sink sees them.
func (all sinks) observed(now time.Time) sink.Observed {
	for _, s := range all {
		if observer, ok := s.(sink.Observer); ok {
			return observer.Observed(now)
		}
	}
	return sink.Observed{}
}

// try returns what is to be applied for the sinks that do not refuse the rules, and why others do.
func (all sinks) try(rules *sink.Accepted) (apply []func() sink.Outcome, err error) {
	var failed []error
	for _, s := range all {
		next, err := s.Try(rules)
		if err != nil {
			failed = append(failed, err)
			continue
		}
		apply = append(apply, next)
	}
	return apply, errors.Join(failed...)
}

// check reports if the runtimes of this host read the files that are written for them.
func (all sinks) check(root fs.FS, runtimeVersion string) nodecheck.Report {
	about := nodecheck.Node{Root: root, RuntimeVersion: runtimeVersion, Booted: booted()}
	for _, s := range all {
		s.Describe(&about)
	}
	return nodecheck.Check(about)
}

// files says where the files of all sinks may be.
func (all sinks) files() string {
	var places []string
	for _, s := range slices.Backward(all) {
		places = append(places, "/"+s.Files())
	}
	return strings.Join(places, " and ")
}

// maxWatched bounds the folders of single files that are watched, as the host has no more than so many watches for all its
// programs; the others are looked at with every rescan.
const maxWatched = 1000

// watched returns the folders where a change may require another pass.
func (all sinks) watched() (folders []string) {
	var ours []string
	for _, s := range all {
		folders = append(folders, s.Folders()...)
		ours = append(ours, s.FileFolders()...)
	}
	return append(folders, ours[:min(len(ours), maxWatched)]...)
}

// booted returns when the machine was started; zero if that cannot be told. The kernel counts whole seconds, so it is asked once.
var booted = sync.OnceValue(func() time.Time {
	var info unix.Sysinfo_t
	if err := unix.Sysinfo(&info); err != nil {
		return time.Time{}
	}
	return time.Now().Add(-time.Duration(info.Uptime) * time.Second)
})

// CheckClean fails if a host still has a registry file of ours.
func CheckClean(hostRoot string, open []sink.Open) (err error) {
	host, err := hostfile.Open(hostRoot)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, host.Close()) }()
	for _, s := range newNode(host, logr.Discard(), open, prometheus.NewRegistry()).sinks {
		owned, err := s.Owned()
		if err != nil {
			return err
		}
		for _, file := range owned {
			switch _, err := host.Lstat(file); {
			case err == nil:
				return fmt.Errorf("/%s still exists", file)
			case !errors.Is(err, fs.ErrNotExist): // what a killed agent only began is none
				return err
			}
		}
	}
	return nil
}
