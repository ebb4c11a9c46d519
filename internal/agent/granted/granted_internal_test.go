// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package granted

import (
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"

	"github.com/mirrorset/mirrorset/internal/agent/sinktest"
	"github.com/mirrorset/mirrorset/internal/grants/onhost"
)

func TestWhatIsLeftOnTheHostCountsUntilItIsRestoredAgain(t *testing.T) {
	authority, _ := sinktest.Authority(t, time.Now().Add(time.Hour))
	host, root := sinktest.NewHost(t, nil)
	log, logged := sinktest.Log()
	f := New(host, log)
	password := func() string {
		login, _ := f.Granted().Login("m.com/x")
		return login.Password
	}
	for _, want := range []string{"", "hush-1", "hush-2"} {
		if want != "" {
			sinktest.Write(t, root, onhost.AuthFile, string(sinktest.Credentials(t, map[string]string{"m.com": "name:" + want}).Data[corev1.DockerConfigJsonKey]))
			if _, changed := f.Look(time.Now()); changed || password() == want {
				t.Errorf("%s: it counts before it is restored", want)
			}
		}
		f.Restore()
		if problems, changed := f.Look(time.Now()); len(problems) > 0 || !changed || password() != want {
			t.Errorf("%s: problems %v, changed %t, and another login", want, problems, changed)
		}
		if _, changed := f.Look(time.Now()); changed {
			t.Errorf("%s: a second look finds a change", want)
		}
	}
	if _, _, err := onhost.At(host).WriteAuthority("m.com:5000", []byte(authority)); err != nil {
		t.Fatal(err)
	}
	sinktest.Write(t, root, onhost.AuthFile, "hush, which is damaged")
	f.Restore()
	if _, changed := f.Look(time.Now()); !changed || password() != "" || string(f.Granted().Authority("m.com:5000")) != authority {
		t.Error("a damaged file is used, or keeps the other back")
	}
	if !strings.Contains(logged.String(), onhost.AuthFile) || strings.Contains(logged.String(), "hush") {
		t.Errorf("logged %s", logged)
	}
}

func TestAnAuthorityThatExpiresMeanwhileIsFoundAndStays(t *testing.T) {
	until := time.Now().Add(time.Hour)
	authority, _ := sinktest.Authority(t, until)
	host, _ := sinktest.NewHost(t, nil)
	f := New(host, logr.Discard())
	if _, _, err := onhost.At(host).WriteAuthority("m.com", []byte(authority)); err != nil {
		t.Fatal(err)
	}
	f.Restore()
	if problems, changed := f.Look(until.Add(-time.Minute)); len(problems) > 0 || !changed {
		t.Errorf("problems %v, changed %t", problems, changed)
	}
	problems, changed := f.Look(until.Add(time.Minute))
	if len(problems) != 1 || problems[0].Reason != MirrorGrants || problems[0].Remedy == "" || !strings.Contains(problems[0].Message, `key "m.com"`) || changed {
		t.Errorf("problems %v, changed %t", problems, changed)
	}
}
