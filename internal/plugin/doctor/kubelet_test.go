// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package doctor

import (
	"maps"
	"strings"
	"testing"
)

func TestTheTrapOfCRIOsCredentialProviderIsFound(t *testing.T) {
	const config, main, vendors = "etc/kubernetes/providers.yaml", "etc/containers/registries.conf", "usr/share/containers/registries.conf"
	const ours = "kind: CredentialProviderConfig\napiVersion: kubelet.config.k8s.io/v1\nproviders:\n- name: other\n- name: crio-credential-provider\n  matchImages: [docker.io]\n"
	kubelet := func(args ...string) string {
		return strings.Join(append([]string{"/usr/bin/kubelet", "--config=/var/lib/kubelet/config.yaml"}, args...), "\x00") + "\x00"
	}
	joined := kubelet("--image-credential-provider-config=/" + config)
	for _, tt := range []struct {
		name    string
		cmdline string
		files   map[string]string
		remedy  string
	}{
		{"the file is missing", joined, map[string]string{config: ours}, "touch /" + main},
		{"the flag and its value apart", kubelet("--image-credential-provider-config", "/"+config), map[string]string{config: ours}, "touch /" + main},
		{"the vendor has one", joined, map[string]string{config: ours, vendors: "unqualified-search-registries = []\n"}, "cp /" + vendors + " /" + main},
		{"a folder of configurations", kubelet("--image-credential-provider-config=/etc/kubernetes/providers"), map[string]string{"etc/kubernetes/providers/10.json": `{"providers": [{"name": "crio-credential-provider"}]}`, "etc/kubernetes/providers/README": "x"}, "touch /" + main},
		{"the file is there", joined, map[string]string{config: ours, main: ""}, ""},
		{"another provider", joined, map[string]string{config: strings.ReplaceAll(ours, "crio-", "ecr-")}, ""},
		{"a configuration that cannot be read", joined, map[string]string{config: "providers: {"}, ""},
		{"a configuration that cannot be seen", joined, nil, ""},
		{"no such flag", kubelet(), map[string]string{config: ours}, ""},
		{"a flag without a value", kubelet("--image-credential-provider-config"), map[string]string{config: ours}, ""},
		{"another program with that flag", strings.Replace(joined, "kubelet", "kubeadm", 1), map[string]string{config: ours}, ""},
		{"no kubelet", "", map[string]string{config: ours}, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			files := map[string]string{"etc/crio/crio.conf": goodCRIO, "proc/12/cmdline": tt.cmdline, "proc/13/cmdline": ""}
			maps.Copy(files, tt.files)
			r := run(t, "", "doctor", "--local", "--host-root", host(t, "crio", files))
			want := ""
			if tt.remedy != "" {
				want = "WARNING  CRI-O: CRIOCredentialProviderIdle: the kubelet calls crio-credential-provider, which does nothing while there is no /etc/containers/registries.conf, " +
					"whatever the files in /etc/containers/registries.conf.d contain\n    Run: " + tt.remedy + "\n"
			}
			if !strings.HasPrefix(r.Stdout, want) || strings.Contains(r.Stdout, "Provider") != (want != "") || r.Code != 0 {
				t.Errorf("exit code %d:\n%s\nwant %s", r.Code, r.Stdout, want)
			}
		})
	}
	files := map[string]string{"etc/containerd/config.toml": goodConfig, "proc/12/cmdline": joined, config: ours}
	if r := run(t, "", "doctor", "--local", "--host-root", host(t, "containerd", files)); strings.Contains(r.Stdout, "Provider") {
		t.Errorf("with containerd:\n%s", r.Stdout)
	}
}

// What the agent says in its MirrorNode, doctor says on the machine.
func TestLoginsThatCRIODoesNotReadAreFound(t *testing.T) {
	const auth = "var/lib/mirrorset/auth.json"
	const set = "[crio.image]\nauto_reload_registries = true\nglobal_auth_file = \"/var/lib/mirrorset/auth.json\"\n"
	for config, want := range map[string]string{
		goodCRIO: "WARNING  CRI-O: CRIOAuthFileUnset: no configuration file of CRI-O sets global_auth_file, so CRI-O contacts mirrors without the logins in /" + auth + "\n" +
			"    Write /etc/crio/crio.conf.d/99-mirrorset-auth.conf with\n    [crio.image]\n    global_auth_file = \"/" + auth + "\"\n    and run: systemctl restart crio\n",
		set: "OK       CRI-O: ",
	} {
		r := run(t, "", "doctor", "--local", "--host-root", host(t, "crio", map[string]string{"etc/crio/crio.conf": config, auth: "{}"}))
		if r.Code != 0 || !strings.HasPrefix(r.Stdout, want) {
			t.Errorf("exit code %d:\n%s\nwant\n%s", r.Code, r.Stdout, want)
		}
	}
}
