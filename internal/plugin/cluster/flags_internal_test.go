// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"k8s.io/cli-runtime/pkg/genericclioptions"
)

// kubeconfig has a cluster, a user, a context and a namespace of its own.
const kubeconfig = `
apiVersion: v1
kind: Config
clusters: [{name: c, cluster: {server: "https://c.example:6443", insecure-skip-tls-verify: true}}, {name: d, cluster: {server: "https://d.example"}}]
users: [{name: u, user: {token: secret}}, {name: v, user: {username: jane, password: hush}}]
contexts: [{name: a, context: {cluster: c, user: u, namespace: team}}, {name: b, context: {cluster: d, user: v}}]
current-context: a
`

func TestTheFlagsAreThoseOfKubectl(t *testing.T) {
	theirs, cmd := pflag.NewFlagSet("", pflag.ContinueOnError), &cobra.Command{}
	genericclioptions.NewConfigFlags(true).AddFlags(theirs)
	NewFlagsForPods().Add(cmd)
	theirs.VisitAll(func(want *pflag.Flag) {
		got := cmd.Flags().Lookup(want.Name)
		switch {
		case got == nil:
			t.Errorf("--%s is missing", want.Name)
		case got.Shorthand != want.Shorthand, got.DefValue != want.DefValue, got.Value.Type() != want.Value.Type(), got.Usage != want.Usage && want.Name != "namespace":
			t.Errorf("--%s: -%s %s %q %q, want -%s %s %q %q", want.Name, got.Shorthand, got.Value.Type(), got.DefValue, got.Usage, want.Shorthand, want.Value.Type(), want.DefValue, want.Usage)
		}
	})
	cmd.Flags().VisitAll(func(got *pflag.Flag) {
		if theirs.Lookup(got.Name) == nil && got.Name != installedFlag {
			t.Errorf("--%s is none of kubectl's", got.Name)
		}
	})
}

func TestTheFlagsMeanWhatTheyMeanToKubectl(t *testing.T) {
	file := filepath.Join(t.TempDir(), "config")
	if err := os.WriteFile(file, []byte(kubeconfig), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{
		{},
		{"--kubeconfig", file},
		{"--kubeconfig", file, "--context", "b"},
		{"--kubeconfig", file, "--context", "none"},
		{"--kubeconfig", file, "--cluster", "d", "--user", "v", "--disable-compression"},
		{"--kubeconfig", file, "-n", "other", "--token", "another", "--request-timeout", "3s"},
		{"--kubeconfig", file, "--as", "jane", "--as-uid", "7", "--as-group", "g", "--as-group", "h", "--as-user-extra", "k=v=w", "--as-user-extra", "k=x", "--as-user-extra", "none"},
		{"-s", "https://e.example", "--certificate-authority", file, "--tls-server-name", "f.example", "--client-certificate", file, "--client-key", file},
		{"--kubeconfig", filepath.Join(filepath.Dir(file), "none")},
	} {
		theirs, ours, flags, cmd := genericclioptions.NewConfigFlags(true), NewFlagsForPods(), pflag.NewFlagSet("", pflag.ContinueOnError), &cobra.Command{}
		t.Setenv("KUBECONFIG", "")
		t.Setenv("HOME", t.TempDir())
		theirs.AddFlags(flags)
		ours.Add(cmd)
		if err := flags.Parse(args); err != nil {
			t.Fatal(err)
		}
		if err := cmd.Flags().Parse(args); err != nil {
			t.Fatal(err)
		}
		want, wantErr := theirs.ToRESTConfig()
		got, err := ours.load().ClientConfig()
		if !reflect.DeepEqual(got, want) || !reflect.DeepEqual(err, wantErr) {
			t.Errorf("%q: %+v, %v; want %+v, %v", args, got, err, want, wantErr)
		}
		wantNamespace, _, wantErr := theirs.ToRawKubeConfigLoader().Namespace()
		namespace, err := ours.PodNamespace()
		if namespace != wantNamespace || !reflect.DeepEqual(err, wantErr) {
			t.Errorf("%q: namespace %q, %v; want %q, %v", args, namespace, err, wantNamespace, wantErr)
		}
	}
}
