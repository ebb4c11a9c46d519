// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package certs

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/mirrorset/mirrorset/internal/agent/sinktest"
	"github.com/mirrorset/mirrorset/internal/certsd"
)

func TestContainerdsFilesFollowTheRules(t *testing.T) {
	n, root, _ := took(t, sinktest.Files{other: foreign})
	theirs := sinktest.Files{"other.com/hosts.toml": foreign}
	sinktest.WantTree(t, filepath.Join(root, dir), sinktest.Projected(t, "old.com"), theirs)
	offer(t, n, 1, "new.com", "!old.com", "port.com:5000")
	sinktest.WantTree(t, filepath.Join(root, dir), sinktest.Projected(t, "new.com", "!old.com", "port.com:5000"), theirs)
	offer(t, n, 2)
	sinktest.WantTree(t, filepath.Join(root, dir), theirs)
}

func TestAHostWithoutContainerdGetsNoFiles(t *testing.T) {
	_, root, _ := took(t, nil)
	if _, err := os.Stat(filepath.Join(root, "etc/containerd")); !os.IsNotExist(err) {
		t.Errorf("error %v", err)
	}
}

func TestWhatOthersPutIntoARegistrysFolderIsLeftAloneAndReported(t *testing.T) {
	for name, have := range map[string]sinktest.Files{
		"a hosts.toml":                                              {ourFirst: foreign},
		"what is no certificate":                                    {dir + "/old.com/README": "theirs"},
		"certificates where ours would hide them":                   {dir + "/port.com:5000/ca.crt": "theirs"},
		"a folder with another name":                                {dir + "/port.com:5000/hosts.toml": foreign},
		"a hosts.toml that is ours but for its sinktest.First line": {ourFirst: sinktest.Projected(t, "old.com")["old.com/hosts.toml"][len(certsd.Marker):]},
	} {
		t.Run(name, func(t *testing.T) {
			n, root, logged := newHost(t, have)
			before := sinktest.Tree(t, filepath.Join(root, dir))
			offer(t, n, 0, "old.com", "port.com:5000", "free.com")
			for file, content := range before {
				if got := sinktest.Tree(t, filepath.Join(root, dir))[file]; got != content {
					t.Errorf("%s is %q, want %q", file, got, content)
				}
			}
			if got := sinktest.Tree(t, filepath.Join(root, dir))["free.com/hosts.toml"]; got != sinktest.Projected(t, "free.com")["free.com/hosts.toml"] {
				t.Errorf("another registry's file is %q", got)
			}
			if !strings.Contains(logged.String(), "ForeignFolder") || len(sinktest.Tree(t, filepath.Join(root, dir))) != len(before)+2 {
				t.Errorf("files %q, log %s", sinktest.Tree(t, filepath.Join(root, dir)), logged)
			}
			offer(t, n, 1)
			sinktest.WantTree(t, filepath.Join(root, dir), before)
		})
	}
}

func TestCertificatesInARegistrysFolderAreCarriedOver(t *testing.T) {
	n, root, _ := newHost(t, sinktest.Files{dir + "/old.com/ca.crt": "theirs"})
	offer(t, n, 0, "old.com")
	if got := sinktest.Tree(t, filepath.Join(root, dir))["old.com/hosts.toml"]; !strings.Contains(got, "\nca = [\"ca.crt\"]\n") {
		t.Errorf("got %s", got)
	}
	sinktest.Write(t, root, dir+"/old.com/another.crt", "theirs")
	if err := n.repair(); err != nil {
		t.Fatal(err)
	}
	if got := sinktest.Tree(t, filepath.Join(root, dir))["old.com/hosts.toml"]; !strings.Contains(got, "\nca = [\"another.crt\", \"ca.crt\"]\n") {
		t.Errorf("got %s", got)
	}
	offer(t, n, 1)
	sinktest.WantTree(t, filepath.Join(root, dir), sinktest.Files{"old.com/ca.crt": "theirs", "old.com/another.crt": "theirs"})
}

func TestARegistryWhoseNameNoFolderCanHaveStopsNoOther(t *testing.T) {
	n, root, _ := newHost(t, sinktest.Files{other: foreign})
	longest := strings.Repeat("a", 248) + ":5000" // of which an image can be
	offer(t, n, 0, longest, "a"+longest, strings.Repeat("b.", 200)+"com/x", "!"+strings.Repeat("c.", 3000)+"com", "good.com")
	sinktest.WantTree(t, filepath.Join(root, dir), sinktest.Projected(t, longest, "good.com"), sinktest.Files{"other.com/hosts.toml": foreign})
	if len(n.Findings) > 0 {
		t.Errorf("findings %+v", n.Findings)
	}
}

func TestARegistryThatCannotBeWrittenStopsNoOther(t *testing.T) {
	const inTheWay = dir + "/.old.com.mirrorset-tmp"
	n, root, _ := newHost(t, sinktest.Files{other: foreign, inTheWay + "/theirs": ""})
	offer(t, n, 0, "old.com", "old.com:5000", "good.com")
	if got := sinktest.Tree(t, filepath.Join(root, dir)); got["good.com/hosts.toml"] != sinktest.Projected(t, "good.com")["good.com/hosts.toml"] {
		t.Errorf("files %q", got)
	}
	if !slices.Equal(n.notInForce(), []string{"old.com"}) || n.Again == nil {
		t.Errorf("not in force are %q, and tried again is %v", n.notInForce(), n.Again)
	}
	if err := os.RemoveAll(filepath.Join(root, inTheWay)); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(n.repair(), n.Again); err != nil || len(n.Findings) > 0 {
		t.Errorf("error %v, findings %+v", err, n.Findings)
	}
}

func TestARegistryThatCannotBeClosedSaysSo(t *testing.T) {
	const inTheWay = dir + "/.shut.com.mirrorset-tmp/theirs"
	n, root, _ := newHost(t, sinktest.Files{other: foreign, inTheWay: ""})
	isOpen := func() bool {
		return len(n.Findings) == 1 && strings.Contains(n.Findings[0].Message, "may contact a source that must never be contacted")
	}
	if offer(t, n, 0, "!shut.com"); !isOpen() {
		t.Errorf("findings %+v", n.Findings)
	}
	if err := os.RemoveAll(filepath.Join(root, filepath.Dir(inTheWay))); err != nil {
		t.Fatal(err)
	}
	offer(t, n, 1, "!shut.com")
	const file = dir + "/shut.com/hosts.toml"
	sinktest.Write(t, root, file, sinktest.Tree(t, root)[file]+"# changed\n")
	sinktest.Write(t, root, inTheWay, "")
	if offer(t, n, 2, "!shut.com"); len(n.Findings) != 1 || isOpen() {
		t.Errorf("with a file that closes it: findings %+v", n.Findings)
	}
}

func TestRulesThatNeedARedirectorAreReportedWhereThereIsNone(t *testing.T) {
	n, root, logged := newHost(t, sinktest.Files{other: foreign})
	offer(t, n, 0, "some.com/repository", "*.wild.com")
	sinktest.WantTree(t, filepath.Join(root, dir), sinktest.Files{"other.com/hosts.toml": foreign})
	for _, want := range []string{"NotInForce", "some.com", "*.wild.com", "containerd goes to the source"} {
		if !strings.Contains(logged.String(), want) {
			t.Errorf("%q is not in the log: %s", want, logged)
		}
	}
}

func TestABlockedRegistryStaysClosedWhenItsRulesNeedMoreThanHostsToml(t *testing.T) {
	n, root, logged := newHost(t, sinktest.Files{other: foreign})
	offer(t, n, 0, "!shut.com", "open.com")
	offer(t, n, 1, "!shut.com", "shut.com/repository", "open.com", "open.com/repository")
	sinktest.WantTree(t, filepath.Join(root, dir), sinktest.Projected(t, "!shut.com"), sinktest.Files{"other.com/hosts.toml": foreign})
	if !strings.Contains(logged.String(), "the earlier rules stay in force") {
		t.Errorf("log %s", logged)
	}
	offer(t, n, 2, "shut.com/repository")
	sinktest.WantTree(t, filepath.Join(root, dir), sinktest.Files{"other.com/hosts.toml": foreign})
}

func TestDriftOfContainerdsFilesIsRepaired(t *testing.T) {
	n, root, _ := took(t, sinktest.Files{other: foreign})
	want := []sinktest.Files{sinktest.Projected(t, "old.com"), {"other.com/hosts.toml": foreign}}
	for name, harm := range map[string]func() error{
		"edited":  func() error { return os.WriteFile(filepath.Join(root, ourFirst), []byte(certsd.Marker), 0o600) },
		"removed": func() error { return os.RemoveAll(filepath.Dir(filepath.Join(root, ourFirst))) },
		"half written": func() error {
			return os.Rename(filepath.Join(root, ourFirst), filepath.Join(root, ourFirst+".mirrorset-tmp"))
		},
		"begun and stale": func() error { sinktest.Write(t, root, dir+"/stale.com/hosts.toml.mirrorset-tmp", ""); return nil },
		"a stale folder":  func() error { sinktest.Write(t, root, dir+"/stale.com/hosts.toml", certsd.Marker); return nil },
	} {
		if err := harm(); err != nil {
			t.Fatal(err)
		}
		if err := n.repair(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		sinktest.WantTree(t, filepath.Join(root, dir), want...)
	}
}

func TestLinksInContainerdsFolderAreLeftAlone(t *testing.T) {
	n, root, logged := newHost(t, sinktest.Files{dir + "/port.com:5000/.keep": ""})
	sinktest.Symlink(t, "port.com:5000", root, dir+"/port.com_5000_")
	sinktest.Symlink(t, "old.com", root, dir+"/alias.com")
	if err := os.Remove(filepath.Join(root, dir, "port.com:5000/.keep")); err != nil {
		t.Fatal(err)
	}
	for i := range int64(3) {
		offer(t, n, i, "!old.com", "!port.com:5000")
		got, err := os.ReadFile(filepath.Join(root, ourFirst))
		if err != nil || string(got) != sinktest.Projected(t, "!old.com")["old.com/hosts.toml"] {
			t.Errorf("%q, error %v", got, err)
		}
		for name, want := range map[string]string{"port.com_5000_": "port.com:5000", "alias.com": "old.com"} {
			if got, err := os.Readlink(filepath.Join(root, dir, name)); err != nil || got != want {
				t.Errorf("link %s leads to %q, error %v", name, got, err)
			}
		}
	}
	if !strings.Contains(logged.String(), "port.com_5000_ is not a folder of Mirrorset") {
		t.Errorf("log %s", logged)
	}
}

func TestAFileThatLeavesTheSourceOpenDoesNotStayInTheNameOfABlock(t *testing.T) {
	n, root, logged := newHost(t, sinktest.Files{other: foreign})
	offer(t, n, 0, "shut.com")
	offer(t, n, 1, "!shut.com", "shut.com/repository")
	if got := sinktest.Tree(t, filepath.Join(root, dir))["shut.com/hosts.toml"]; !certsd.Closes("shut.com", []byte(got)) {
		t.Errorf("got %s", got)
	}
	if !strings.Contains(logged.String(), "nothing can be pulled from this registry on this node until the redirector runs") {
		t.Errorf("log %s", logged)
	}
}

func TestAFolderThatWasReplacedOnTheHostIsNoticed(t *testing.T) {
	n, root, _ := newHost(t, sinktest.Files{other: foreign, "config/containerd/config.toml": ""})
	n.settings.configDir = "config/containerd"
	there := filepath.Join(root, "config/containerd/certs.d")
	if err := n.Lost(); err == nil {
		t.Error("a folder that is gone is not noticed")
	}
	// A link stands for the host's own folder, which a test cannot mount.
	if err := os.Symlink(filepath.Join(root, dir), there); err != nil {
		t.Fatal(err)
	}
	if err := n.Lost(); err != nil {
		t.Error(err)
	}
	if err := os.Remove(there); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(there, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := n.Lost(); err == nil || !strings.Contains(err.Error(), "/etc/containerd/certs.d was replaced") {
		t.Errorf("error %v", err)
	}
	n.settings.dir = "/var/lib/elsewhere/certs.d"
	if err := n.Lost(); err != nil {
		t.Errorf("a folder that cannot be compared: %v", err)
	}
}
