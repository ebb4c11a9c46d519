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
	return acceptedBy(t, certsd.Node{Redirector: "127.0.0.1:289"}, source, policy)
}

// acceptedBy is [accepted] with an agent that has other settings.
func acceptedBy(t *testing.T, node certsd.Node, source string, policy mirrors.Policy) map[string]string {
	t.Helper()
	mirror := "m.local:5000/x"
	if node.Redirector == "" {
		mirror = "blocked.invalid" // which needs none
	}
	set := mirrors.Set{Object: mirrors.Object{Kind: &kinds.Digest.Kind, Name: "a"}, Entries: []mirrors.SetEntry{{Source: source, Mirrors: []string{mirror}, Policy: policy}}}
	rules := mirrors.Merge(mirrors.Input{Sets: []mirrors.Set{set}}).Rules
	text, err := registriesconf.Encode(rules)
	if err != nil {
		t.Fatal(err)
	}
	p := payload.New(plugintest.CurrentRevision, text)
	p.Shadow = make(map[string]string)
	for _, watched := range node.Watched {
		p.Shadow[string(watched)] = "a"
	}
	state, err := p.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	have := map[string]string{payload.HostPath: string(state), onhost.Path: string(text)}
	tree := certsd.Project(rules, node)
	for _, f := range tree.Files {
		have[folders+f.Path] = string(f.Content)
	}
	for _, p := range tree.Pending {
		if p.Instead != nil {
			have[folders+p.Instead.Path] = string(p.Instead.Content)
		}
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
	const differs = "PROBLEM  containerd: NotInForce: registry s.com: Mirrorset wrote /" + folders + "s.com/hosts.toml, but its content differs from the rules that the agent of this machine accepted"
	stateOf := func(files map[string]string) map[string]string {
		return map[string]string{payload.HostPath: files[payload.HostPath], onhost.Path: files[onhost.Path]}
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
		{"a local block", of(crio, never, one(dropIns+"10-a.conf", "[[registry]]\nlocation = \"s.com\"\nblocked = true\n")), 1, "PROBLEM  CRI-O: LocalBlock: /" + dropIns + "10-a.conf on this node blocks \"s.com\", so source \"s.com\" is not in force here"},
		{"a later file with our prefix", of(crio, never, one(dropIns+"99-a.conf", "[[registry]]\nlocation = \"s.com\"\n")), 1, "PROBLEM  CRI-O: ShadowsLocal: /" + dropIns + "99-a.conf on this node is read after the drop-in of Mirrorset and has a [[registry]] table with the prefix \"s.com\""},
		{"a hole in a block", of(crio, never, one(dropIns+"10-a.conf", "[[registry]]\nlocation = \"s.com/x\"\n")), 1, "PROBLEM  CRI-O: ShadowsLocal: /" + dropIns + "10-a.conf on this node has a [[registry]] table with the prefix \"s.com/x\", so that part of source \"s.com\" is not blocked"},
		{"somebody else's file in our place", of(crio, one(onhost.Path, "[[registry]]\nlocation = \"s.com\"\n")), 1, "PROBLEM  CRI-O: ForeignFile: /" + onhost.Path},
		{"our file with a change", of(crio, never, one(onhost.Path, never[onhost.Path]+"# more\n")), 1, "PROBLEM  CRI-O: NotInForce: /" + onhost.Path},
		{"our file away", of(crio, without(onhost.Path)), 1, "PROBLEM  CRI-O: NotInForce: /" + onhost.Path},
		{"a hosts.toml of somebody else", of(containerd, one(folders+"docker.io/hosts.toml", theirs)), 0, "WARNING  containerd: ForeignFolder: /" + folders + "docker.io/hosts.toml is not a file of Mirrorset"},
		{"one for a registry with a port", of(containerd, one(folders+"a.com_5000_/hosts.toml", theirs)), 0, "WARNING  containerd: ForeignFolder: /" + folders + "a.com_5000_/hosts.toml is not a file of Mirrorset, so sets that name registry a.com:5000"},
		{"one in the older spelling", of(containerd, one(folders+"a.com:5000/hosts.toml", theirs)), 0, "WARNING  containerd: ForeignFolder: /" + folders + "a.com:5000/hosts.toml is not a file of Mirrorset"},
		{"one for all registries", of(containerd, one(folders+"_default/hosts.toml", theirs)), 0, "WARNING  containerd: ForeignFolder: /" + folders + "_default/hosts.toml is not a file of Mirrorset, so sets that name a wildcard"},
		{"one where there is a rule", of(containerd, never, one(folders+"s.com/hosts.toml", theirs)), 1, "PROBLEM  containerd: ForeignFolder: registry s.com: /" + folders + "s.com/hosts.toml is not a file of Mirrorset"},
		{"one that hides a wildcard", of(containerd, accepted(t, "*.com", mirrors.AllowContactingSource), one(folders+"a.com/hosts.toml", theirs)), 1, "PROBLEM  containerd: ForeignFolder: registry a.com: /" + folders + "a.com was not written by Mirrorset and hides source *.com"},
		{"our folder away", of(containerd, without(folders+"s.com/hosts.toml"), one(folders+"x/ca.crt", "")), 1, "PROBLEM  containerd: NotInForce: registry s.com: /" + folders + "s.com/hosts.toml does not exist"},
		{"a hosts.toml that containerd ignores", of(containerd, one(folders+"a.com/hosts.toml", "server = [\"https://m.com\"]\n")), 1, "PROBLEM  containerd: HostsFileRefused: containerd cannot use /" + folders + "a.com/hosts.toml"},
		{"a hosts.toml that is a folder", of(containerd, one(folders+"a.com/hosts.toml/x", "")), 1, "PROBLEM  containerd: HostsFileRefused: containerd cannot use /" + folders + "a.com/hosts.toml: it is not a regular file; each pull from the registry fails"},
		{"a stray file", of(containerd, never, one(folders+"README.md", "")), 0, "OK       containerd: "},
		{"a stray file with the name of a registry of ours", of(containerd, without(folders+"s.com/hosts.toml"), one(folders+"s.com", "")), 1, "PROBLEM  containerd: ForeignFolder: registry s.com: /" + folders + "s.com is not a folder of Mirrorset"},
		{"the same fails pulls", of(containerd, without(folders+"s.com/hosts.toml"), one(folders+"s.com", "")), 1, "PROBLEM  containerd: HostsFileRefused: containerd cannot use /" + folders + "s.com/hosts.toml"},
		{"a stray file for all registries", of(containerd, one(folders+"_default", "")), 1, "PROBLEM  containerd: HostsFileRefused: containerd cannot use /" + folders + "_default/hosts.toml"},
		{"a block opened by an older file of ours", of(containerd, never, one(folders+"s.com/hosts.toml", accepted(t, "s.com", mirrors.AllowContactingSource)[folders+"s.com/hosts.toml"])), 1, differs},
		{"a mirror edited", of(containerd, never, one(folders+"s.com/hosts.toml", strings.ReplaceAll(never[folders+"s.com/hosts.toml"], "m.local", "evil.local"))), 1, differs},
		{"our file cut to its first line", of(containerd, never, one(folders+"s.com/hosts.toml", certsd.Marker)), 1, differs},
		{"a file of ours without a rule", of(containerd, never, one(folders+"t.com_5000_/hosts.toml", never[folders+"s.com/hosts.toml"])), 1, "PROBLEM  containerd: NotInForce: registry t.com:5000: Mirrorset wrote /" + folders + "t.com_5000_/hosts.toml, but the rules that the agent of this machine accepted do not need this file"},
		{"what a killed agent began", of(containerd, never, one(folders+"t.com/hosts.toml.mirrorset-tmp", "x")), 0, "OK       containerd: "},
		{"no folder for containerd", of(containerd, map[string]string{payload.HostPath: never[payload.HostPath], onhost.Path: never[onhost.Path]}), 1, "PROBLEM  containerd: NotInForce: this machine runs containerd, and the folder /etc/containerd/certs.d does not exist"},
		{"a redirector at another port", of(containerd, acceptedBy(t, certsd.Node{Redirector: "127.0.0.1:9289"}, "s.com/x", mirrors.NeverContactSource)), 0, "OK       containerd: "},
		{"the same, and another rank", of(containerd, one(folders+"s.com/hosts.toml", strings.ReplaceAll(accepted(t, "s.com/x", mirrors.NeverContactSource)[folders+"s.com/hosts.toml"], "/0\"", "/1\"")), stateOf(accepted(t, "s.com/x", mirrors.NeverContactSource))), 1, differs},
		{"no redirector, and none is needed", of(containerd, acceptedBy(t, certsd.Node{}, "s.com", mirrors.NeverContactSource)), 0, "OK       containerd: "},
		{"a registry that is closed for want of a redirector", of(containerd, acceptedBy(t, certsd.Node{}, "s.com/x", mirrors.NeverContactSource)), 1, "PROBLEM  containerd: NotInForce: registry s.com: this machine cannot pull from it: /" + folders + "s.com/hosts.toml closes the registry until the agent's redirector runs"},
		{"all registries, for want of a redirector", of(containerd, acceptedBy(t, certsd.Node{AllowDefaultHost: true}, "*.redhat.io", mirrors.NeverContactSource)), 1, "PROBLEM  containerd: NotInForce: registry _default: this machine cannot pull from it: "},
		{"a mirror with certificates of its own", of(containerd, acceptedBy(t, certsd.Node{Redirector: "127.0.0.1:289", Streamed: func(mirrors.Scope) bool { return true }}, "s.com", mirrors.NeverContactSource), one("etc/containers/certs.d/m.local:5000/ca.crt", "")), 0, "OK       containerd: "},
		{"a mirror with a login, which is not to be seen", of(containerd, acceptedBy(t, certsd.Node{Redirector: "127.0.0.1:289", Streamed: func(mirrors.Scope) bool { return true }}, "s.com", mirrors.NeverContactSource)), 0, "OK       containerd: "},
		{"a blocked wildcard by default", of(containerd, accepted(t, "*.redhat.io", mirrors.NeverContactSource), one(folders+"x/ca.crt", "")), 1, "PROBLEM  containerd: NotInForce: registry *.redhat.io: not in force for containerd on this machine: blocking a wildcard makes every registry"},
		{"a blocked wildcard that is allowed", of(containerd, acceptedBy(t, certsd.Node{Redirector: "127.0.0.1:289", AllowDefaultHost: true}, "*.redhat.io", mirrors.NeverContactSource)), 0, "OK       containerd: "},
		{"a blocked wildcard by a file that opens it", of(containerd, accepted(t, "*.redhat.io", mirrors.AllowContactingSource), stateOf(accepted(t, "*.redhat.io", mirrors.NeverContactSource))), 1, "PROBLEM  containerd: NotInForce: registry *.redhat.io: not in force"},
		{"a source that is watched", of(containerd, acceptedBy(t, certsd.Node{Redirector: "127.0.0.1:289", Watched: []mirrors.Scope{"w.com/x"}}, "s.com", mirrors.AllowContactingSource)), 0, "OK       containerd: "},
		{"one without the file by which it is seen", of(containerd, one(folders+"s.com/hosts.toml", accepted(t, "s.com", mirrors.AllowContactingSource)[folders+"s.com/hosts.toml"]),
			stateOf(acceptedBy(t, certsd.Node{Redirector: "127.0.0.1:289", Watched: []mirrors.Scope{"w.com/x"}}, "s.com", mirrors.AllowContactingSource))), 1, "PROBLEM  containerd: NotInForce: registry w.com: /" + folders + "w.com/hosts.toml does not exist"},
		{"a local block of a mirror", of(crio, never, one(dropIns+"99-local.conf", "[[registry]]\nlocation = \"m.local:5000\"\nblocked = true\n")), 1, "PROBLEM  CRI-O: LocalBlock: /" + dropIns + "99-local.conf on this node blocks \"m.local:5000\""},
		{"a file of others with our name", of(crio, never, one("etc/containers/registries.rootful.conf.d/50-mirrorset.conf", "")), 1, "PROBLEM  CRI-O: ForeignFile: /etc/containers/registries.rootful.conf.d/50-mirrorset.conf"},
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
			if count := strings.Count(r.Stdout, ": ForeignFolder: "); count > 1 {
				t.Errorf("it says %d times whose folder it is:\n%s", count, r.Stdout)
			}
			if strings.HasPrefix(tt.want, "PROBLEM") && strings.Contains(r.Stdout, "OK  ") {
				t.Errorf("it also says that all is well:\n%s", r.Stdout)
			}
		})
	}
}

func TestAFileThatTheAgentKeepsClosedIsToldOnce(t *testing.T) {
	files := accepted(t, "s.com/x", mirrors.NeverContactSource)
	files["etc/containerd/config.toml"], files[folders+"s.com/ca.crt"] = goodConfig, ""
	r := run(t, "", "doctor", "--local", "--host-root", host(t, "", files))
	if r.Code != 1 || !strings.HasPrefix(r.Stdout, "PROBLEM  containerd: NotInForce: registry s.com: not in force for containerd on this machine: containerd would no longer use the certificates") || r.Stderr != "1 problem, 0 warnings.\n" {
		t.Errorf("exit code %d:\n%s%s", r.Code, r.Stdout, r.Stderr)
	}
}
