// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

// Package controlplane runs a real etcd and kube-apiserver on loopback, with Mirrorset's CRD and RBAC installed, and the
// manager and agents as processes with the rights of their own service accounts. The tests and the demo stand on it.
package controlplane

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	"sigs.k8s.io/controller-runtime/pkg/envtest"

	"github.com/mirrorset/mirrorset/internal/kinds"
)

// Namespace is where config/default installs Mirrorset.
const Namespace = "mirrorset-system"

// The service accounts that config/default makes.
const (
	ManagerAccount = "mirrorset-manager"
	AgentAccount   = "mirrorset-agent"
)

// ControlPlane is a running etcd and kube-apiserver.
type ControlPlane struct {
	// Config is that of an administrator.
	Config *rest.Config
	// Kubeconfig is the path of a file with the same.
	Kubeconfig string
	// Env is what runs the two; tests stop and start its parts.
	Env *envtest.Environment

	root        string       // of the checkout
	dir         string       // of all that is written
	programs    *rest.Config // where programs find the API server, by their own tokens
	kubeconfigs atomic.Int32
}

// Start starts a control plane out of the programs in $KUBEBUILDER_ASSETS. Root is the checkout.
func Start(root string) (*ControlPlane, error) {
	dir, err := os.MkdirTemp("", "mirrorset-control-plane-")
	if err != nil {
		return nil, err
	}
	env := &envtest.Environment{
		ControlPlaneStartTimeout: 5 * time.Minute, // a busy machine takes long
		ControlPlaneStopTimeout:  time.Minute,
	}
	// With folders of their own, etcd comes back with its data when a test restarts it,
	env.ControlPlane.Etcd = &envtest.Etcd{DataDir: filepath.Join(dir, "etcd")}
	// and the API server with its keys.
	env.ControlPlane.GetAPIServer().CertDir = filepath.Join(dir, "apiserver")
	if err := os.Mkdir(env.ControlPlane.GetAPIServer().CertDir, 0o700); err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	if err := audit(env.ControlPlane.GetAPIServer().Configure(), dir); err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	// A machine without a network has no address that it could take.
	env.ControlPlane.GetAPIServer().Configure().Set("advertise-address", "192.0.2.1")
	// Agents' tokens are bound to their nodes, which 1.30 does if it is asked to, and later versions always do.
	version, err := exec.Command(filepath.Join(os.Getenv("KUBEBUILDER_ASSETS"), "kube-apiserver"), "--version").Output()
	if err != nil {
		return nil, errors.Join(fmt.Errorf("kube-apiserver --version: %w", err), os.RemoveAll(dir))
	}
	if bytes.HasPrefix(version, []byte("Kubernetes v1.30.")) {
		env.ControlPlane.GetAPIServer().Configure().Set("feature-gates", "ServiceAccountTokenNodeBinding=true")
	}
	config, err := env.Start()
	if err != nil {
		return nil, errors.Join(fmt.Errorf("starting etcd and kube-apiserver from KUBEBUILDER_ASSETS=%s: %w", os.Getenv("KUBEBUILDER_ASSETS"), err), env.Stop(), os.RemoveAll(dir))
	}
	c := &ControlPlane{Config: config, Env: env, root: root, dir: dir, programs: rest.AnonymousClientConfig(config), Kubeconfig: filepath.Join(dir, "admin.kubeconfig")}
	if err := c.writeKubeconfig(c.Kubeconfig, config); err != nil {
		return nil, errors.Join(err, c.Stop())
	}
	return c, nil
}

// Through returns the same control plane for programs that should contact the API server at another address, such as that of a proxy with a
// certificate of this authority, in PEM. It ends with the original.
func (c *ControlPlane) Through(host string, authority []byte) (*ControlPlane, error) {
	dir, err := os.MkdirTemp(c.dir, "through-")
	programs := &rest.Config{Host: host, TLSClientConfig: rest.TLSClientConfig{CAData: authority}}
	return &ControlPlane{Config: c.Config, Kubeconfig: c.Kubeconfig, Env: c.Env, root: c.root, dir: dir, programs: programs}, err
}

// Stop ends the control plane and removes what it wrote.
func (c *ControlPlane) Stop() error {
	_ = c.StopAPIServer() // a test may have
	err := c.Env.Stop()
	for errors.Is(err, syscall.ESRCH) { // envtest takes note of a process a moment after it has ended
		time.Sleep(10 * time.Millisecond)
		err = c.Env.Stop()
	}
	return errors.Join(err, os.RemoveAll(c.dir))
}

// Kubectl returns kubectl as an administrator, in the folder of the checkout.
func (c *ControlPlane) Kubectl(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, filepath.Join(os.Getenv("KUBEBUILDER_ASSETS"), "kubectl"), args...)
	cmd.Dir = c.root
	cmd.Env = append(os.Environ(), "KUBECONFIG="+c.Kubeconfig)
	return cmd
}

// Install applies config/default. A manager creates the rest.
func (c *ControlPlane) Install(ctx context.Context) error {
	return c.kubectl(ctx, "apply", "--server-side", "-k", "config/default")
}

// InstallAll also applies what a manager creates, for tests without a manager, and waits until the API server serves sets.
func (c *ControlPlane) InstallAll(ctx context.Context) error {
	return errors.Join(c.Install(ctx),
		c.kubectl(ctx, "apply", "--server-side", "--force-conflicts", "-k", "config/crd"),
		c.kubectl(ctx, "apply", "--server-side", "--force-conflicts", "-k", "config/admission"),
		c.AwaitSets(ctx))
}

// AwaitSets waits until sets are served.
func (c *ControlPlane) AwaitSets(ctx context.Context) error {
	var failed []error
	for _, kind := range kinds.All {
		crd := "crd/" + kind.CRDName()
		failed = append(failed, c.kubectl(ctx, "wait", "--for=create", "--timeout=60s", crd),
			c.kubectl(ctx, "wait", "--for=condition=Established", "--timeout=60s", crd))
	}
	return errors.Join(failed...)
}

func (c *ControlPlane) kubectl(ctx context.Context, args ...string) error {
	if out, err := c.Kubectl(ctx, args...).CombinedOutput(); err != nil {
		return fmt.Errorf("kubectl %s: %w\n%s", args[0], err, out)
	}
	return nil
}

// StartAPIServer starts kube-apiserver again, at the same address and with the same keys.
func (c *ControlPlane) StartAPIServer() error {
	return c.Env.ControlPlane.GetAPIServer().Start()
}

// kubeconfigOnNode is for an agent whose token says that it is on a node, which is made if there is none.
func (c *ControlPlane) kubeconfigOnNode(ctx context.Context, account types.NamespacedName, nodeName string) (string, error) {
	client, err := kubernetes.NewForConfig(c.Config)
	if err != nil {
		return "", err
	}
	nodes := client.CoreV1().Nodes()
	node, err := nodes.Create(ctx, &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: nodeName, Labels: map[string]string{corev1.LabelOSStable: "linux"}}}, metav1.CreateOptions{})
	if apierrors.IsAlreadyExists(err) {
		node, err = nodes.Get(ctx, nodeName, metav1.GetOptions{})
	}
	if err != nil {
		return "", fmt.Errorf("node %s: %w", nodeName, err)
	}
	return c.kubeconfigOf(ctx, account, &authenticationv1.BoundObjectReference{APIVersion: "v1", Kind: "Node", Name: node.Name, UID: node.UID})
}

// kubeconfigOf writes a kubeconfig of its own with a token of a service account, and returns its path.
func (c *ControlPlane) kubeconfigOf(ctx context.Context, account types.NamespacedName, bound *authenticationv1.BoundObjectReference) (string, error) {
	client, err := kubernetes.NewForConfig(c.Config)
	if err != nil {
		return "", err
	}
	request := &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{BoundObjectRef: bound}}
	token, err := client.CoreV1().ServiceAccounts(account.Namespace).CreateToken(ctx, account.Name, request, metav1.CreateOptions{})
	if err != nil {
		return "", fmt.Errorf("token of %s: %w", account, err)
	}
	config := rest.CopyConfig(c.programs)
	config.BearerToken = token.Status.Token
	// Not one a service account: a process that just started may still be about to read its file.
	file := filepath.Join(c.dir, fmt.Sprintf("%s-%d.kubeconfig", account.Name, c.kubeconfigs.Add(1)))
	return file, c.writeKubeconfig(file, config)
}

func (c *ControlPlane) writeKubeconfig(file string, config *rest.Config) error {
	const name = "mirrorset"
	return clientcmd.WriteToFile(clientcmdapi.Config{
		Clusters: map[string]*clientcmdapi.Cluster{name: {Server: config.Host, CertificateAuthorityData: config.CAData}},
		AuthInfos: map[string]*clientcmdapi.AuthInfo{name: {
			Token: config.BearerToken, ClientCertificateData: config.CertData, ClientKeyData: config.KeyData,
		}},
		Contexts:       map[string]*clientcmdapi.Context{name: {Cluster: name, AuthInfo: name, Namespace: Namespace}},
		CurrentContext: name,
	}, file)
}
