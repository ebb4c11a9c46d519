// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

// Package uninstall is the verb that removes Mirrorset from the nodes and from the cluster.
package uninstall

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/spf13/cobra"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"

	"github.com/mirrorset/mirrorset/internal/payload"
	"github.com/mirrorset/mirrorset/internal/plugin/cluster"
	"github.com/mirrorset/mirrorset/internal/registriesconf"
)

// What config/default installs.
const (
	partOfLabel       = "app.kubernetes.io/part-of"
	partOf            = "mirrorset"
	installedSelector = partOfLabel + "=" + partOf
)

// pollEvery is how often the cluster is looked at while something is waited for.
const pollEvery = time.Second

// cleanProbe makes an agent's Pod ready only once there is no file of Mirrorset on its node.
func cleanProbe() *corev1.Probe {
	return &corev1.Probe{
		PeriodSeconds: 1, TimeoutSeconds: 5,
		ProbeHandler: corev1.ProbeHandler{Exec: &corev1.ExecAction{Command: []string{"/agent", "--host-root=/host", "--check-clean"}}},
	}
}

// options are those of one run.
type options struct {
	cluster cluster.Flags
	timeout time.Duration
	yes     bool
	dryRun  bool
}

// Command returns the verb.
func Command() *cobra.Command {
	o := &options{cluster: cluster.NewFlags()}
	cmd := &cobra.Command{
		Use:   "uninstall",
		Short: "Remove Mirrorset's files from all nodes, then Mirrorset and its CRDs",
		Long: `Remove Mirrorset's files from all nodes, then Mirrorset and its CRDs from the cluster. uninstall stops the
manager and publishes a revision without rules. It deletes objects only when no node has a file of
Mirrorset left. The sets are deleted with their CRDs. uninstall first prints what it will do and asks
for confirmation. You can repeat an interrupted run.`,
		Example: "  kubectl mirrors uninstall --dry-run\n" +
			"  kubectl mirrors uninstall --yes",
		Args: cobra.NoArgs,
		RunE: o.run,
	}
	o.cluster.Add(cmd)
	cmd.Flags().BoolVarP(&o.yes, "yes", "y", false, "do not ask for confirmation")
	cmd.Flags().BoolVar(&o.dryRun, "dry-run", false, "only print what would be done")
	cmd.Flags().DurationVar(&o.timeout, "timeout", 5*time.Minute, "how long to wait in total")
	return cmd
}

func (o *options) run(cmd *cobra.Command, _ []string) error {
	c, err := o.cluster.Connect()
	if err != nil {
		return err
	}
	u := &uninstaller{Cluster: c, out: cmd.OutOrStdout()}
	plan, err := u.plan(cmd.Context())
	if err != nil {
		return err
	}
	for _, line := range plan {
		u.say("%s", line)
	}
	if o.dryRun {
		return nil
	}
	if err := o.agree(cmd.InOrStdin(), u.out); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(cmd.Context(), o.timeout)
	defer cancel()
	for _, step := range []func(context.Context) error{u.stopManager, u.publishNothing, u.awaitCleanNodes, u.deleteAll} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return nil
}

// uninstaller takes Mirrorset out of a cluster.
type uninstaller struct {
	*cluster.Cluster

	out     io.Writer
	release string // of Helm, where that installed it
}

// manager returns the Deployment of the manager.
func (u *uninstaller) manager(ctx context.Context) (*appsv1.Deployment, error) {
	manager, err := u.Deployments(u.Namespace).Get(ctx, cluster.ManagerDeployment, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil, fmt.Errorf("there is no Deployment %s in namespace %s; name the namespace that Mirrorset is installed in with --namespace", cluster.ManagerDeployment, u.Namespace)
	}
	return manager, err
}

// stopManager scales the manager to zero, which would restore what the next steps change.
func (u *uninstaller) stopManager(ctx context.Context) error {
	u.say("Stopping the manager")
	_, err := u.Deployments(u.Namespace).Patch(ctx, cluster.ManagerDeployment, types.MergePatchType, []byte(`{"spec":{"replicas":0}}`), metav1.PatchOptions{})
	if err != nil {
		return err
	}
	return await(ctx, "the manager's Pods to end", func(ctx context.Context) (bool, error) {
		pods, err := u.Pods(u.Namespace).List(ctx, metav1.ListOptions{LabelSelector: cluster.ManagerPods})
		return err == nil && len(pods.Items) == 0, err
	})
}

// refuseOLM is for a manager that OLM would start again.
func (u *uninstaller) refuseOLM(manager *appsv1.Deployment) error {
	csv, extension := manager.Labels["olm.owner"], manager.Labels["olm.operatorframework.io/owner-name"] // of v0, and of v1
	var last string
	switch {
	case csv != "":
		last = fmt.Sprintf("the Subscription and ClusterServiceVersion %s in namespace %s", csv, u.Namespace)
	case extension != "":
		last = "ClusterExtension " + extension
	default:
		u.release = manager.Annotations["meta.helm.sh/release-name"]
		return nil
	}
	return fmt.Errorf("OLM keeps Mirrorset installed in namespace %s and would start the manager again, so nothing was changed. To remove Mirrorset, run kubectl delete imagedigestmirrorsets,imagetagmirrorsets --all and "+
		"kubectl mirrors nodes --watch, then delete %s (docs/how-to/uninstall.md)", u.Namespace, last)
}

// publishNothing publishes a revision without rules above all that were published.
func (u *uninstaller) publishNothing(ctx context.Context) error {
	configMaps := u.ConfigMaps(u.Namespace)
	next := payload.NextRevision(time.Now().UnixMilli())
	current, err := configMaps.Get(ctx, payload.ConfigMapName, metav1.GetOptions{})
	if err != nil && !apierrors.IsNotFound(err) {
		return err
	}
	if err == nil {
		if p, err := payload.Read(current); err == nil && payload.Plausible(p.Revision, 0) {
			next = payload.NextRevision(time.Now().UnixMilli(), p.Revision)
		}
	}
	text, err := registriesconf.Encode(nil)
	if err != nil {
		return err
	}
	p := payload.New(next, text)
	data, _, err := p.Data()
	if err != nil {
		return err
	}
	_, err = u.apply(ctx, corev1.SchemeGroupVersion.WithResource("configmaps"), &corev1.ConfigMap{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "ConfigMap"},
		ObjectMeta: metav1.ObjectMeta{Name: payload.ConfigMapName, Namespace: u.Namespace, Annotations: p.Annotations()},
		Data:       data,
	})
	if err == nil {
		u.say("Published revision %d, which has no rules", p.Revision)
	}
	return err
}

// awaitCleanNodes rolls the agents out once more, with a probe that is content only with a clean node, and waits for all.
func (u *uninstaller) awaitCleanNodes(ctx context.Context) error {
	daemonSets := u.DaemonSets(u.Namespace)
	var probed metav1.Object
	d, err := daemonSets.Get(ctx, cluster.AgentDaemonSet, metav1.GetOptions{})
	if err == nil {
		probed, err = u.addProbe(ctx, d)
	}
	if err != nil {
		return u.noAgents(err)
	}
	generation, said := probed.GetGeneration(), ""
	err = await(ctx, "all nodes to be clean", func(ctx context.Context) (bool, error) {
		d, err := daemonSets.Get(ctx, cluster.AgentDaemonSet, metav1.GetOptions{})
		if err != nil || d.Status.ObservedGeneration < generation {
			return false, err
		}
		clean := cluster.ReadyAgents(d)
		if now := fmt.Sprintf("%d of %d nodes are clean", clean, d.Status.DesiredNumberScheduled); now != said {
			said = now
			u.say("%s", now)
		}
		return clean == d.Status.DesiredNumberScheduled, nil
	})
	if err != nil {
		return errors.Join(err, u.hint(ctx))
	}
	return nil
}

// noAgents says what it means that there is no DaemonSet.
func (u *uninstaller) noAgents(err error) error {
	if !apierrors.IsNotFound(err) {
		return err
	}
	return fmt.Errorf("there is no DaemonSet %s in namespace %s, so no agent can remove the files from the nodes; to remove them by hand, see docs/how-to/uninstall.md", cluster.AgentDaemonSet, u.Namespace)
}

// addProbe applies the manager's own DaemonSet, as it is, with the probe, in the manager's name: were the manager to run again, it
// would drop the probe by itself.
func (u *uninstaller) addProbe(ctx context.Context, d *appsv1.DaemonSet) (metav1.Object, error) {
	isApplied := func(f metav1.ManagedFieldsEntry) bool {
		return f.Manager == payload.FieldManager && f.Operation == metav1.ManagedFieldsOperationApply
	}
	if !slices.ContainsFunc(d.ManagedFields, isApplied) || len(d.Spec.Template.Spec.Containers) == 0 {
		return nil, fmt.Errorf("DaemonSet %s in namespace %s was not applied by Mirrorset's manager", cluster.AgentDaemonSet, u.Namespace)
	}
	return u.apply(ctx, appsv1.SchemeGroupVersion.WithResource("daemonsets"), withProbe(d))
}

// apply applies an object in the manager's name.
func (u *uninstaller) apply(ctx context.Context, resource schema.GroupVersionResource, object metav1.Object) (*unstructured.Unstructured, error) {
	content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(object)
	if err != nil {
		return nil, err
	}
	delete(content, "status")
	return u.Dynamic.Resource(resource).Namespace(u.Namespace).Apply(ctx, object.GetName(), &unstructured.Unstructured{Object: content},
		metav1.ApplyOptions{FieldManager: payload.FieldManager, Force: true})
}

// hint names the nodes that are not clean, and what is so meanwhile.
func (u *uninstaller) hint(context.Context) error {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	pods, err := u.Pods(u.Namespace).List(ctx, metav1.ListOptions{LabelSelector: cluster.AgentPods})
	if err != nil {
		return err
	}
	var nodes []string
	for i := range pods.Items {
		if !cluster.IsReady(&pods.Items[i]) {
			nodes = append(nodes, pods.Items[i].Spec.NodeName)
		}
	}
	return fmt.Errorf("no object was deleted, but the manager is stopped and nodes remove their rules. The agents on nodes %[1]q are not ready: check them with kubectl -n %[2]s get pods -o wide, "+
		"then run this command again. To keep Mirrorset instead: kubectl -n %[2]s scale --replicas=1 deployment/%[3]s", nodes, u.Namespace, cluster.ManagerDeployment)
}

// await polls until the condition holds; errors of the API server are retried until the time is over.
func await(ctx context.Context, what string, condition wait.ConditionWithContextFunc) error {
	var last error
	err := wait.PollUntilContextCancel(ctx, pollEvery, true, func(ctx context.Context) (bool, error) {
		var done bool
		done, last = condition(ctx)
		return done && last == nil, nil
	})
	if err != nil {
		return fmt.Errorf("waiting for %s: %w", what, errors.Join(err, last))
	}
	return nil
}

func (u *uninstaller) say(format string, args ...any) {
	fmt.Fprintf(u.out, format+"\n", args...)
}
