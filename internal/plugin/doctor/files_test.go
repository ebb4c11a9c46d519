// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package doctor

import (
	"maps"
	"strings"
	"testing"

	"github.com/mirrorset/mirrorset/internal/certsd"
	"github.com/mirrorset/mirrorset/internal/kinds"
	"github.com/mirrorset/mirrorset/internal/mirrors"
	"github.com/mirrorset/mirrorset/internal/payload"
	"github.com/mirrorset/mirrorset/internal/plugin/plugintest"
	"github.com/mirrorset/mirrorset/internal/registriesconf"
	"github.com/mirrorset/mirrorset/internal/registriesconf/onhost"
)

const (
	dropIns  = "etc/containers/registries.conf.d/"
	folders  = "etc/containerd/certs.d/"
	goodCRIO = "[crio.image]\nauto_reload_registries = true\n"
	theirs   = "server = \"https://registry-1.docker.io\"\n[host.\"https://m.local\"]\n  capabilities = [\"pull\"]\n"
)

// accepted are the files of a machine whose agent has put an entry in force.
func accepted(t *testing.T, source string, policy mirrors.Policy) map[string]string {
	t.Helper()
	set := mirrors.Set{Object: mirrors.Object{Kind: &kinds.Digest.Kind, Name: "a"}, Entries: []mirrors.SetEntry{{Source: source, Mirrors: []string{"m.local:5000/x"}, Policy: policy}}}
	rules := mirrors.Merge(mirrors.Input{Sets: []mirrors.Set{set}}).Rules
	text, err := registriesconf.Encode(rules)
	if err != nil {
		t.Fatal(err)
	}
	state, err := payload.New(plugintest.CurrentRevision, text).Marshal()
	if err != nil {
		t.Fatal(err)
	}
	have := map[string]string{payload.HostPath: string(state), onhost.Path: string(text)}
	for _, f := range certsd.Project(rules, certsd.Node{Redirector: "127.0.0.1:289"}).Files {
		have[folders+f.Path] = string(f.Content)
	}
	return have
}

func TestAllThatKeepsRulesFromCountingOnAMachineIsFound(t *testing.T) {
	containerd := map[string]string{"etc/containerd/config.toml": goodConfig}
	crio := map[string]string{"etc/crio/crio.conf": goodCRIO}
	of := func(all ...map[string]string) map[string]string {
		files := make(map[string]string)
		for _, more := range all {
			maps.Copy(files, more)
		}
		return files
	}
	one := func(name, text string) map[string]string { return map[string]string{name: text} }
	never := accepted(t, "s.com", mirrors.NeverContactSource)
	without := func(name string) map[string]string {
		files := maps.Clone(never)
		delete(files, name)
		return files
	}
	for _, tt := range []struct {
		name  string
		files map[string]string
		code  int
		want  string // a line begins with it; of several files, the one that counts is in it
	}{
		{"all is well with containerd", of(containerd, never), 0, "OK       containerd: "},
		{"no agent yet", of(crio, one("etc/containers/registries.conf", "unqualified-search-registries = [\"docker.io\"]\n")), 0, "OK       CRI-O: "},
		{"versions 1 and 2 mixed", of(crio, one("etc/containers/registries.conf", "[registries.search]\nregistries = ['docker.io']\n[[registry]]\nlocation = \"quay.io\"\n")), 1, "PROBLEM  CRI-O: LocalBroken: /etc/containers/registries.conf is broken"},
		{"a drop-in that is no TOML", of(crio, one(dropIns+"10-a.conf", "[[registry")), 1, "PROBLEM  CRI-O: LocalBroken: /" + dropIns + "10-a.conf is broken"},
		{"a mirror without a location", of(crio, one(dropIns+"10-a.conf", "[[registry]]\nlocation = \"a.com\"\n[[registry.mirror]]\ninsecure = true\n")), 1, "PROBLEM  CRI-O: LocalBroken: /" + dropIns + "10-a.conf is broken"},
		{"a setting of another type", of(crio, one(dropIns+"10-a.conf", "[[registry]]\nlocation = \"a.com\"\nblocked = \"yes\"\n")), 1, "PROBLEM  CRI-O: LocalBroken: /" + dropIns + "10-a.conf is broken"},
		{"a broken file of the vendor", of(crio, one("usr/share/containers/registries.conf", "x")), 1, "PROBLEM  CRI-O: LocalBroken: /usr/share/containers/registries.conf is broken"},
		{"the same beside containerd fails Podman only", of(containerd, one(dropIns+"10-a.conf", "x")), 0, "WARNING  Podman: LocalBroken: /" + dropIns + "10-a.conf is broken"},
		{"a local block", of(crio, never, one(dropIns+"10-a.conf", "[[registry]]\nlocation = \"s.com\"\nblocked = true\n")), 1, "PROBLEM  CRI-O: LocalBlock: /" + dropIns + "10-a.conf blocks \"s.com\" by its [[registry]] table"},
		{"a later file with our prefix", of(crio, never, one(dropIns+"99-a.conf", "[[registry]]\nlocation = \"s.com\"\n")), 1, "PROBLEM  CRI-O: ShadowsLocal: /" + dropIns + "99-a.conf is read later and has a [[registry]] table with the prefix \"s.com\""},
		{"a hole in a block", of(crio, never, one(dropIns+"10-a.conf", "[[registry]]\nlocation = \"s.com/x\"\n")), 1, "PROBLEM  CRI-O: ShadowsLocal: /" + dropIns + "10-a.conf has a [[registry]] table with the prefix \"s.com/x\", so that part of source \"s.com\" is not blocked"},
		{"somebody else's file in our place", of(crio, one(onhost.Path, "[[registry]]\nlocation = \"s.com\"\n")), 1, "PROBLEM  CRI-O: ForeignFile: /" + onhost.Path},
		{"our file with a change", of(crio, never, one(onhost.Path, never[onhost.Path]+"# more\n")), 1, "PROBLEM  CRI-O: NotInForce: /" + onhost.Path},
		{"our file away", of(crio, without(onhost.Path)), 1, "PROBLEM  CRI-O: NotInForce: /" + onhost.Path},
		{"a hosts.toml of somebody else", of(containerd, one(folders+"docker.io/hosts.toml", theirs)), 0, "WARNING  containerd: ForeignFolder: /" + folders + "docker.io/hosts.toml is not ours"},
		{"one for a registry with a port", of(containerd, one(folders+"a.com_5000_/hosts.toml", theirs)), 0, "WARNING  containerd: ForeignFolder: /" + folders + "a.com_5000_/hosts.toml is not ours, so sets that name registry a.com:5000"},
		{"one in the older spelling", of(containerd, one(folders+"a.com:5000/hosts.toml", theirs)), 0, "WARNING  containerd: ForeignFolder: /" + folders + "a.com:5000/hosts.toml is not ours"},
		{"one for all registries", of(containerd, one(folders+"_default/hosts.toml", theirs)), 0, "WARNING  containerd: ForeignFolder: /" + folders + "_default/hosts.toml is not ours, so sets that name a wildcard"},
		{"one where there is a rule", of(containerd, never, one(folders+"s.com/hosts.toml", theirs)), 1, "PROBLEM  containerd: ForeignFolder: registry s.com: /" + folders + "s.com/hosts.toml is not ours"},
		{"one that hides a wildcard", of(containerd, accepted(t, "*.com", mirrors.AllowContactingSource), one(folders+"a.com/hosts.toml", theirs)), 1, "PROBLEM  containerd: ForeignFolder: registry a.com: /" + folders + "a.com is not ours and hides source *.com"},
		{"our folder away", of(containerd, without(folders+"s.com/hosts.toml"), one(folders+"x/ca.crt", "")), 1, "PROBLEM  containerd: NotInForce: registry s.com: /" + folders + "s.com/hosts.toml is not there"},
		{"a hosts.toml that containerd ignores", of(containerd, one(folders+"a.com/hosts.toml", "server = [\"https://m.com\"]\n")), 1, "PROBLEM  containerd: HostsFileRefused: containerd cannot use /" + folders + "a.com/hosts.toml"},
		{"a capability that there is not", of(containerd, one(folders+"a.com/hosts.toml", "[host.\"https://m.com\"]\n  capabilities = [\"pull\", \"fetch\"]\n")), 1, "PROBLEM  containerd: HostsFileRefused: "},
		{"a certificate that is not there", of(containerd, one(folders+"a.com/hosts.toml", "[host.\"https://m.com\"]\n  ca = \"ca.pem\"\n")), 1, "PROBLEM  containerd: HostsFileRefused: "},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := run(t, "", "doctor", "--local", "--host-root", host(t, "", maps.Clone(tt.files)))
			if r.Code != tt.code || !strings.Contains("\n"+r.Stdout, "\n"+tt.want) {
				t.Errorf("exit code %d, want %d and %q:\n%s%s", r.Code, tt.code, tt.want, r.Stdout, r.Stderr)
			}
			if says := strings.Contains(r.Stderr, "Nothing is wrong"); says != strings.HasPrefix(tt.want, "OK") {
				t.Errorf("it says %q", r.Stderr)
			}
			if strings.HasPrefix(tt.want, "PROBLEM") && strings.Contains(r.Stdout, "OK  ") {
				t.Errorf("it also says that all is well:\n%s", r.Stdout)
			}
		})
	}
}
