// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package nodecheck_test

import (
	"fmt"
	"io/fs"
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

// reasons returns the reasons in a report, as in "Reason Effect".
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
		"a folder":                         {host{main + "/a": ""}.fs(), "ContainerdConfigUnreadable", "not a regular file"},
		"a pipe":                           {pipe, "ContainerdConfigUnreadable", "not a regular file"},
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
