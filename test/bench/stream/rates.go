// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"regexp"
	"runtime"
	"slices"
	"syscall"
	"time"

	"github.com/mirrorset/mirrorset/test/enclosure"
)

// fetched is one way to the layer without containerd.
type fetched struct {
	name string
	// root is the repository's, and query what has to stand behind each path there.
	root, query string
}

// rates has a reader take all ways to the layer in turns, and prints what each took.
func rates(ctx context.Context, o options) error {
	if err := enclosure.Settle(ctx, mirrorIP); err != nil {
		return err
	}
	n, err := startNode(ctx, o)
	if err != nil {
		return err
	}
	client, err := newReader()
	if err != nil {
		return err
	}
	var ways []fetched
	for _, w := range []struct{ mode, source, direct string }{
		{"tls=false", plainSource, "http://" + plainHost}, {"tls=true", source, "https://" + mirrorHost},
	} {
		entry, err := firstEntry(w.source)
		if err != nil {
			return err
		}
		ways = append(ways, fetched{w.mode + "/way=mirrorset", entry + "/layer", "?ns=" + w.source}, fetched{w.mode + "/way=direct", w.direct + "/v2/" + repository, ""})
	}
	for _, w := range ways { // so that each connection is there, and each login known
		if _, err := n.fetch(ctx, client, w, o.layer); err != nil {
			return err
		}
	}
	fmt.Printf("goos: %s\ngoarch: %s\npkg: github.com/mirrorset/mirrorset/test/bench/stream\n", runtime.GOOS, runtime.GOARCH)
	for i := range o.runs {
		if i%2 == 1 { // so that none is always the one behind another
			slices.Reverse(ways)
		}
		for _, w := range ways {
			if err := n.measure(ctx, client, w, o.layer); err != nil {
				return err
			}
		}
	}
	return nil
}

// newReader returns a client that trusts the mirror, and reads in pieces as large as it has room for.
func newReader() (*http.Client, error) {
	certificate, err := os.ReadFile(authority)
	if err != nil {
		return nil, err
	}
	trusted := x509.NewCertPool()
	trusted.AppendCertsFromPEM(certificate)
	return &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: trusted, MinVersion: tls.VersionTLS12}, DisableCompression: true}}, nil
}

// entryOfRank0 is the first of the redirector's entries in a hosts.toml.
var entryOfRank0 = regexp.MustCompile(`"(http://127\.0\.0\.1:[0-9]+/v2/_mirrorset/[0-9a-f]+/0)"`)

// firstEntry returns the root of the API at which the redirector has the first mirrors of a registry.
func firstEntry(registry string) (string, error) {
	text, err := os.ReadFile(hostsFile(registry))
	if err != nil {
		return "", err
	}
	found := entryOfRank0.FindSubmatch(text)
	if found == nil {
		return "", fmt.Errorf("the hosts.toml of %s has no entry of the redirector:\n%s", registry, text)
	}
	return string(found[1]), nil
}

// measure fetches the layer once, and prints a line of a benchmark: with the processor time for each GiB, that of the agent, and that of the mirror, the
// agent and the reader together, which is what bounds a machine where all three are.
func (n *node) measure(ctx context.Context, client *http.Client, w fetched, layer int64) error {
	agentBefore, allBefore, err := n.usedByAll()
	if err != nil {
		return err
	}
	took, err := n.fetch(ctx, client, w, layer)
	if err != nil {
		return err
	}
	agent, all, err := n.usedByAll()
	perGiB := func(used time.Duration) float64 { return used.Seconds() * (1 << 30) / float64(layer) }
	fmt.Printf("BenchmarkStream/%s-%d\t1\t%d ns/op\t%.1f MB/s\t%.2f agent-cpu-s/GiB\t%.2f cpu-s/GiB\n",
		w.name, runtime.GOMAXPROCS(0), took.Nanoseconds(), float64(layer)/1e6/took.Seconds(), perGiB(agent-agentBefore), perGiB(all-allBefore))
	return err
}

// usedByAll returns the processor time of the agent, and that of all programs and of this one.
func (n *node) usedByAll() (agent, all time.Duration, err error) {
	var own syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &own); err != nil {
		return 0, 0, err
	}
	all = time.Duration(own.Utime.Nano() + own.Stime.Nano())
	for name := range n.programs {
		used, err := n.used(name)
		if err != nil {
			return 0, 0, err
		}
		all += used
		if name == "agent" {
			agent = used
		}
	}
	return agent, all, nil
}

// fetch reads the layer to its end, keeps nothing of it, and says how long that took.
func (n *node) fetch(ctx context.Context, client *http.Client, w fetched, layer int64) (took time.Duration, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, w.root+"/blobs/"+n.layer+w.query, nil)
	if err != nil {
		return 0, err
	}
	req.SetBasicAuth(user, password)
	buffer := make([]byte, len(content))
	started := time.Now()
	resp, err := client.Do(req)
	if err != nil {
		return 0, fmt.Errorf("%s: %w", w.name, err)
	}
	read, err := io.CopyBuffer(struct{ io.Writer }{io.Discard}, resp.Body, buffer)
	took = time.Since(started)
	err = errors.Join(err, resp.Body.Close())
	if err != nil || resp.StatusCode != http.StatusOK || read != layer {
		return 0, fmt.Errorf("%s: status %d, %d bytes: %w\n%s", w.name, resp.StatusCode, read, err, n.logs())
	}
	return took, nil
}
