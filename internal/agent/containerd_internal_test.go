// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"errors"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	mirrorsetv1alpha1 "github.com/mirrorset/mirrorset/api/mirrorset/v1alpha1"
	"github.com/mirrorset/mirrorset/internal/certsd"
	"github.com/mirrorset/mirrorset/internal/payload"
)

const (
	other    = certsDir + "/other.com/hosts.toml"
	foreign  = "server = \"https://theirs.example\"\n"
	ourFirst = certsDir + "/old.com/hosts.toml"
)

// tree returns the content of all files in containerd's folder, and the folders without files.
func tree(t *testing.T, root string) files {
	t.Helper()
	found := make(files)
	top := filepath.Join(root, certsDir)
	err := fs.WalkDir(os.DirFS(top), ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || name == "." {
			return err
		}
		if entry.IsDir() {
			found[name+"/"] = ""
			return nil
		}
		content, err := os.ReadFile(filepath.Join(top, name))
		found[name] = string(content)
		delete(found, path.Dir(name)+"/")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// projected is the tree that the rules alone make.
func projected(t *testing.T, sources ...string) files {
	t.Helper()
	want := make(files)
	for _, f := range certsd.Project(rules(t, sources...), certsd.Node{}).Files {
		want[f.Path] = string(f.Content)
	}
	return want
}

func wantTree(t *testing.T, root string, want ...files) {
	t.Helper()
	all := make(files)
	for _, w := range want {
		for name, content := range w {
			all[name] = content
		}
	}
	got := tree(t, root)
	for name, content := range all {
		if got[name] != content {
			t.Errorf("%s is %q, want %q", name, got[name], content)
		}
		delete(got, name)
	}
	if len(got) > 0 {
		t.Errorf("there is more: %q", got)
	}
}

// offer has a node take sources, in a revision of their own.
func offer(t *testing.T, n *node, revision int64, sources ...string) {
	t.Helper()
	if taken, err := n.take(payloadOf(t, revision, sources...)); err != nil || !taken {
		t.Fatalf("taken = %t, error %v", taken, err)
	}
}

func payloadOf(t *testing.T, revision int64, sources ...string) payload.Payload {
	t.Helper()
	return payload.New(first+revision, text(t, sources...))
}

func TestContainerdsFilesFollowTheRules(t *testing.T) {
	n, root, _ := took(t, files{other: foreign})
	theirs := files{"other.com/hosts.toml": foreign}
	wantTree(t, root, projected(t, "old.com"), theirs)
	offer(t, n, 1, "new.com", "!old.com", "port.com:5000")
	wantTree(t, root, projected(t, "new.com", "!old.com", "port.com:5000"), theirs)
	offer(t, n, 2)
	wantTree(t, root, theirs)
}

func TestAHostWithoutContainerdGetsNoFiles(t *testing.T) {
	_, root, _ := took(t, nil)
	if _, err := os.Stat(filepath.Join(root, "etc/containerd")); !os.IsNotExist(err) {
		t.Errorf("error %v", err)
	}
}

func TestWhatOthersPutIntoARegistrysFolderIsLeftAloneAndReported(t *testing.T) {
	for name, have := range map[string]files{
		"a hosts.toml":                                     {ourFirst: foreign},
		"what is no certificate":                           {certsDir + "/old.com/README": "theirs"},
		"certificates where ours would hide them":          {certsDir + "/port.com:5000/ca.crt": "theirs"},
		"a folder with another name":                       {certsDir + "/port.com:5000/hosts.toml": foreign},
		"a hosts.toml that is ours but for its first line": {ourFirst: projected(t, "old.com")["old.com/hosts.toml"][len(certsd.Marker):]},
	} {
		t.Run(name, func(t *testing.T) {
			n, root, logged := newHost(t, have)
			before := tree(t, root)
			offer(t, n, 0, "old.com", "port.com:5000", "free.com")
			for file, content := range before {
				if got := tree(t, root)[file]; got != content {
					t.Errorf("%s is %q, want %q", file, got, content)
				}
			}
			if got := tree(t, root)["free.com/hosts.toml"]; got != projected(t, "free.com")["free.com/hosts.toml"] {
				t.Errorf("another registry's file is %q", got)
			}
			if !strings.Contains(logged.String(), "ForeignFolder") || len(tree(t, root)) != len(before)+2 {
				t.Errorf("files %q, log %s", tree(t, root), logged)
			}
			offer(t, n, 1)
			wantTree(t, root, before)
		})
	}
}

func TestCertificatesInARegistrysFolderAreCarriedOver(t *testing.T) {
	n, root, _ := newHost(t, files{certsDir + "/old.com/ca.crt": "theirs"})
	offer(t, n, 0, "old.com")
	if got := tree(t, root)["old.com/hosts.toml"]; !strings.Contains(got, "\nca = [\"ca.crt\"]\n") {
		t.Errorf("got %s", got)
	}
	write(t, root, certsDir+"/old.com/another.crt", "theirs")
	if err := n.repair(); err != nil {
		t.Fatal(err)
	}
	if got := tree(t, root)["old.com/hosts.toml"]; !strings.Contains(got, "\nca = [\"another.crt\", \"ca.crt\"]\n") {
		t.Errorf("got %s", got)
	}
	offer(t, n, 1)
	wantTree(t, root, files{"old.com/ca.crt": "theirs", "old.com/another.crt": "theirs"})
}

func TestARegistryWhoseNameNoFolderCanHaveStopsNoOther(t *testing.T) {
	n, root, _ := newHost(t, files{other: foreign})
	longest := strings.Repeat("a", 248) + ":5000" // of which an image can be
	offer(t, n, 0, longest, "a"+longest, strings.Repeat("b.", 200)+"com/x", "!"+strings.Repeat("c.", 3000)+"com", "good.com")
	wantTree(t, root, projected(t, longest, "good.com"), files{"other.com/hosts.toml": foreign})
	if o := n.outcome(nil); o.revision != first {
		t.Errorf("in force is revision %d", o.revision)
	}
}

func TestARegistryThatCannotBeWrittenStopsNoOther(t *testing.T) {
	const inTheWay = certsDir + "/.old.com.mirrorset-tmp"
	n, root, _ := newHost(t, files{other: foreign, inTheWay + "/theirs": ""})
	offer(t, n, 0, "old.com", "old.com:5000", "good.com")
	if got := tree(t, root); got["good.com/hosts.toml"] != projected(t, "good.com")["good.com/hosts.toml"] {
		t.Errorf("files %q", got)
	}
	status := n.outcome(nil).status(time.Now(), mirrorsetv1alpha1.MirrorNodeStatus{}, "containerd://2.4.2")
	if status.Revision != first || !slices.Equal(status.NotInForce, []string{"old.com"}) || n.again == nil {
		t.Errorf("the node says %+v, and tries again %v", status, n.again)
	}
	if err := os.RemoveAll(filepath.Join(root, inTheWay)); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(n.repair(), n.again); err != nil || len(n.findings) > 0 {
		t.Errorf("error %v, findings %+v", err, n.findings)
	}
}

func TestRulesThatNeedARedirectorAreReportedWhereThereIsNone(t *testing.T) {
	n, root, logged := newHost(t, files{other: foreign})
	offer(t, n, 0, "some.com/repository", "*.wild.com")
	wantTree(t, root, files{"other.com/hosts.toml": foreign})
	for _, want := range []string{"NotInForce", "some.com", "*.wild.com", "containerd goes to the source"} {
		if !strings.Contains(logged.String(), want) {
			t.Errorf("%q is not in the log: %s", want, logged)
		}
	}
}

func TestABlockedRegistryStaysClosedWhenItsRulesNeedMoreThanHostsToml(t *testing.T) {
	n, root, logged := newHost(t, files{other: foreign})
	offer(t, n, 0, "!shut.com", "open.com")
	offer(t, n, 1, "!shut.com", "shut.com/repository", "open.com", "open.com/repository")
	wantTree(t, root, projected(t, "!shut.com"), files{"other.com/hosts.toml": foreign})
	if !strings.Contains(logged.String(), "what was in force before stays") {
		t.Errorf("log %s", logged)
	}
	offer(t, n, 2, "shut.com/repository")
	wantTree(t, root, files{"other.com/hosts.toml": foreign})
}

func TestDriftOfContainerdsFilesIsRepaired(t *testing.T) {
	n, root, _ := took(t, files{other: foreign})
	want := []files{projected(t, "old.com"), {"other.com/hosts.toml": foreign}}
	for name, harm := range map[string]func() error{
		"edited":  func() error { return os.WriteFile(filepath.Join(root, ourFirst), []byte(certsd.Marker), 0o600) },
		"removed": func() error { return os.RemoveAll(filepath.Dir(filepath.Join(root, ourFirst))) },
		"half written": func() error {
			return os.Rename(filepath.Join(root, ourFirst), filepath.Join(root, ourFirst+".mirrorset-tmp"))
		},
		"begun and stale": func() error { write(t, root, certsDir+"/stale.com/hosts.toml.mirrorset-tmp", ""); return nil },
		"a stale folder":  func() error { write(t, root, certsDir+"/stale.com/hosts.toml", certsd.Marker); return nil },
	} {
		if err := harm(); err != nil {
			t.Fatal(err)
		}
		if err := n.repair(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		wantTree(t, root, want...)
	}
}

func TestABrokenFileOfOthersDoesNotStopContainerdsSide(t *testing.T) {
	n, root, _ := took(t, files{other: foreign, etc + "10-broken.conf": "[["})
	offer(t, n, 1, "new.com")
	wantTree(t, root, projected(t, "new.com"), files{"other.com/hosts.toml": foreign})
}

func TestAHostIsCleanOnceNoFileOfOursIsLeft(t *testing.T) {
	n, root, _ := took(t, files{other: foreign, etc + "10-theirs.conf": ""})
	if err := CheckClean(root); err == nil || !strings.Contains(err.Error(), ourFirst) {
		t.Errorf("error %v", err)
	}
	if err := os.Remove(filepath.Join(root, ourFirst)); err != nil {
		t.Fatal(err)
	}
	if err := CheckClean(root); err == nil || !strings.Contains(err.Error(), dropInPath) {
		t.Errorf("error %v", err)
	}
	offer(t, n, 1)
	if err := CheckClean(root); err != nil {
		t.Error(err)
	}
}

func TestLinksInContainerdsFolderAreLeftAlone(t *testing.T) {
	n, root, logged := newHost(t, files{certsDir + "/port.com:5000/.keep": ""})
	symlink(t, "port.com:5000", root, certsDir+"/port.com_5000_")
	symlink(t, "old.com", root, certsDir+"/alias.com")
	if err := os.Remove(filepath.Join(root, certsDir, "port.com:5000/.keep")); err != nil {
		t.Fatal(err)
	}
	for i := range int64(3) {
		offer(t, n, i, "!old.com", "!port.com:5000")
		got, err := os.ReadFile(filepath.Join(root, ourFirst))
		if err != nil || string(got) != projected(t, "!old.com")["old.com/hosts.toml"] {
			t.Errorf("%q, error %v", got, err)
		}
		for name, want := range map[string]string{"port.com_5000_": "port.com:5000", "alias.com": "old.com"} {
			if got, err := os.Readlink(filepath.Join(root, certsDir, name)); err != nil || got != want {
				t.Errorf("link %s leads to %q, error %v", name, got, err)
			}
		}
	}
	if !strings.Contains(logged.String(), "port.com_5000_ is not a folder of ours") {
		t.Errorf("log %s", logged)
	}
}

func TestAFileThatLeavesTheSourceOpenDoesNotStayInTheNameOfABlock(t *testing.T) {
	n, root, logged := newHost(t, files{other: foreign})
	offer(t, n, 0, "shut.com")
	offer(t, n, 1, "!shut.com", "shut.com/repository")
	wantTree(t, root, files{"other.com/hosts.toml": foreign})
	if !strings.Contains(logged.String(), "contacts a source that must never be contacted") {
		t.Errorf("log %s", logged)
	}
}
