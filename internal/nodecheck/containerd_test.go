// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package nodecheck_test

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/mirrorset/mirrorset/internal/nodecheck"
)

func TestAFolderIsOursUnderAnyOfItsNames(t *testing.T) {
	for name, tc := range map[string]struct {
		value, certs string
		ours         bool
	}{
		"as it is":                     {"/etc/containerd/certs.d", "", true},
		"with slashes behind":          {"/etc/containerd/certs.d//", "", true},
		"where ours has a slash":       {"/data/certs.d", "/data/certs.d/", true},
		"by way of another":            {"/etc/cni/../containerd/./certs.d", "", true},
		"another":                      {"/etc/docker/certs.d", "", false},
		"below it":                     {"/etc/containerd/certs.d/a", "", false},
		"relative":                     {"etc/containerd/certs.d", "", false},
		"a revision of a snap":         {"/var/snap/microk8s/7589/args/certs.d", "/var/snap/microk8s/current/args/certs.d", true},
		"a local revision of a snap":   {"/var/snap/microk8s/x1/args/certs.d", "/var/snap/microk8s/current/args/certs.d", true},
		"a folder of a snap":           {"/var/snap/microk8s/common/args/certs.d", "/var/snap/microk8s/current/args/certs.d", false},
		"a revision of another snap":   {"/var/snap/k8s/1/args/certs.d", "/var/snap/microk8s/current/args/certs.d", false},
		"a folder that has no such":    {"/snap/microk8s/7589/args/certs.d", "/snap/microk8s/current/args/certs.d", false},
		"the same by a link":           {"/linked/certs.d", "", true},
		"a link to another":            {"/other", "", false},
		"one that is not there at all": {"/none", "", false},
	} {
		t.Run(name, func(t *testing.T) {
			root := t.TempDir()
			for _, folder := range []string{"etc/containerd/certs.d", "etc/docker/certs.d"} {
				if err := os.MkdirAll(filepath.Join(root, folder), 0o700); err != nil {
					t.Fatal(err)
				}
			}
			for link, to := range map[string]string{"linked": "etc/containerd", "other": "etc/docker/certs.d"} {
				if err := os.Symlink(to, filepath.Join(root, link)); err != nil {
					t.Fatal(err)
				}
			}
			if err := os.WriteFile(filepath.Join(root, main), fmt.Appendf(nil, "%sconfig_path = %q\n", v3, tc.value), 0o600); err != nil {
				t.Fatal(err)
			}
			opened, err := os.OpenRoot(root)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = opened.Close() })
			var want []string
			if !tc.ours {
				want = []string{"ContainerdConfigPathElsewhere Unread"}
			}
			for _, files := range []fs.FS{os.DirFS(root), opened.FS()} {
				if got := reasons(nodecheck.Check(nodecheck.Node{Root: files, CertsDir: tc.certs})); !slices.Equal(got, want) {
					t.Errorf("got %v, want %v", got, want)
				}
			}
		})
	}
}

func TestTheRemedyIsThatOfTheDistribution(t *testing.T) {
	for name, tc := range map[string]struct {
		config, certs, text string
		wants               []string
	}{
		"kubeadm": {"/etc/containerd/config.toml", "", "version = 3\n", []string{
			"In /etc/containerd/config.toml, set", "[plugins.\"io.containerd.cri.v1.images\".registry]\n  config_path = \"/etc/containerd/certs.d\"\n", "Then run: systemctl restart containerd"}},
		"k3s": {"var/lib/rancher/k3s/agent/etc/containerd/config.toml", "/var/lib/rancher/k3s/agent/etc/containerd/certs.d", "version = 3\n", []string{
			"In /var/lib/rancher/k3s/agent/etc/containerd/config-v3.toml.tmpl", "config_path = \"/var/lib/rancher/k3s/agent/etc/containerd/certs.d\"\n", "systemctl restart k3s (on agents: k3s-agent)"}},
		"RKE2 with containerd 1": {"var/lib/rancher/rke2/agent/etc/containerd/config.toml", "/var/lib/rancher/rke2/agent/etc/containerd/certs.d", "version = 2\n", []string{
			"In /var/lib/rancher/rke2/agent/etc/containerd/config.toml.tmpl", "[plugins.\"io.containerd.grpc.v1.cri\".registry]\n", "systemctl restart rke2-server"}},
		"MicroK8s": {"var/snap/microk8s/current/args/containerd.toml", "/var/snap/microk8s/current/args/certs.d", "version = 2\n", []string{
			"In /var/snap/microk8s/current/args/containerd-template.toml", "snap restart microk8s.daemon-containerd"}},
	} {
		t.Run(name, func(t *testing.T) {
			r := nodecheck.Check(nodecheck.Node{Root: host{strings.TrimPrefix(tc.config, "/"): tc.text}.fs(), ContainerdConfig: tc.config, CertsDir: tc.certs})
			if got := reasons(r); !slices.Equal(got, []string{"ContainerdConfigPathUnset Unread"}) {
				t.Fatalf("got %v", got)
			}
			for _, want := range tc.wants {
				if !strings.Contains(r.Problems[0].Remedy, want) {
					t.Errorf("the remedy does not say %q:\n%s", want, r.Problems[0].Remedy)
				}
			}
		})
	}
}

func TestAnotherFolderCanBeTheRightOne(t *testing.T) {
	for value, offered := range map[string]bool{"/var/certs.d": true, "certs.d": false, "/a:/b": false} {
		r := nodecheck.Check(nodecheck.Node{Root: host{main: fmt.Sprintf("%sconfig_path = %q\n", v3, value)}.fs()})
		if flag := "--containerd-certs-dir=" + value + "."; strings.Contains(r.Problems[0].Remedy, flag) != offered {
			t.Errorf("%s: the remedy is\n%s", value, r.Problems[0].Remedy)
		}
	}
}

func TestTheTransferServiceIsComparedWhereItHasAPathOfItsOwn(t *testing.T) {
	const transfer = "[plugins.\"io.containerd.transfer.v1.local\"]\nconfig_path = "
	for name, tc := range map[string]struct {
		text string
		want []string
	}{
		"none":                     {v3 + ours + "[plugins.\"io.containerd.transfer.v1.local\"]\n", nil},
		"empty":                    {v3 + ours + transfer + "\"\"\n", nil},
		"the same":                 {v3 + ours + transfer + "\"/etc/containerd/certs.d\"\n", nil},
		"the same, with a slash":   {v3 + ours + transfer + "\"/etc/containerd/certs.d/\"\n", nil},
		"another":                  {v3 + ours + transfer + "\"/etc/docker/certs.d\"\n", []string{"ContainerdTransferDiffers Mild"}},
		"the same, elsewhere":      {v3 + "config_path = \"/a\"\n" + transfer + "\"/a/\"\n", []string{"ContainerdConfigPathElsewhere Unread"}},
		"ours, and the other none": {"version = 3\n" + transfer + "\"/etc/containerd/certs.d\"\n", []string{"ContainerdConfigPathUnset Unread", "ContainerdTransferDiffers Mild"}},
	} {
		t.Run(name, func(t *testing.T) {
			if got := reasons(nodecheck.Check(nodecheck.Node{Root: host{main: tc.text}.fs()})); !slices.Equal(got, tc.want) {
				t.Errorf("got %v, want %v", got, tc.want)
			}
		})
	}
}

func TestTheConfigurationFileCanBeNamedInManyWays(t *testing.T) {
	for _, name := range []string{"", "etc/containerd/config.toml", "/etc/containerd/config.toml", "/etc//containerd/./config.toml", "../etc/containerd/config.toml"} {
		r := nodecheck.Check(nodecheck.Node{Root: host{main: v3 + ours}.fs(), ContainerdConfig: name})
		if len(r.Problems) > 0 || len(r.Runtimes) != 1 {
			t.Errorf("%q: got %+v", name, r)
		}
	}
}

func TestFoldersAreFoundWhereTheyAreMounted(t *testing.T) {
	const k3s = "/var/lib/rancher/k3s/agent/etc/containerd"
	root := host{
		"config/containerd/config.toml":   "version = 3\nimports = [\"/var/lib/rancher/k3s/agent/etc/containerd/conf.d/*.toml\"]\n",
		"config/containerd/conf.d/a.toml": v3 + "config_path = \"" + k3s + "/certs.d\"\n",
		"etc/containerd/certs.d/a":        "",
		"config/containerd2/config.toml":  "",
	}.fs()
	node := nodecheck.Node{Root: root, ContainerdConfig: k3s + "/config.toml", CertsDir: k3s + "/certs.d"}
	node.Mounts = map[string]string{k3s: "config/containerd", k3s + "/certs.d": "/etc/containerd/certs.d/"}
	if r := nodecheck.Check(node); len(r.Runtimes) != 1 || len(r.Problems) > 0 {
		t.Errorf("got %+v", r)
	}
	delete(root, "config/containerd/conf.d/a.toml")
	r := nodecheck.Check(node)
	if got := reasons(r); !slices.Equal(got, []string{"ContainerdConfigPathUnset Unread"}) || !strings.HasPrefix(r.Problems[0].Message, k3s+"/config.toml sets") {
		t.Errorf("got %+v", r.Problems)
	}
	delete(root, "config/containerd/config.toml")
	if got := reasons(nodecheck.Check(node)); !slices.Equal(got, []string{"ContainerdConfigMissing Unread"}) {
		t.Errorf("got %v", got)
	}
	delete(root, "etc/containerd/certs.d/a")
	root["config/containerd/certs.d/a"] = &fstest.MapFile{}
	if got := reasons(nodecheck.Check(node)); got != nil {
		t.Errorf("the outer mount has the folder, and the inner one not, but there is %v", got)
	}
	node.ContainerdConfig = k3s + "2/config.toml" // beside the mounted folder
	if r := nodecheck.Check(node); len(r.Runtimes) > 0 {
		t.Errorf("got %+v", r)
	}
}

func TestTheRemedyRemovesOnlyWhatIsInTheWay(t *testing.T) {
	for text, removes := range map[string]bool{"": false, "[plugins.\"io.containerd.grpc.v1.cri\"]\n": false, "[plugins.\"io.containerd.grpc.v1.cri\".registry]\n": true} {
		r := nodecheck.Check(nodecheck.Node{Root: host{main: "version = 3\n" + text}.fs()})
		if strings.Contains(r.Problems[0].Remedy, "Remove ") != removes {
			t.Errorf("%q: the remedy is\n%s", text, r.Problems[0].Remedy)
		}
	}
}

func TestTheRemedyDependsOnTheVersion(t *testing.T) {
	const tls, whole = "Remove the tables registry.configs.*.tls from /etc/containerd/config.toml", "reads this plugin's table only from the last file that has the table, /etc/containerd/a.toml"
	root := host{
		main:                    "imports = [\"a.toml\"]\n" + v2 + "[plugins.\"io.containerd.grpc.v1.cri\".registry.configs.\"a.com\".tls]\n",
		"etc/containerd/a.toml": "version = 2\n[plugins.\"io.containerd.grpc.v1.cri\"]\n",
	}.fs()
	for version, first := range map[string]bool{"": true, "containerd://1.7.29": true, "containerd://2.0.0": false, "containerd://2.4.2": false} {
		remedy := nodecheck.Check(nodecheck.Node{Root: root, RuntimeVersion: version}).Problems[0].Remedy
		if strings.Contains(remedy, tls) != first || strings.Contains(remedy, whole) != first {
			t.Errorf("%q: the remedy is\n%s", version, remedy)
		}
	}
}
