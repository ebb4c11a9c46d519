// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package olm_test

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/operator-framework/operator-registry/pkg/client"
	"sigs.k8s.io/yaml"
)

// What OLM asks a catalog's server, which is opm, with the arguments of OLM's Pod.
func TestOpmServesTheCatalog(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	_, port, _ := net.SplitHostPort(address)
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	opm, err := filepath.Abs(opmProgram)
	if err != nil {
		t.Fatal(err)
	}
	served, err := filepath.Abs(catalog)
	if err != nil {
		t.Fatal(err)
	}
	server := exec.Command(opm, "serve", served, "--port", port, "--cache-dir", filepath.Join(dir, "cache"), "--cache-enforce-integrity=false", "--pprof-addr", "", "--termination-log", filepath.Join(dir, "ended"))
	var log strings.Builder
	server.Dir, server.Stdout, server.Stderr = dir, &log, &log
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = server.Process.Signal(syscall.SIGTERM) // it may have ended by itself
		_ = server.Wait()
		if t.Failed() {
			t.Log(log.String())
		}
	})
	c, err := client.NewClient(address)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	for start := time.Now(); ; time.Sleep(100 * time.Millisecond) {
		if healthy, err := c.HealthCheck(t.Context(), time.Second); healthy {
			break
		} else if time.Since(start) > time.Minute {
			t.Fatalf("opm does not serve: %v", err)
		}
	}
	expectServed(t, c)
}

// expectServed wants the channels that the bundle says it is in, each with the bundle at its head.
func expectServed(t *testing.T, c *client.Client) {
	t.Helper()
	var said struct{ Annotations map[string]string }
	text, err := os.ReadFile(filepath.Join(bundle, "metadata/annotations.yaml"))
	if err == nil {
		err = yaml.Unmarshal(text, &said)
	}
	if err != nil {
		t.Fatal(err)
	}
	var released struct {
		Metadata struct{ Name string }
		Spec     struct{ Version, Replaces string }
	}
	if text, err = os.ReadFile(filepath.Join(bundle, csv)); err == nil {
		err = yaml.Unmarshal(text, &released)
	}
	if err != nil {
		t.Fatal(err)
	}
	const prefix = "operators.operatorframework.io.bundle."
	name := said.Annotations[prefix+"package.v1"]
	pkg, err := c.GetPackage(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	if want := said.Annotations[prefix+"channel.default.v1"]; pkg.DefaultChannelName != want {
		t.Errorf("the default channel is %q, and the bundle says %q", pkg.DefaultChannelName, want)
	}
	for channel := range strings.SplitSeq(said.Annotations[prefix+"channels.v1"], ",") {
		head, err := c.GetBundleInPackageChannel(t.Context(), name, channel)
		if err != nil {
			t.Errorf("channel %s: %v", channel, err)
			continue
		}
		if head.CsvName != released.Metadata.Name || head.Version != released.Spec.Version {
			t.Errorf("channel %s ends with %s, version %s; want %s, version %s", channel, head.CsvName, head.Version, released.Metadata.Name, released.Spec.Version)
		}
		if channel == pkg.DefaultChannelName && head.Replaces != released.Spec.Replaces {
			t.Errorf("in channel %s the bundle replaces %q, and the CSV says %q", channel, head.Replaces, released.Spec.Replaces)
		}
		var provided []string
		for _, api := range head.ProvidedApis {
			provided = append(provided, api.Kind)
		}
		if !slices.Equal(provided, []string{"MirrorNode"}) {
			t.Errorf("channel %s provides %q; want MirrorNode alone (docs/adr/0015)", channel, provided)
		}
	}
}
