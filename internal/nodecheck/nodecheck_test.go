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
	"time"

	"github.com/mirrorset/mirrorset/internal/nodecheck"
)

const (
	main     = nodecheck.DefaultContainerdConfig
	crioMain = "etc/crio/crio.conf"
	v2       = "version = 2\n[plugins.\"io.containerd.grpc.v1.cri\".registry]\n"
	v3       = "version = 3\n[plugins.\"io.containerd.cri.v1.images\".registry]\n"
	ours     = "config_path = \"/etc/containerd/certs.d\"\n"
	follows  = "[crio.image]\nauto_reload_registries = true\n"
)

// host is a host's files by name.
type host map[string]string

func (h host) fs() fstest.MapFS {
	files := fstest.MapFS{}
	for name, text := range h {
		files[name] = &fstest.MapFile{Data: []byte(text), Mode: 0o644}
	}
	return files
}

// reasons returns what was found, as in "Reason Effect".
func reasons(r nodecheck.Report) (all []string) {
	for _, p := range r.Problems {
		all = append(all, fmt.Sprintf("%s %v", p.Reason, p.Effect))
	}
	return all
}

func TestTheRuntimesAreThoseThatThereIsEvidenceFor(t *testing.T) {
	const certs = "etc/containerd/certs.d/quay.io/hosts.toml"
	disabled := "disabled_plugins = [\"cri\"]\n"
	for name, tc := range map[string]struct {
		host     host
		version  string
		runtimes []nodecheck.Runtime
		problems []string
	}{
		"none, where nothing is configured":                   {host{}, "", nil, nil},
		"none, but somebody ought to read what is written":    {host{certs: ""}, "", nil, []string{"ContainerdConfigMissing Unread"}},
		"containerd, by its file":                             {host{main: v2 + ours}, "", []nodecheck.Runtime{"containerd"}, nil},
		"containerd, by what the kubelet says":                {host{}, "containerd://2.4.2", []nodecheck.Runtime{"containerd"}, []string{"ContainerdConfigMissing Unread"}},
		"containerd, by an unreadable file":                   {host{main + "/a": ""}, "", []nodecheck.Runtime{"containerd"}, []string{"ContainerdConfigUnreadable Unsure"}},
		"CRI-O, by its file":                                  {host{crioMain: follows}, "", []nodecheck.Runtime{"CRI-O"}, nil},
		"CRI-O, by a drop-in":                                 {host{"etc/crio/crio.conf.d/a": follows}, "", []nodecheck.Runtime{"CRI-O"}, nil},
		"CRI-O, by what the kubelet says":                     {host{main: v2}, "cri-o://1.34.0", []nodecheck.Runtime{"CRI-O"}, []string{"CRIOAutoReloadOff Late"}},
		"CRI-O, not the folder that a mount created":          {host{certs: "", crioMain: follows}, "", []nodecheck.Runtime{"CRI-O"}, nil},
		"both, by their files":                                {host{main: v2, crioMain: ""}, "", []nodecheck.Runtime{"CRI-O", "containerd"}, []string{"CRIOAutoReloadOff Late", "ContainerdConfigPathUnset Unread"}},
		"both, where the kubelet names another":               {host{main: v2 + ours, crioMain: follows}, "docker://28.0.0", []nodecheck.Runtime{"CRI-O", "containerd"}, nil},
		"containerd, not CRI-O that the kubelet does not use": {host{main: v2 + ours, crioMain: ""}, "containerd://1.7.29", []nodecheck.Runtime{"containerd"}, nil},
		"CRI-O, not the containerd of another program":        {host{main: disabled, crioMain: follows}, "", []nodecheck.Runtime{"CRI-O"}, nil},
		"none, where containerd serves another program":       {host{main: disabled}, "", nil, []string{"ContainerdCRIDisabled Unread"}},
		"containerd, though its file says that it does not":   {host{main: disabled, crioMain: follows}, "containerd://1.7.29", []nodecheck.Runtime{"containerd"}, []string{"ContainerdCRIDisabled Unread"}},
	} {
		t.Run(name, func(t *testing.T) {
			r := nodecheck.Check(nodecheck.Node{Root: tc.host.fs(), RuntimeVersion: tc.version})
			if !slices.Equal(r.Runtimes, tc.runtimes) || !slices.Equal(reasons(r), tc.problems) {
				t.Errorf("got %v, %v; want %v, %v", r.Runtimes, reasons(r), tc.runtimes, tc.problems)
			}
		})
	}
}

func TestTheVersionDecidesWhereItIsKnown(t *testing.T) {
	joined := host{main: v2 + "config_path = \"/etc/containerd/certs.d:/etc/docker/certs.d\"\n"}
	for version, want := range map[string]nodecheck.Effect{
		"":                         nodecheck.Unsure,
		"containerd://":            nodecheck.Unsure,
		"containerd://latest":      nodecheck.Unsure,
		"containerd://1.4.0":       nodecheck.Mild,
		"containerd://1.7.29":      nodecheck.Mild,
		"containerd://v1.7.29":     nodecheck.Mild,
		"containerd://2.0.10":      nodecheck.Mild,
		"containerd://2.1.0":       nodecheck.Unread,
		"containerd://2.1.5-k3s1":  nodecheck.Unread,
		"containerd://2.2.1":       nodecheck.Unread,
		"containerd://2.10.0":      nodecheck.Unread,
		"containerd://12.0.0-rc.1": nodecheck.Unread,
	} {
		r := nodecheck.Check(nodecheck.Node{Root: joined.fs(), RuntimeVersion: version})
		if got := r.Effect(nodecheck.Containerd); got != want {
			t.Errorf("%q: got %v, want %v", version, got, want)
		}
		if named := strings.Contains(r.Problems[0].Message, "(containerd since 2.1)"); named != (want == nodecheck.Unsure) {
			t.Errorf("%q: the message is %q", version, r.Problems[0].Message)
		}
	}
}

// closed is a file system with one file that cannot be opened.
type closed struct {
	fstest.MapFS
	name string
}

func (c closed) Open(name string) (fs.File, error) {
	if name == c.name {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrPermission}
	}
	return c.MapFS.Open(name)
}

func (c closed) ReadDir(name string) ([]fs.DirEntry, error) {
	if name == c.name {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrPermission}
	}
	return c.MapFS.ReadDir(name)
}

func TestWhatCannotBeReadIsAProblem(t *testing.T) {
	big := strings.Repeat("\n", 4<<20)
	imports := func(names ...string) string {
		return fmt.Sprintf("imports = [%s]\n", strings.Join(names, ", ")) + v3 + ours
	}
	var many []string
	for i := range 300 {
		many = append(many, fmt.Sprintf("%q", fmt.Sprintf("%d.toml", i)))
	}
	everywhere := host{main: imports(many...)}
	for i := range 300 {
		everywhere[fmt.Sprintf("etc/containerd/%d.toml", i)] = ""
	}
	pipe := host{}.fs()
	pipe[main] = &fstest.MapFile{Mode: fs.ModeNamedPipe}
	for name, tc := range map[string]struct {
		root fs.FS
		want string
		says string
	}{
		"a folder":                         {host{main + "/a": ""}.fs(), "ContainerdConfigUnreadable", "no regular file"},
		"a pipe":                           {pipe, "ContainerdConfigUnreadable", "no regular file"},
		"a file without permission":        {closed{host{main: v3 + ours}.fs(), main}, "ContainerdConfigUnreadable", "(permission denied)"},
		"an import without permission":     {closed{host{main: imports(`"a.toml"`), "etc/containerd/a.toml": ""}.fs(), "etc/containerd/a.toml"}, "ContainerdConfigUnreadable", "/etc/containerd/a.toml"},
		"more than 4 MiB":                  {host{main: big + v3 + ours}.fs(), "ContainerdConfigUnreadable", "more than 4 MiB"},
		"4 MiB":                            {host{main: big[:4<<20-len(v3+ours)] + v3 + ours}.fs(), "", ""},
		"no TOML":                          {host{main: "version = 3\n{"}.fs(), "ContainerdConfigUnreadable", "line 2, column 1"},
		"a value of another type":          {host{main: "version = \"3\"\n"}.fs(), "ContainerdConfigUnreadable", "line 1, column 11"},
		"an import that is no TOML":        {host{main: imports(`"a.toml"`), "etc/containerd/a.toml": "]"}.fs(), "ContainerdConfigUnreadable", "/etc/containerd/a.toml"},
		"an import outside what is seen":   {host{main: imports(`"/opt/a.toml"`)}.fs(), "ContainerdImportUnseen", "/opt/a.toml"},
		"an import up and out":             {host{main: imports(`"../../../opt/a.toml"`)}.fs(), "ContainerdImportUnseen", "/opt/a.toml"},
		"a pattern outside what is seen":   {host{main: imports(`"/opt/conf.d/*.toml"`)}.fs(), "ContainerdImportUnseen", "/opt/conf.d/*.toml"},
		"a pattern in a folder outside":    {host{main: imports(`"/opt/a*/b.toml"`)}.fs(), "ContainerdImportUnseen", "/opt/a*/b.toml"},
		"a pattern in a folder that is":    {host{main: imports(`"/opt/conf.d/*.toml"`), "opt/conf.d/readme": ""}.fs(), "", ""},
		"a pattern below the main file":    {host{main: imports(`"conf.d/*.toml"`)}.fs(), "", ""},
		"a pattern beside the main file":   {host{main: imports(`"/etc/containerd/*.conf"`)}.fs(), "", ""},
		"a folder with a similar name":     {host{main: imports(`"/etc/containerd.d/*.conf"`)}.fs(), "ContainerdImportUnseen", "/etc/containerd.d/*.conf"},
		"a broken pattern":                 {host{main: imports(`"[*"`)}.fs(), "ContainerdConfigUnreadable", "syntax error in pattern"},
		"an import of itself":              {host{main: imports(`"config.toml"`)}.fs(), "", ""},
		"very many imports":                {everywhere.fs(), "ContainerdConfigUnreadable", "more than 200 files"},
		"an import with lines in its name": {host{main: imports(`"a\nb"`)}.fs(), "ContainerdImportUnseen", "/etc/containerd/a b"},
	} {
		t.Run(name, func(t *testing.T) {
			r := nodecheck.Check(nodecheck.Node{Root: tc.root})
			if tc.want == "" {
				if len(r.Problems) > 0 {
					t.Errorf("got %v", r.Problems)
				}
				return
			}
			if got := reasons(r); !slices.Equal(got, []string{tc.want + " Unsure"}) || !strings.Contains(r.Problems[0].Message, tc.says) {
				t.Errorf("got %+v, want %s that says %q", r.Problems, tc.want, tc.says)
			}
		})
	}
}

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
			"In /etc/containerd/config.toml set", "[plugins.\"io.containerd.cri.v1.images\".registry]\n  config_path = \"/etc/containerd/certs.d\"\n", "Then run: systemctl restart containerd"}},
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
	const tls, whole = "Remove the tables registry.configs.*.tls from /etc/containerd/config.toml", "takes this plugin's table as a whole from the last file that has one, /etc/containerd/a.toml"
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

func TestTheWorstProblemOfARuntimeIsItsEffect(t *testing.T) {
	r := nodecheck.Report{Problems: []nodecheck.Problem{
		{Runtime: nodecheck.CRIO, Effect: nodecheck.Late}, {Runtime: nodecheck.Containerd, Effect: nodecheck.Unread}, {Runtime: nodecheck.Containerd, Effect: nodecheck.Unsure},
	}}
	if c, o, none := r.Effect(nodecheck.Containerd), r.Effect(nodecheck.CRIO), (nodecheck.Report{}).Effect(nodecheck.CRIO); c != nodecheck.Unread || o != nodecheck.Late || none != nodecheck.Mild {
		t.Errorf("got %v, %v and %v", c, o, none)
	}
}

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func TestARuntimeThatWasStartedBeforeItsConfigurationWasChangedMayNotHaveReadIt(t *testing.T) {
	const socket, crioSocket = "run/containerd/containerd.sock", "run/crio/crio.sock"
	before, after := noon.Add(-time.Second), noon.Add(time.Second)
	for name, tc := range map[string]struct {
		sockets                   map[string]time.Time
		mode                      fs.FileMode
		containerd, crio, changed time.Time
		want                      []string
	}{
		"unknown":                      {changed: noon},
		"started after":                {containerd: after, crio: after, changed: noon},
		"started at once":              {containerd: noon, crio: noon, changed: noon},
		"started before":               {containerd: before, crio: before, changed: noon, want: []string{"CRIONotRestarted Unsure", "ContainerdNotRestarted Unsure"}},
		"by sockets, after":            {sockets: map[string]time.Time{socket: after, crioSocket: after}, mode: fs.ModeSocket, changed: noon},
		"by containerd's, before":      {sockets: map[string]time.Time{socket: before}, mode: fs.ModeSocket, changed: noon, want: []string{"ContainerdNotRestarted Unsure"}},
		"by CRI-O's, before":           {sockets: map[string]time.Time{crioSocket: before}, mode: fs.ModeSocket, changed: noon, want: []string{"CRIONotRestarted Unsure"}},
		"what is no socket says less":  {sockets: map[string]time.Time{socket: before, crioSocket: before}, changed: noon},
		"what is given says more":      {sockets: map[string]time.Time{socket: before, crioSocket: before}, mode: fs.ModeSocket, containerd: after, crio: after, changed: noon},
		"the latest of all files says": {containerd: noon, crio: noon, changed: after, want: []string{"CRIONotRestarted Unsure", "ContainerdNotRestarted Unsure"}},
	} {
		t.Run(name, func(t *testing.T) {
			root := fstest.MapFS{
				main:                     {Data: []byte("imports = [\"a.toml\"]\n" + v3 + ours), ModTime: before},
				"etc/containerd/a.toml":  {ModTime: tc.changed},
				crioMain:                 {Data: []byte(follows), ModTime: before},
				"etc/crio/crio.conf.d/a": {ModTime: tc.changed},
			}
			for name, at := range tc.sockets {
				root[name] = &fstest.MapFile{Mode: tc.mode, ModTime: at}
			}
			r := nodecheck.Check(nodecheck.Node{Root: root, ContainerdStarted: tc.containerd, CRIOStarted: tc.crio})
			if got := reasons(r); !slices.Equal(got, tc.want) {
				t.Errorf("got %v, want %v", got, tc.want)
			}
		})
	}
}
