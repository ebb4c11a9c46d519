// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package dropin

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/mirrorset/mirrorset/internal/agent/sink"
	"github.com/mirrorset/mirrorset/internal/agent/sinktest"
	"github.com/mirrorset/mirrorset/internal/grants/onhost"
	"github.com/mirrorset/mirrorset/internal/mirrors"
	"github.com/mirrorset/mirrorset/internal/nodecheck"
)

// mirror is that of the rules of sinktest.
const mirror = "mirror.local:5000"

// granted are rules for s.com whose mirror has a login and an authority.
func granted(t *testing.T, password, authority string) *sink.Accepted {
	t.Helper()
	rules := sinktest.Accepted(t, 0, "s.com")
	rules.Grants = sinktest.Grants(t, map[string]string{mirror: "name:" + password, "s.com": "source:" + password}, map[string]string{strings.Replace(mirror, ":", "..", 1): authority, "s.com": authority})
	return rules
}

// apply writes the rules, and returns what is said of what their mirrors are granted.
func apply(t *testing.T, s *Sink, rules *sink.Accepted) (problems []string, again error) {
	t.Helper()
	write, err := s.Try(rules)
	if err != nil {
		t.Fatal(err)
	}
	outcome := write()
	if outcome.Err != nil || len(outcome.Findings) > 0 {
		t.Errorf("the rules are not all in force: %v, error %v", outcome.Findings, outcome.Err)
	}
	for _, p := range outcome.Problems {
		if p.Reason != MirrorGrantsFile || p.Effect != nodecheck.Mild || p.Runtime != nodecheck.CRIO || p.Remedy == "" {
			t.Errorf("problem %+v", p)
		}
		problems = append(problems, p.Message+": "+p.Remedy)
	}
	return problems, outcome.Again
}

func TestWhatMirrorsAreGrantedIsWrittenAndTakenAway(t *testing.T) {
	authority, _ := sinktest.Authority(t, time.Now().Add(time.Hour))
	host, root := sinktest.NewHost(t, sinktest.Files{onhost.CertsDir + "/theirs.com/ca.crt": "theirs"})
	log, logged := sinktest.Log()
	s := newSink(sinktest.Env(host, log), false)
	repairs := func(kind string) float64 { return testutil.ToFloat64(s.env.Repairs.WithLabelValues(kind)) }
	auth, certificates := filepath.Join(root, onhost.AuthFile), filepath.Join(root, onhost.CertPath(mirror))
	want := func(what, password string) {
		t.Helper()
		text, err := os.ReadFile(auth)
		info, errInfo := os.Stat(auth)
		if err := errors.Join(err, errInfo); err != nil || info.Mode() != 0o600 || string(text) != string(granted(t, password, authority).Grants.AuthFile([]mirrors.Scope{mirror + "/x"})) || strings.Contains(string(text), "s.com") {
			t.Errorf("%s: auth.json is not the one of its login, error %v", what, err)
		}
		sinktest.WantTree(t, filepath.Join(root, onhost.CertsDir), sinktest.Files{"theirs.com/ca.crt": "theirs", mirror + "/mirrorset.crt": "# Written by Mirrorset. Change the ConfigMap mirror-authorities, and not this file.\n" + authority})
	}
	for _, c := range []struct {
		name, password    string
		harm              func() error
		logins, authority float64
	}{
		{"the first", "hush-1", func() error { return nil }, 0, 0},
		{"a rotation", "hush-2", func() error { return nil }, 0, 0},
		{"an edit", "hush-2", func() error { return os.WriteFile(auth, []byte("{}"), 0o600) }, 1, 0},
		{"another mode", "hush-2", func() error { return os.Chmod(auth, 0o644) }, 2, 0},
		{"a removal", "hush-2", func() error { return errors.Join(os.Remove(auth), os.RemoveAll(filepath.Dir(certificates))) }, 3, 1},
		{"an edit of the authority", "hush-2", func() error {
			return os.WriteFile(certificates, []byte("# Written by Mirrorset. Change the ConfigMap mirror-authorities, and not this file.\n"), 0o644)
		}, 3, 2},
	} {
		if err := c.harm(); err != nil {
			t.Fatal(err)
		}
		if problems, again := apply(t, s, granted(t, c.password, authority)); len(problems) > 0 || again != nil {
			t.Errorf("%s: problems %q, error %v", c.name, problems, again)
		}
		want(c.name, c.password)
		if repairs("auth_file") != c.logins || repairs("authority") != c.authority {
			t.Errorf("%s: counted %f and %f", c.name, repairs("auth_file"), repairs("authority"))
		}
	}
	owned, err := s.Owned()
	if slices.Sort(owned); err != nil || !slices.Equal(owned, []string{onhost.CertPath(mirror), "etc/containers/registries.conf.d/50-mirrorset.conf", onhost.AuthFile}) {
		t.Errorf("ours are %q, error %v", owned, err)
	}
	withoutMirrors := granted(t, "hush-2", authority)
	withoutMirrors.Rules = nil
	for name, none := range map[string]*sink.Accepted{"nothing is granted": sinktest.Accepted(t, 0, "s.com"), "no rule has the mirror": withoutMirrors} {
		for _, rules := range []*sink.Accepted{granted(t, "hush-2", authority), none} {
			if _, again := apply(t, s, rules); again != nil {
				t.Error(again)
			}
		}
		if _, err := os.Stat(auth); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s: auth.json: %v", name, err)
		}
		sinktest.WantTree(t, filepath.Join(root, onhost.CertsDir), sinktest.Files{"theirs.com/ca.crt": "theirs"})
	}
	if _, again := apply(t, s, granted(t, "hush-2", authority)); again != nil {
		t.Error(again)
	}
	if err := s.Clean(); err != nil {
		t.Fatal(err)
	}
	if owned, err := s.Owned(); err != nil || len(owned) > 0 {
		t.Errorf("left are %q, error %v", owned, err)
	}
	if strings.Contains(logged.String(), "hush") || !strings.Contains(logged.String(), onhost.AuthFile) || !strings.Contains(logged.String(), onhost.CertPath(mirror)) {
		t.Errorf("logged %s", logged)
	}
}

func TestWhatIsInTheWayOfAGrantIsSaidAndKeepsNoRuleBack(t *testing.T) {
	authority, _ := sinktest.Authority(t, time.Now().Add(time.Hour))
	for name, c := range map[string]struct {
		prepare func(t *testing.T, root string)
		want    []string // of the one problem; none without
		again   bool
	}{
		"a link in the place of auth.json":    {func(t *testing.T, root string) { sinktest.Symlink(t, "elsewhere", root, onhost.AuthFile) }, []string{"/" + onhost.AuthFile, "not a file of Mirrorset", "remove what is there"}, false},
		"a folder in its place":               {func(t *testing.T, root string) { sinktest.Write(t, root, onhost.AuthFile+"/x", "") }, []string{"/" + onhost.AuthFile, "remove what is there"}, false},
		"somebody's file by the name of ours": {func(t *testing.T, root string) { sinktest.Write(t, root, onhost.CertPath(mirror), "theirs") }, []string{"/" + onhost.CertPath(mirror), "does not belong to Mirrorset", "remove what is there"}, false},
		"Docker's folder":                     {func(t *testing.T, root string) { sinktest.Write(t, root, "etc/docker/certs.d/"+mirror+"/ca.crt", "") }, []string{"/etc/docker/certs.d/" + mirror, "copy that folder to /" + onhost.CertsDir + "/" + mirror}, false},
		"a folder before ours": {func(t *testing.T, root string) {
			sinktest.Write(t, root, "etc/containers/certs.rootful.d/"+mirror+"/ca.crt", "")
		}, []string{"/etc/containers/certs.rootful.d/" + mirror, "instead of /" + onhost.CertPath(mirror)}, false},
		"what cannot be written": {func(t *testing.T, root string) { sinktest.Write(t, root, "var/lib/mirrorset", "") }, []string{"the agent cannot write /" + onhost.AuthFile}, true},
		"what cannot be made":    {func(t *testing.T, root string) { sinktest.Write(t, root, onhost.CertsDir, "") }, []string{"the agent cannot update /" + onhost.CertsDir}, true},
		"a folder of others": {func(t *testing.T, root string) {
			sinktest.Write(t, root, onhost.CertsDir+"/"+mirror+"/ca.crt", "theirs")
		}, nil, false},
	} {
		t.Run(name, func(t *testing.T) {
			s, root := newHost(t, nil)
			c.prepare(t, root)
			problems, again := apply(t, s, granted(t, "hush", authority))
			if (again != nil) != c.again {
				t.Errorf("to be tried again: %v", again)
			}
			if c.want == nil && len(problems) == 0 {
				return
			}
			if len(problems) != 1 {
				t.Fatalf("problems %q", problems)
			}
			for _, part := range c.want {
				if !strings.Contains(problems[0], part) {
					t.Errorf("problem %q lacks %q", problems[0], part)
				}
			}
			if _, err := os.ReadFile(filepath.Join(root, etc, "50-mirrorset.conf")); err != nil {
				t.Error(err)
			}
			before := sinktest.Tree(t, filepath.Join(root, "etc/containers"))
			if err := s.Clean(); err != nil && !c.again {
				t.Error(err)
			}
			for file, content := range sinktest.Tree(t, filepath.Join(root, "etc/containers")) {
				if before[file] != content {
					t.Errorf("%s was %q", file, before[file])
				}
			}
		})
	}
}

func TestDockersFolderThatComesLaterIsNotHiddenAnyMore(t *testing.T) {
	authority, _ := sinktest.Authority(t, time.Now().Add(time.Hour))
	s, root := newHost(t, nil)
	if problems, _ := apply(t, s, granted(t, "hush", authority)); len(problems) > 0 {
		t.Fatal(problems)
	}
	sinktest.Write(t, root, "etc/docker/certs.d/"+mirror+"/ca.crt", "theirs")
	if problems, _ := apply(t, s, granted(t, "hush", authority)); len(problems) != 1 {
		t.Errorf("problems %q", problems)
	}
	sinktest.WantTree(t, filepath.Join(root, onhost.CertsDir))
	if err := os.CopyFS(filepath.Join(root, onhost.CertsDir), os.DirFS(filepath.Join(root, "etc/docker/certs.d"))); err != nil { // as the remedy says
		t.Fatal(err)
	}
	if problems, _ := apply(t, s, granted(t, "hush", authority)); len(problems) > 0 {
		t.Errorf("problems %q", problems)
	}
	if got := sinktest.Tree(t, filepath.Join(root, onhost.CertsDir)); len(got) != 2 || got[mirror+"/ca.crt"] != "theirs" {
		t.Errorf("got %q", got)
	}
}

func TestAMirrorThatIsASourceIsGivenNothingAndItIsSaid(t *testing.T) {
	authority, _ := sinktest.Authority(t, time.Now().Add(time.Hour))
	s, root := newHost(t, nil)
	rules := sinktest.Accepted(t, 0, "s.com", mirror+"/x")
	rules.Grants = granted(t, "hush", authority).Grants
	problems, _ := apply(t, s, rules)
	if len(problems) != 1 || !strings.Contains(problems[0], "mirror "+mirror+"/x is also a source") {
		t.Errorf("problems %q", problems)
	}
	if _, err := os.Stat(filepath.Join(root, onhost.AuthFile)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("auth.json: %v", err)
	}
	rules.Grants = sinktest.Grants(t, nil, nil)
	if problems, _ := apply(t, s, rules); len(problems) > 0 {
		t.Errorf("problems %q", problems)
	}
}
