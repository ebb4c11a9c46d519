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

func TestCRIOFollowsTheDropInsOnlyWhereTheLastFileSaysSo(t *testing.T) {
	const off = "[crio.image]\nauto_reload_registries = false\n"
	const dropIn, own = "etc/crio/crio.conf.d/", "write /etc/crio/crio.conf.d/99-mirrorset.conf with\n\n[crio.image]\nauto_reload_registries = true\n"
	for name, tc := range map[string]struct {
		host            host
		message, remedy string
	}{
		"nothing about it":                   {host{crioMain: "[crio.runtime]\n"}, "no configuration file of CRI-O sets", own},
		"on in the main file":                {host{crioMain: follows}, "", ""},
		"off in the main file":               {host{crioMain: off}, "/etc/crio/crio.conf sets auto_reload_registries = false", own},
		"on in a drop-in":                    {host{crioMain: off, dropIn + "10-a.conf": follows}, "", ""},
		"a drop-in about other things":       {host{crioMain: follows, dropIn + "10-a.conf": "[crio.image]\npause_image = \"a\"\n"}, "", ""},
		"off in a later drop-in":             {host{dropIn + "10-a.conf": follows, dropIn + "20-b.conf": off}, "/etc/crio/crio.conf.d/20-b.conf sets", own},
		"on in a later drop-in":              {host{dropIn + "10-a.conf": off, dropIn + "20-b.conf": follows}, "", ""},
		"a drop-in of any name":              {host{dropIn + "00-default": follows}, "", ""},
		"a drop-in in a folder":              {host{dropIn + "10/a": off, dropIn + "10/b": follows}, "", ""},
		"off in one that is read after ours": {host{dropIn + "99-z.conf": off}, "/etc/crio/crio.conf.d/99-z.conf sets", "set in /etc/crio/crio.conf.d/99-z.conf\n\n[crio.image]\nauto_reload_registries = true\n"},
		"in a table that is not CRI-O's":     {host{crioMain: "[image]\nauto_reload_registries = true\n"}, "no configuration file", own},
	} {
		t.Run(name, func(t *testing.T) {
			r := nodecheck.Check(nodecheck.Node{Root: tc.host.fs()})
			if tc.message == "" {
				if len(r.Problems) > 0 {
					t.Errorf("got %+v", r.Problems)
				}
				return
			}
			if got := reasons(r); !slices.Equal(got, []string{"CRIOAutoReloadOff Late"}) {
				t.Fatalf("got %v", got)
			}
			p := r.Problems[0]
			if !strings.Contains(p.Message, tc.message) || !strings.Contains(p.Remedy, tc.remedy) || !strings.Contains(p.Remedy, "systemctl restart crio") || !strings.Contains(p.Remedy, "systemctl reload crio") {
				t.Errorf("got %+v", p)
			}
		})
	}
}

func TestCRIOReadsTheLoginsOnlyWhereTheLastFileSaysSo(t *testing.T) {
	const dropIn, auth, other = "etc/crio/crio.conf.d/", nodecheck.AuthFile, "global_auth_file = \"/var/lib/kubelet/config.json\"\n"
	const set, write = "global_auth_file = \"/var/lib/mirrorset/auth.json\"\n", "Write /etc/crio/crio.conf.d/99-mirrorset-auth.conf with\n\n[crio.image]\n" + "global_auth_file = \"/var/lib/mirrorset/auth.json\"\n\nand run: systemctl restart crio"
	for name, tc := range map[string]struct {
		host            host
		message, remedy string
	}{
		"no logins":                              {host{crioMain: follows}, "", ""},
		"set in the main file":                   {host{crioMain: follows + set, auth: "{}"}, "", ""},
		"set in a drop-in":                       {host{crioMain: follows + other, dropIn + "99-mirrorset-auth.conf": "[crio.image]\n" + set, auth: "{}"}, "", ""},
		"set with another way to write it":       {host{crioMain: follows + "global_auth_file = \"/var/lib//mirrorset/./auth.json\"\n", auth: "{}"}, "", ""},
		"not set":                                {host{crioMain: follows, auth: "{}"}, "no configuration file of CRI-O sets global_auth_file, so CRI-O contacts mirrors without the logins in /var/lib/mirrorset/auth.json", write},
		"empty":                                  {host{crioMain: follows + "global_auth_file = \"\"\n", auth: "{}"}, "no configuration file of CRI-O sets", write},
		"another file":                           {host{crioMain: follows + other, auth: "{}"}, "/etc/crio/crio.conf sets global_auth_file = \"/var/lib/kubelet/config.json\", so", write + "\nCRI-O reads only one such file: move the logins of /var/lib/kubelet/config.json that mirrors need to the Secret mirror-credentials"},
		"another in one that is read after ours": {host{crioMain: follows + set, dropIn + "99-z.conf": "[crio.image]\n" + other, auth: "{}"}, "/etc/crio/crio.conf.d/99-z.conf sets", "Set in /etc/crio/crio.conf.d/99-z.conf\n"},
	} {
		t.Run(name, func(t *testing.T) {
			r := nodecheck.Check(nodecheck.Node{Root: tc.host.fs()})
			if tc.message == "" {
				if len(r.Problems) > 0 {
					t.Errorf("got %+v", r.Problems)
				}
				return
			}
			if got := reasons(r); !slices.Equal(got, []string{"CRIOAuthFileUnset Mild"}) {
				t.Fatalf("got %v", got)
			}
			if p := r.Problems[0]; !strings.HasPrefix(p.Message, tc.message) || !strings.HasPrefix(p.Remedy, tc.remedy) {
				t.Errorf("got %+v", p)
			}
		})
	}
}

func TestCRIOFollowsTheDropInsOnlySince130(t *testing.T) {
	for version, want := range map[string][]string{
		"cri-o://1.29.13": {"CRIOAutoReloadOff Late"}, "cri-o://1.9.0": {"CRIOAutoReloadOff Late"},
		"cri-o://1.30.0": nil, "cri-o://1.34.1": nil, "cri-o://2.0.0": nil, "cri-o://Unknown": nil, "": nil,
	} {
		r := nodecheck.Check(nodecheck.Node{Root: host{crioMain: follows}.fs(), RuntimeVersion: version})
		if got := reasons(r); !slices.Equal(got, want) {
			t.Errorf("%s: got %v", version, got)
		}
		if len(r.Problems) > 0 && (!strings.HasPrefix(r.Problems[0].Message, version+" does not support auto_reload_registries") || !strings.Contains(r.Problems[0].Remedy, "systemctl reload crio")) {
			t.Errorf("%s: got %+v", version, r.Problems)
		}
	}
}

func TestWhatCannotBeReadOfCRIOsConfigurationIsAProblem(t *testing.T) {
	const dropIn = "etc/crio/crio.conf.d/"
	many := host{}
	for i := range 300 {
		many[fmt.Sprintf("%s%03d", dropIn, i)] = follows
	}
	for name, tc := range map[string]struct {
		root fs.FS
		says string
	}{
		"a main file that is no TOML":    {host{crioMain: "[", dropIn + "a": follows}.fs(), "/etc/crio/crio.conf cannot"},
		"a main file that is a folder":   {host{crioMain + "/a": "", dropIn + "a": follows}.fs(), "/etc/crio/crio.conf cannot"},
		"a drop-in that is no TOML":      {host{crioMain: follows, dropIn + "a": "["}.fs(), dropIn + "a cannot"},
		"a drop-in of another type":      {host{crioMain: follows, dropIn + "a": "[crio.image]\nauto_reload_registries = 1\n"}.fs(), "line 2, column 26"},
		"a drop-in that is too large":    {host{crioMain: follows, dropIn + "a": strings.Repeat("#\n", 2<<20+1)}.fs(), "more than 4 MiB"},
		"a drop-in without permission":   {closed{host{crioMain: follows, dropIn + "a": ""}.fs(), dropIn + "a"}, "permission denied"},
		"drop-ins that cannot be listed": {closed{host{crioMain: follows, dropIn + "a": ""}.fs(), "etc/crio/crio.conf.d"}, "/etc/crio/crio.conf.d cannot"},
		"very many drop-ins":             {many.fs(), "more than 200 files"},
	} {
		t.Run(name, func(t *testing.T) {
			r := nodecheck.Check(nodecheck.Node{Root: tc.root})
			if got := reasons(r); !slices.Equal(got, []string{"CRIOConfigUnreadable Unsure"}) || !strings.Contains(r.Problems[0].Message, tc.says) {
				t.Errorf("got %+v, want one that says %q", r.Problems, tc.says)
			}
		})
	}
}

func TestCRIODoesNotFollowAFolderThatCameAfterIt(t *testing.T) {
	before, after := noon.Add(-time.Second), noon.Add(time.Second)
	for name, tc := range map[string]struct {
		text                          string
		booted, started, socket, born time.Time
		says                          string
	}{
		"nothing known":                            {text: follows},
		"only the folder's time":                   {text: follows, born: noon},
		"only the machine's time":                  {text: follows, booted: noon},
		"a folder from before the machine's start": {text: follows, booted: noon, born: before},
		"a folder of the same moment":              {text: follows, booted: noon, born: noon},
		"a folder from after the machine's start":  {text: follows, booted: noon, born: after, says: "the machine was started at 2026-03-01T12:00:00Z, and /etc/containers/registries.conf.d was created at 2026-03-01T12:00:01Z; if CRI-O was started before that"},
		"the process came later":                   {text: follows, booted: before, started: after, born: noon},
		"the process came earlier":                 {text: follows, booted: before, started: noon, born: after, says: "CRI-O was started at 2026-03-01T12:00:00Z, before"},
		"the socket came later":                    {text: follows, booted: before, socket: after, born: noon},
		"the socket came earlier":                  {text: follows, booted: before, socket: noon, born: after, says: "CRI-O was started at 2026-03-01T12:00:00Z, before"},
	} {
		t.Run(name, func(t *testing.T) {
			root := fstest.MapFS{crioMain: {Data: []byte(tc.text)}}
			if !tc.socket.IsZero() {
				root["run/crio/crio.sock"] = &fstest.MapFile{Mode: fs.ModeSocket, ModTime: tc.socket}
			}
			r := nodecheck.Check(nodecheck.Node{Root: root, Booted: tc.booted, DropInsBorn: tc.born, CRIOStarted: tc.started})
			if tc.says == "" {
				if len(r.Problems) > 0 {
					t.Errorf("got %+v", r.Problems)
				}
				return
			}
			want := "CRIOStartedBeforeFolder Late"
			if strings.HasPrefix(tc.says, "the machine") { // which does not tell when CRI-O was
				want = "CRIOStartedBeforeFolder Unsure"
			}
			if got := reasons(r); !slices.Equal(got, []string{want}) || !strings.Contains(r.Problems[0].Message, tc.says) {
				t.Errorf("got %+v, want one that says %q", r.Problems, tc.says)
			}
		})
	}
}

func TestTheFolderIsNoMatterWhereCRIOFollowsNothing(t *testing.T) {
	r := nodecheck.Check(nodecheck.Node{Root: host{crioMain: ""}.fs(), Booted: noon, DropInsBorn: noon.Add(time.Hour)})
	if got := reasons(r); !slices.Equal(got, []string{"CRIOAutoReloadOff Late"}) {
		t.Errorf("got %v", got)
	}
}
