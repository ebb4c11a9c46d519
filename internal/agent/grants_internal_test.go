// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"

	mirrorsetv1alpha1 "github.com/mirrorset/mirrorset/api/mirrorset/v1alpha1"
	"github.com/mirrorset/mirrorset/internal/agent/granted"
	"github.com/mirrorset/mirrorset/internal/agent/sink"
	"github.com/mirrorset/mirrorset/internal/agent/sinktest"
	"github.com/mirrorset/mirrorset/internal/grants/onhost"
	"github.com/mirrorset/mirrorset/internal/mirrors"
)

// left are the files with a login and an authority for the mirror of the rules of sinktest, as an earlier agent left them.
func left(t *testing.T, authority string) (have sinktest.Files, text string) {
	t.Helper()
	text = string(sinktest.Grants(t, map[string]string{"mirror.local:5000": "name:hush"}, nil).AuthFile([]mirrors.Scope{"mirror.local:5000/x"}))
	return sinktest.Files{onhost.AuthFile: text, onhost.CertPath("mirror.local:5000"): "# Written by Mirrorset. Change the ConfigMap mirror-authorities, and not this file.\n" + authority}, text
}

func TestWhatMirrorsWereGrantedOutlivesTheAgent(t *testing.T) {
	authority, _ := sinktest.Authority(t, time.Now().Add(time.Hour))
	have, text := left(t, authority)
	first, root, _ := newHost(t, have)
	first.restore()
	offer(t, first, 0, "s.com")
	second := first.successor(t)
	second.restore()
	for name, n := range map[string]*host{"the first": first, "its successor": second} {
		if err := n.repair(); err != nil {
			t.Fatal(err)
		}
		if login, ok := n.accepted.Grants.Login("mirror.local:5000/x/y"); !ok || login.Password != "hush" || string(n.accepted.Grants.Authority("mirror.local:5000")) != authority {
			t.Errorf("%s: what was granted is not restored", name)
		}
		if got, err := os.ReadFile(filepath.Join(root, onhost.AuthFile)); err != nil || string(got) != text {
			t.Errorf("%s: auth.json is another one, error %v", name, err)
		}
		if _, err := os.Stat(filepath.Join(root, onhost.CertPath("mirror.local:5000"))); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	offer(t, second, 1, "s.com", "t.com")
	if _, ok := second.accepted.Grants.Login("mirror.local:5000/x"); !ok {
		t.Error("new rules lose what is granted")
	}
}

func TestAnAuthorityThatExpiredIsSaidInTheStatusOnce(t *testing.T) {
	authority, _ := sinktest.Authority(t, time.Now().Add(-time.Hour))
	have, _ := left(t, authority)
	for _, rules := range [][]string{{"s.com"}, nil} { // without rules, no pass has looked
		n, _, logged := newHost(t, have)
		n.runtimeVersion = func() string { return "containerd://2.1.4" }
		n.restore()
		if rules != nil {
			offer(t, n, 0, rules...)
		}
		status := n.outcome(nil).Status(time.Now(), mirrorsetv1alpha1.MirrorNodeStatus{}, n.runtimeVersion())
		message := status.Conditions[0].Message
		if status.Conditions[0].Type != mirrorsetv1alpha1.ConditionRuntimeReady || strings.Count(message, `"CN=house CA" expired`) != 1 || !strings.Contains(message, `key "mirror.local..5000"`) || !strings.Contains(message, "put the authority's new certificate under that key") {
			t.Errorf("rules %q: %+v", rules, status.Conditions[0])
		}
		if strings.Count(logged.String(), string(granted.MirrorGrants)) != 1 || strings.Contains(logged.String(), "hush") {
			t.Errorf("logged %s", logged)
		}
	}
}

func TestASinkMayAskForAPassBeforeTheLoopRuns(t *testing.T) {
	files, _ := sinktest.NewHost(t, nil)
	var env sink.Env
	n := newNode(files, logr.Discard(), []sink.Open{func(e sink.Env) sink.Sink {
		env = e
		return open(t)[1](e)
	}}, prometheus.NewRegistry())
	for range 3 {
		env.Wake()
	}
	select {
	case <-n.wakes:
	default:
		t.Error("nothing was asked for")
	}
	select {
	case <-n.wakes:
		t.Error("one pass is enough")
	default:
	}
}

func TestAHostIsNotCleanWhileItHasWhatMirrorsWereGranted(t *testing.T) {
	authority, _ := sinktest.Authority(t, time.Now().Add(time.Hour))
	have, _ := left(t, authority)
	n, root, _ := newHost(t, have)
	for _, file := range []string{onhost.AuthFile, onhost.CertPath("mirror.local:5000")} {
		if err := CheckClean(root, open(t)); err == nil || !strings.Contains(err.Error(), file) {
			t.Errorf("%s: error %v", file, err)
		}
		if err := os.Remove(filepath.Join(root, file)); err != nil {
			t.Fatal(err)
		}
	}
	for file, content := range have {
		sinktest.Write(t, root, file, content)
	}
	if err := n.clean(); err != nil {
		t.Fatal(err)
	}
	if err := CheckClean(root, open(t)); err != nil {
		t.Error(err)
	}
}
