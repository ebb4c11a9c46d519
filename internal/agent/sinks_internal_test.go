// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"context"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	mirrorsetv1alpha1 "github.com/mirrorset/mirrorset/api/mirrorset/v1alpha1"
	"github.com/mirrorset/mirrorset/internal/agent/sinktest"
	"github.com/mirrorset/mirrorset/internal/registriesconf/onhost"
)

func TestABrokenFileOfOthersDoesNotStopContainerdsSide(t *testing.T) {
	n, root, _ := took(t, sinktest.Files{other: foreign, etc + "10-broken.conf": "[["})
	offer(t, n, 1, "new.com")
	sinktest.WantTree(t, filepath.Join(root, certsDir), sinktest.Projected(t, "new.com"), sinktest.Files{"other.com/hosts.toml": foreign})
}

func TestAHostIsCleanOnceNoFileOfOursIsLeft(t *testing.T) {
	n, root, _ := took(t, sinktest.Files{other: foreign, etc + "10-theirs.conf": ""})
	if err := CheckClean(root, open(t)); err == nil || !strings.Contains(err.Error(), ourFirst) {
		t.Errorf("error %v", err)
	}
	if err := os.Remove(filepath.Join(root, ourFirst)); err != nil {
		t.Fatal(err)
	}
	if err := CheckClean(root, open(t)); err == nil || !strings.Contains(err.Error(), onhost.Path) {
		t.Errorf("error %v", err)
	}
	offer(t, n, 1)
	if err := CheckClean(root, open(t)); err != nil {
		t.Error(err)
	}
}

func TestAWaitingAgentAnswersByWhatTheOtherAccepts(t *testing.T) {
	first, root, _ := newHost(t, sinktest.Files{other: foreign})
	unlock, err := first.state.host.Lock(t.Context(), lockPath)
	if err != nil {
		t.Fatal(err)
	}
	second := first.successor(t)
	second.sinks.serve(t.Context())
	waiting, stop := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		release, err := second.lock(waiting, Config{})
		if err != nil {
			t.Error(err)
			return
		}
		if err := release(); err != nil {
			t.Error(err)
		}
	}()
	want := func(code int) {
		t.Helper()
		for range 200 {
			if sinktest.AskSource(t, root, second.port, "s.com", "x/y") == code {
				return
			}
			time.Sleep(10 * time.Millisecond)
		}
		t.Errorf("never got %d", code)
	}
	keep := func(revision int64, sources ...string) {
		t.Helper()
		if err := first.state.keep(sinktest.Payload(t, revision, sources...)); err != nil {
			t.Error(err)
		}
	}
	want(http.StatusServiceUnavailable) // what is blocked is not known yet
	keep(0, "!s.com/x")
	want(http.StatusForbidden)
	keep(1, "s.com/x")
	want(http.StatusTemporaryRedirect)
	keep(2, "!s.com/x")
	want(http.StatusForbidden)
	keep(3, "!s.com/x") // two at once: the second file has the number of the one before
	keep(4, "s.com/x")
	want(http.StatusTemporaryRedirect)
	keep(5, "!s.com/x")
	if err := unlock(); err != nil {
		t.Fatal(err)
	}
	<-ended
	stop()
	if second.accepted == nil || sinktest.AskSource(t, root, second.port, "s.com", "x/y") != http.StatusForbidden {
		t.Error("the last state is not taken over")
	}
}

func TestAnAgentThatCannotLockItsHostAsksOnItsEndAsAnyOtherDoes(t *testing.T) {
	n, root, _ := newHost(t, nil)
	sinktest.Write(t, root, filepath.Dir(lockPath), "no folder")
	told, end := context.WithCancel(t.Context())
	end()
	asked := 0
	err := n.run(told, Config{}, func(context.Context) string { asked++; return "" })
	if err != nil || asked != 1 {
		t.Errorf("asked %d times whether Mirrorset is being uninstalled, error %v", asked, err)
	}
}

func TestALostStateOpensNothing(t *testing.T) {
	first, root, _ := newHost(t, sinktest.Files{other: foreign})
	first.sinks.serve(t.Context())
	offer(t, first, 0, "!shut.com/x")
	before := sinktest.Tree(t, filepath.Join(root, certsDir))
	for _, damage := range []string{"{", ""} {
		sinktest.Write(t, root, statePath, damage)
		second := first.successor(t)
		second.restore()
		second.sinks.serve(t.Context())
		if got := sinktest.AskSource(t, root, second.port, "shut.com", "x/y"); got != http.StatusServiceUnavailable {
			t.Errorf("state %q: got %d", damage, got)
		}
		if err := second.repair(); err != nil {
			t.Error(err)
		}
		sinktest.WantTree(t, filepath.Join(root, certsDir), before)
	}
}

func TestANodeWhoseCRIOCannotReadItsFilesSaysSo(t *testing.T) {
	for name, c := range map[string]struct {
		theirs     string
		applied    metav1.ConditionStatus
		unread     bool
		message    string
		notInForce []string
	}{
		"one that is broken":          {"[[registry", metav1.ConditionFalse, true, "is broken", nil},
		"one that opens what we shut": {table("s.com/open", ""), metav1.ConditionFalse, false, "10-theirs.conf on this node has a [[registry]] table with the prefix \"s.com/open\"", []string{"s.com"}},
		"one that is hidden":          {table("t.com", ""), metav1.ConditionTrue, false, "replaces the [[registry]] table", nil},
	} {
		n, _, _ := newHost(t, sinktest.Files{etc + "10-theirs.conf": c.theirs, "etc/crio/crio.conf": "[crio.image]\nauto_reload_registries = true\n"})
		n.runtimeVersion = func() string { return "cri-o://1.34.0" }
		if taken, err := n.take(sinktest.Payload(t, 0, "!s.com", "t.com")); err != nil || !taken {
			t.Fatalf("%s: taken = %t, error %v", name, taken, err)
		}
		status := n.outcome(nil).Status(time.Now(), mirrorsetv1alpha1.MirrorNodeStatus{}, n.runtimeVersion())
		applied, ready := status.Conditions[1], status.Conditions[0]
		if applied.Status != c.applied || (ready.Status == metav1.ConditionFalse) != c.unread || !strings.Contains(applied.Message+ready.Message, c.message) || !slices.Equal(status.NotInForce, c.notInForce) {
			t.Errorf("%s: got %+v", name, status)
		}
	}
}

func TestARuntimeThatDoesNotReadTheRulesIsReportedWithTheRemedy(t *testing.T) {
	const joined = "version = 3\n[plugins.\"io.containerd.cri.v1.images\".registry]\n  config_path = \"/etc/containerd/certs.d:/etc/docker/certs.d\"\n"
	for name, dir := range map[string]string{"in its own place": "", "mounted elsewhere": "config/containerd"} {
		t.Run(name, func(t *testing.T) {
			config := "etc/containerd/config.toml"
			if dir != "" {
				config = dir + "/config.toml"
			}
			n, root, logged := newHost(t, sinktest.Files{other: foreign, config: joined}, "--containerd-config-dir="+dir)
			offer(t, n, 0, "s.com")
			for _, want := range []string{"ContainerdConfigPathJoined", "/etc/containerd/config.toml", `config_path = \"/etc/containerd/certs.d\"`, "systemctl restart containerd"} {
				if !strings.Contains(logged.String(), want) {
					t.Errorf("%q is not in %s", want, logged)
				}
			}
			logged.Reset()
			sinktest.Write(t, root, config, strings.Replace(joined, ":/etc/docker/certs.d", "", 1))
			if err := n.repair(); err != nil {
				t.Fatal(err)
			}
			if strings.Contains(logged.String(), "Containerd") {
				t.Errorf("once it is mended: %s", logged)
			}
		})
	}
}

func TestWhenTheMachineWasStartedIsKnown(t *testing.T) {
	if up := time.Since(booted()); up < 0 || up > 100*365*24*time.Hour {
		t.Errorf("booted %s ago", up)
	}
}

func TestWhoCleansByHandIsToldWhereTheFilesAre(t *testing.T) {
	n, _, _ := newHost(t, nil)
	if got := n.sinks.files(); got != "/etc/containers/registries.conf.d/50-mirrorset.conf and /var/lib/mirrorset/auth.json and /etc/containers/certs.d/*/mirrorset.crt and /etc/containerd/certs.d/*/hosts.toml" {
		t.Errorf("got %s", got)
	}
}
