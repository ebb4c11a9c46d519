// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package plugin_test

import (
	"path/filepath"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/mirrorset/mirrorset/internal/plugin/plugintest"
)

const kubeconfig = `apiVersion: v1
kind: Config
contexts:
- {name: two, context: {cluster: here, user: me}}
- {name: one, context: {cluster: there, user: me}}
clusters:
- {name: there, cluster: {server: "https://127.0.0.1:1"}}
- {name: here, cluster: {server: "https://127.0.0.1:1"}}
users:
- {name: me, user: {token: x}}
`

func TestTheShellIsOfferedTheValuesOfFlags(t *testing.T) {
	file := filepath.Join(t.TempDir(), "config")
	plugintest.WriteFile(t, file, kubeconfig, 0o600)
	url := plugintest.Serve(t, map[string]any{"/api/v1/namespaces": corev1.NamespaceList{
		TypeMeta: metav1.TypeMeta{Kind: "NamespaceList", APIVersion: "v1"},
		Items:    []corev1.Namespace{{ObjectMeta: metav1.ObjectMeta{Name: "default"}}, {ObjectMeta: metav1.ObjectMeta{Name: "mirrorset-system"}}},
	}})
	const none = ":4\n" // nothing, and no files
	for _, tt := range []struct {
		want string
		args []string
	}{
		{"one\ntwo\n" + none, []string{"nodes", "--kubeconfig", file, "--context", ""}},
		{"here\nthere\n" + none, []string{"doctor", "--kubeconfig", file, "--cluster", ""}},
		{"me\n" + none, []string{"explain", "--kubeconfig", file, "--user", ""}},
		{"default\nmirrorset-system\n" + none, []string{"nodes", "--server", url, "--namespace", ""}},
		{":5\n", []string{"nodes", "--server", "http://127.0.0.1:1", "--namespace", ""}},
		{none, []string{"nodes", "--server", ""}},
		{none, []string{"nodes", "--watch", "--timeout", ""}},
		{none, []string{"check", "--registry-timeout", ""}},
		{none, []string{"doctor", "--local", "--runtime-version", ""}},
		{":16\n", []string{"doctor", "--local", "--host-root", ""}},
	} {
		if r := run(t, "", append([]string{"__complete"}, tt.args...)...); r.Stdout != tt.want {
			t.Errorf("%q: %q, want %q", tt.args, r.Stdout, tt.want)
		}
	}
}
