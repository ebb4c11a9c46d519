// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/util/homedir"

	"github.com/mirrorset/mirrorset/internal/kinds"
	"github.com/mirrorset/mirrorset/internal/plugin/command"
	"github.com/mirrorset/mirrorset/internal/plugin/manifests"
)

// Flags are those that every kubectl command has to find a cluster by. The namespace is that of Mirrorset, unless the verb is about Pods.
// They are those of k8s.io/cli-runtime, whose own ones bring the types of all API groups with them, a quarter of this program.
type Flags struct {
	kubeconfig *string
	overrides  *clientcmd.ConfigOverrides
	userExtra  *[]string // KEY=VALUE
	installed  *string   // where Mirrorset is
}

// NewFlags returns them with the namespace that config/default installs Mirrorset in.
func NewFlags() Flags {
	f := NewFlagsForPods()
	f.overrides.Context.Namespace, f.installed = Namespace, &f.overrides.Context.Namespace
	return f
}

// NewFlagsForPods returns those of a verb that is about Pods: the namespace is theirs, as with kubectl, and the one of Mirrorset has a flag of its own.
func NewFlagsForPods() Flags {
	installed := Namespace
	return Flags{new(string), &clientcmd.ConfigOverrides{ClusterDefaults: clientcmd.ClusterDefaults}, new([]string), &installed}
}

// Add adds them, with what the shell offers for them.
func (f Flags) Add(cmd *cobra.Command) {
	flags := pflag.NewFlagSet("", pflag.ContinueOnError)
	f.addKubectl(flags)
	command.FindsCluster(flags, "namespace")
	cmd.Flags().AddFlagSet(flags)
	if f.isForPods() {
		cmd.Flags().Lookup("namespace").Usage = "namespace of the Pod; default: the namespace of the current context"
		cmd.Flags().StringVar(f.installed, installedFlag, *f.installed, "namespace that Mirrorset is installed in")
	} else {
		cmd.Flags().Lookup("namespace").Usage = "namespace that Mirrorset is installed in"
	}
	f.addCompletions(cmd)
}

// addKubectl adds the flags of every kubectl command, in kubectl's words.
func (f Flags) addKubectl(flags *pflag.FlagSet) {
	names := clientcmd.RecommendedConfigOverrideFlags("")
	names.AuthOverrideFlags.Username, names.AuthOverrideFlags.Password = clientcmd.FlagInfo{}, clientcmd.FlagInfo{} // kubectl has none
	names.AuthOverrideFlags.Impersonate.Description += ". User could be a regular user or a service account in a namespace."
	names.AuthOverrideFlags.ImpersonateUID.Description += "."
	names.ClusterOverrideFlags.APIServer.ShortName = "s"
	names.ClusterOverrideFlags.TLSServerName.Description = "Server name to use for server certificate validation. If it is not provided, the hostname used to contact the server is used"
	names.ClusterOverrideFlags.ProxyURL.Description = "Proxy URL to use for requests to the API server"
	names.ContextOverrideFlags.Namespace.Default = f.overrides.Context.Namespace
	clientcmd.BindOverrideFlags(f.overrides, flags, names)
	flags.StringArrayVar(f.userExtra, "as-user-extra", nil, "User extras to impersonate for the operation, this flag can be repeated to specify multiple values for the same key.")
	flags.StringVar(f.kubeconfig, "kubeconfig", "", "Path to the kubeconfig file to use for CLI requests.")
	flags.String("cache-dir", cacheDir(), "Default cache directory") // nothing is cached here
}

// cacheDir is kubectl's.
func cacheDir() string {
	if dir := os.Getenv("KUBECACHEDIR"); dir != "" {
		return dir
	}
	return filepath.Join(homedir.HomeDir(), ".kube", "cache")
}

// installedFlag names Mirrorset's namespace where --namespace does not.
const installedFlag = "mirrorset-namespace"

func (f Flags) isForPods() bool {
	return f.installed != &f.overrides.Context.Namespace
}

// Installed is the namespace that Mirrorset is installed in.
func (f Flags) Installed() string {
	return *f.installed
}

// load returns what the kubeconfig and the flags say together.
func (f Flags) load() clientcmd.ClientConfig {
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	rules.DefaultClientConfig, rules.ExplicitPath = &clientcmd.DefaultClientConfig, *f.kubeconfig
	extra := make(map[string][]string)
	for _, text := range *f.userExtra {
		if key, value, ok := strings.Cut(text, "="); ok {
			extra[key] = append(extra[key], value)
		}
	}
	f.overrides.AuthInfo.ImpersonateUserExtra = extra
	return clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, f.overrides)
}

// PodNamespace returns the one that Pods are looked for in.
func (f Flags) PodNamespace() (string, error) {
	namespace, _, err := f.load().Namespace()
	return namespace, err
}

// Connect returns the cluster that the flags and the kubeconfig name. Nothing is asked of it yet.
func (f Flags) Connect() (*Cluster, error) {
	config, err := f.load().ClientConfig()
	if err != nil {
		return nil, err
	}
	c := &Cluster{Namespace: f.Installed(), config: config}
	if c.objects, err = newObjects(config); err != nil {
		return nil, err
	}
	if c.Dynamic, err = dynamic.NewForConfig(config); err != nil {
		return nil, err
	}
	return c, nil
}

// Sets returns the sets of the files if there are any, otherwise those of the cluster, which it returns with them.
func (f Flags) Sets(cmd *cobra.Command, files *manifests.Flags) ([]kinds.Set, *Cluster, error) {
	if files.Given() {
		sets, err := files.Read(cmd)
		return sets, nil, err
	}
	c, err := f.Connect()
	var sets []kinds.Set
	if err == nil {
		sets, err = c.Sets(cmd.Context())
	}
	if err != nil {
		return nil, nil, fmt.Errorf("the sets could not be read from the cluster; to read them from files, use -f: %w", err)
	}
	c.WarnOfLacks(cmd.ErrOrStderr())
	c.WarnOfHold(cmd.Context(), sets, cmd.ErrOrStderr())
	return sets, c, nil
}
