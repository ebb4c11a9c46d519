// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"context"
	_ "embed"
	"fmt"
	"path"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	appsv1ac "k8s.io/client-go/applyconfigurations/apps/v1"
	corev1ac "k8s.io/client-go/applyconfigurations/core/v1"
	metav1ac "k8s.io/client-go/applyconfigurations/meta/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/yaml"

	"github.com/mirrorset/mirrorset/internal/payload"
)

// The objects that the manager and its agents are.
const (
	ManagerName = "mirrorset-manager"
	AgentName   = "mirrorset-agent"
)

// How often the leader applies what it keeps: while a CRD is to be made anew, while the cluster refuses the agents, and otherwise.
const (
	crdAwaited     = 5 * time.Second
	refusedAgain   = 30 * time.Second
	reconcileAgain = time.Minute
)

// triedAnnotation of the DaemonSet is when the manager last asked for Pods that the cluster had refused.
const triedAnnotation = "mirrorset.io/tried-again"

//go:embed agent.yaml
var agentManifest []byte

// AgentSettings are what an administrator may choose about the agents.
type AgentSettings struct {
	// Image is the agent's; where it is empty, that of the manager's Deployment.
	Image string
	// NodeSelector narrows the nodes, as for a canary.
	NodeSelector map[string]string
	// Tolerations say which tainted nodes get an agent.
	Tolerations []corev1.Toleration
	// ContainersDir is the host's folder of containers/image, /etc/containers on every known distribution.
	ContainersDir string
	// CertsDir is the host's folder that containerd's config_path names.
	CertsDir string
	// ContainerdConfig is containerd's configuration file on the host.
	ContainerdConfig string
	// RedirectorPort is the one of 127.0.0.1 on which containerd finds the redirector.
	RedirectorPort int
	// AllowDefaultHost lets blocked wildcards be put in force for containerd.
	AllowDefaultHost bool
	// ReloadCRIO has CRI-O told of each change by a signal, for which the agents join the host's PID namespace.
	ReloadCRIO bool
	// MetricsAddress is where each agent serves its metrics, host:port, without a host at its node's own address; 0 or nothing
	// for nowhere.
	MetricsAddress string
	// Proxy are the environment variables by which registries are reached.
	Proxy []corev1.EnvVar
}

// Operand keeps the agents' DaemonSet, and what has to be there before it, as they should be. The DaemonSet belongs to the manager's
// Deployment and goes with it.
type Operand struct {
	// Client applies the DaemonSet.
	Client client.Client
	// Live reads from the API server and not from a cache.
	Live client.Reader
	// Namespace is the manager's.
	Namespace string
	Settings  AgentSettings
	// Foundation comes before the agents.
	Foundation *Foundation
	// Admission tells whether the cluster refuses the agents.
	Admission *Admission
}

// +kubebuilder:rbac:groups=apps,namespace=mirrorset-system,resources=deployments,resourceNames=mirrorset-manager,verbs=get;list;watch
// +kubebuilder:rbac:groups=apps,namespace=mirrorset-system,resources=daemonsets,resourceNames=mirrorset-agent,verbs=get;list;watch;create;patch
// +kubebuilder:rbac:groups="",namespace=mirrorset-system,resources=events,verbs=list

// SetupWithManager has changes of the Deployment and of the DaemonSet lead to the one request there is.
func (o *Operand) SetupWithManager(mgr ctrl.Manager) error {
	one := handler.EnqueueRequestsFromMapFunc(func(context.Context, client.Object) []reconcile.Request {
		return []reconcile.Request{{NamespacedName: types.NamespacedName{Namespace: o.Namespace, Name: AgentName}}}
	})
	changed := builder.WithPredicates(predicate.GenerationChangedPredicate{})
	return ctrl.NewControllerManagedBy(mgr).Named("operand").
		WatchesMetadata(&appsv1.Deployment{}, one, changed).
		WatchesMetadata(&appsv1.DaemonSet{}, one, changed).
		Complete(o)
}

// Reconcile applies the DaemonSet.
func (o *Operand) Reconcile(ctx context.Context, _ ctrl.Request) (ctrl.Result, error) {
	var manager appsv1.Deployment
	err := o.Live.Get(ctx, types.NamespacedName{Namespace: o.Namespace, Name: ManagerName}, &manager)
	if client.IgnoreNotFound(err) != nil {
		return ctrl.Result{}, err
	}
	if manager.DeletionTimestamp != nil {
		return ctrl.Result{}, nil
	}
	if err := o.Foundation.Lay(ctx); err != nil {
		return ctrl.Result{}, err
	}
	if apierrors.IsNotFound(err) {
		ctrl.LoggerFrom(ctx).Info("No agents are deployed, because the manager's Deployment is not there", "deployment", ManagerName)
		return ctrl.Result{}, nil
	}
	daemonSet, err := o.daemonSet(&manager)
	if err != nil {
		return ctrl.Result{}, reconcile.TerminalError(err)
	}
	again := reconcileAgain
	if o.Admission.Refused() != nil {
		// The DaemonSet controller tries again at once when it sees a change, and else up to 17 minutes later.
		again = refusedAgain
		daemonSet.WithAnnotations(map[string]string{triedAnnotation: time.Now().Truncate(refusedAgain).UTC().Format(time.RFC3339)})
	}
	if err := o.Client.Apply(ctx, daemonSet, client.FieldOwner(payload.FieldManager), client.ForceOwnership); err != nil {
		return ctrl.Result{}, fmt.Errorf("applying the agents' DaemonSet: %w", err)
	}
	if o.Foundation.awaits {
		again = crdAwaited
	}
	return ctrl.Result{RequeueAfter: again}, nil
}

// daemonSet fills the settings into the manifest.
func (o *Operand) daemonSet(manager *appsv1.Deployment) (*appsv1ac.DaemonSetApplyConfiguration, error) {
	d := &appsv1ac.DaemonSetApplyConfiguration{}
	if err := yaml.UnmarshalStrict(agentManifest, d); err != nil {
		return nil, fmt.Errorf("reading the agents' manifest: %w", err)
	}
	image := o.Settings.Image
	if image == "" {
		image = manager.Spec.Template.Spec.Containers[0].Image
	}
	d.WithNamespace(o.Namespace).WithOwnerReferences(metav1ac.OwnerReference().
		WithAPIVersion(appsv1.SchemeGroupVersion.String()).WithKind("Deployment").
		WithName(manager.Name).WithUID(manager.UID).WithController(true))
	pod := d.Spec.Template.Spec
	pod.WithNodeSelector(o.Settings.NodeSelector)
	pod.Containers[0].WithImage(image).WithArgs(o.Settings.arguments()...)
	for _, variable := range o.Settings.Proxy {
		pod.Containers[0].WithEnv(corev1ac.EnvVar().WithName(variable.Name).WithValue(variable.Value))
	}
	if o.Settings.ReloadCRIO {
		pod.WithHostPID(true)
	}
	for _, t := range o.Settings.Tolerations {
		pod.WithTolerations(toleration(t))
	}
	// The agents run with what the manager was given, so a private registry's secret need be named only once.
	for _, s := range manager.Spec.Template.Spec.ImagePullSecrets {
		pod.WithImagePullSecrets(corev1ac.LocalObjectReference().WithName(s.Name))
	}
	for i := range pod.Volumes {
		switch *pod.Volumes[i].Name {
		case "containers":
			pod.Volumes[i].HostPath.WithPath(o.Settings.ContainersDir)
		case "containerd":
			pod.Volumes[i].HostPath.WithPath(o.Settings.CertsDir)
		case "containerd-config":
			pod.Volumes[i].HostPath.WithPath(path.Dir(o.Settings.ContainerdConfig))
		}
	}
	return d, nil
}

// arguments are those that the manifest does not have.
func (s AgentSettings) arguments() []string {
	arguments := []string{
		"--containerd-certs-dir=" + s.CertsDir,
		"--containerd-config=" + s.ContainerdConfig,
		fmt.Sprintf("--redirector-port=%d", s.RedirectorPort),
		fmt.Sprintf("--allow-default-host=%t", s.AllowDefaultHost),
		fmt.Sprintf("--crio-reload=%t", s.ReloadCRIO),
	}
	if s.MetricsAddress != "" && s.MetricsAddress != "0" {
		arguments = append(arguments, "--metrics-bind-address="+s.MetricsAddress)
	}
	return arguments
}

func toleration(t corev1.Toleration) *corev1ac.TolerationApplyConfiguration {
	ac := corev1ac.Toleration()
	if t.Key != "" {
		ac.WithKey(t.Key)
	}
	if t.Operator != "" {
		ac.WithOperator(t.Operator)
	}
	if t.Value != "" {
		ac.WithValue(t.Value)
	}
	if t.Effect != "" {
		ac.WithEffect(t.Effect)
	}
	if t.TolerationSeconds != nil {
		ac.WithTolerationSeconds(*t.TolerationSeconds)
	}
	return ac
}
