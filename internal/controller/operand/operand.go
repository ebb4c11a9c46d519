// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

// Package operand runs the agents. The [Operand] keeps their DaemonSet as the [AgentSettings] describe it. It also applies the
// [Foundation], which is the CRDs and the admission policies. The [Admission] checks if the cluster lets the agents in.
package operand

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

// AgentLabels are those that the DaemonSet selects its Pods by.
var AgentLabels = map[string]string{"app.kubernetes.io/name": "mirrorset", "app.kubernetes.io/component": "agent"}

// How often the leader applies its objects: while a CRD must be created again, while the cluster refuses the agents, and otherwise.
const (
	crdAwaited     = 5 * time.Second
	refusedAgain   = 30 * time.Second
	reconcileAgain = time.Minute
)

// triedAnnotation of the DaemonSet is when the manager last asked for Pods that the cluster had refused.
const triedAnnotation = "mirrorset.io/tried-again"

//go:embed agent.yaml
var agentManifest []byte

// Operand keeps the agents' DaemonSet, and what must exist before it, in the desired state. The DaemonSet belongs to the manager's
// Deployment and is deleted with it.
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
	// Admission checks whether the cluster refuses the agents.
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
		ctrl.LoggerFrom(ctx).Info("Deploying no agents, because the manager's Deployment does not exist", "deployment", ManagerName)
		return ctrl.Result{}, nil
	}
	daemonSet, err := o.daemonSet(&manager)
	if err != nil {
		return ctrl.Result{}, reconcile.TerminalError(err)
	}
	again := reconcileAgain
	if o.Admission.Refused() != nil {
		// The DaemonSet controller retries immediately when it sees a change, and otherwise up to 17 minutes later.
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
	o.Settings.shape(d)
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
		case "containerd-running":
			pod.Volumes[i].HostPath.WithPath(o.Settings.runningDir())
		}
	}
	return d, nil
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
