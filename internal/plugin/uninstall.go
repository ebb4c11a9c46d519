// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package plugin

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	appsv1ac "k8s.io/client-go/applyconfigurations/apps/v1"
	corev1ac "k8s.io/client-go/applyconfigurations/core/v1"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"

	"github.com/mirrorset/mirrorset/internal/payload"
	"github.com/mirrorset/mirrorset/internal/registriesconf"
)

// What config/default installs.
const (
	installedNamespace = "mirrorset-system"
	managerDeployment  = "mirrorset-manager"
	agentDaemonSet     = "mirrorset-agent"
	partOfLabel        = "app.kubernetes.io/part-of"
	partOf             = "mirrorset"
	installedSelector  = partOfLabel + "=" + partOf
)

// pollEvery is how often the cluster is looked at while something is waited for.
const pollEvery = time.Second

// cleanProbe makes an agent's Pod ready only once there is no file of Mirrorset on its node.
func cleanProbe() *corev1ac.ProbeApplyConfiguration {
	return corev1ac.Probe().WithPeriodSeconds(1).WithTimeoutSeconds(5).
		WithExec(corev1ac.ExecAction().WithCommand("/agent", "--host-root=/host", "--check-clean"))
}

// uninstaller takes Mirrorset out of a cluster.
type uninstaller struct {
	namespace string
	client    kubernetes.Interface
	dynamic   dynamic.Interface
	out       io.Writer

	release string // of Helm, where that installed it
}

func newUninstallCommand() *cobra.Command {
	flags := newClusterFlags()
	var timeout time.Duration
	cmd := &cobra.Command{
		Use:   "uninstall",
		Short: "Take Mirrorset's files off all nodes, and then Mirrorset and its CRDs off the cluster",
		Long: "Take Mirrorset's files off all nodes, and then Mirrorset and its CRDs off the cluster. The manager is stopped, a " +
			"revision without rules is published, and only when no node has a file of Mirrorset left is anything deleted; the " +
			"ImageDigestMirrorSets go with their CRD. An interrupted run can be repeated.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			config, err := flags.ToRESTConfig()
			if err != nil {
				return err
			}
			u := &uninstaller{namespace: *flags.Namespace, out: cmd.OutOrStdout()}
			if u.client, err = kubernetes.NewForConfig(config); err != nil {
				return err
			}
			if u.dynamic, err = dynamic.NewForConfig(config); err != nil {
				return err
			}
			ctx, cancel := context.WithTimeout(cmd.Context(), timeout)
			defer cancel()
			return u.run(ctx)
		},
	}
	flags.addFlags(cmd)
	cmd.Flags().DurationVar(&timeout, "timeout", 5*time.Minute, "how long to wait for everything together")
	return cmd
}

func (u *uninstaller) run(ctx context.Context) error {
	for _, step := range []func(context.Context) error{u.stopManager, u.publishNothing, u.awaitCleanNodes, u.deleteAll} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return nil
}

// stopManager scales the manager to zero, which would restore what the next steps change.
func (u *uninstaller) stopManager(ctx context.Context) error {
	deployments := u.client.AppsV1().Deployments(u.namespace)
	manager, err := deployments.Get(ctx, managerDeployment, metav1.GetOptions{})
	if err == nil {
		err = u.refuseOLM(manager)
	}
	if err == nil {
		u.say("Stopping the manager")
		_, err = deployments.Patch(ctx, managerDeployment, types.MergePatchType, []byte(`{"spec":{"replicas":0}}`), metav1.PatchOptions{})
	}
	if apierrors.IsNotFound(err) {
		return fmt.Errorf("there is no Deployment %s in namespace %s; where is Mirrorset installed? See --namespace", managerDeployment, u.namespace)
	}
	if err != nil {
		return err
	}
	return u.await(ctx, "the manager's Pods to end", func(ctx context.Context) (bool, error) {
		pods, err := u.client.CoreV1().Pods(u.namespace).List(ctx, metav1.ListOptions{LabelSelector: "app.kubernetes.io/name=mirrorset,app.kubernetes.io/component=manager"})
		return err == nil && len(pods.Items) == 0, err
	})
}

// refuseOLM is for a manager that OLM would start again.
func (u *uninstaller) refuseOLM(manager *appsv1.Deployment) error {
	csv, extension := manager.Labels["olm.owner"], manager.Labels["olm.operatorframework.io/owner-name"] // of v0, and of v1
	var last string
	switch {
	case csv != "":
		last = fmt.Sprintf("the Subscription and ClusterServiceVersion %s in namespace %s", csv, u.namespace)
	case extension != "":
		last = "ClusterExtension " + extension
	default:
		u.release = manager.Annotations["meta.helm.sh/release-name"]
		return nil
	}
	return fmt.Errorf("OLM keeps Mirrorset installed in namespace %s and would start the manager again, so nothing was changed. To take it away: kubectl delete imagedigestmirrorsets --all; "+
		"kubectl mirrors nodes --watch; then delete %s (docs/uninstall.md)", u.namespace, last)
}

// publishNothing publishes a revision without rules above all that were published.
func (u *uninstaller) publishNothing(ctx context.Context) error {
	configMaps := u.client.CoreV1().ConfigMaps(u.namespace)
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
	_, err = configMaps.Apply(ctx, corev1ac.ConfigMap(payload.ConfigMapName, u.namespace).WithAnnotations(p.Annotations()).WithData(data),
		metav1.ApplyOptions{FieldManager: payload.FieldManager, Force: true})
	if err == nil {
		u.say("Published revision %d, which has no rules", p.Revision)
	}
	return err
}

// awaitCleanNodes rolls the agents out once more, with a probe that is content only with a clean node, and waits for all.
func (u *uninstaller) awaitCleanNodes(ctx context.Context) error {
	daemonSets := u.client.AppsV1().DaemonSets(u.namespace)
	d, err := daemonSets.Get(ctx, agentDaemonSet, metav1.GetOptions{})
	if err == nil {
		d, err = u.addProbe(ctx, d)
	}
	if apierrors.IsNotFound(err) {
		return fmt.Errorf("there is no DaemonSet %s in namespace %s, so nothing can take the files off the nodes; docs/uninstall.md says how to do it by hand", agentDaemonSet, u.namespace)
	}
	if err != nil {
		return err
	}
	generation, said := d.Generation, ""
	err = u.await(ctx, "all nodes to be clean", func(ctx context.Context) (bool, error) {
		d, err := daemonSets.Get(ctx, agentDaemonSet, metav1.GetOptions{})
		if err != nil || d.Status.ObservedGeneration < generation {
			return false, err
		}
		clean := cleanNodes(d)
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

// addProbe applies the manager's own DaemonSet with the probe, in the manager's name: were the manager to run again, it
// would drop the probe by itself.
func (u *uninstaller) addProbe(ctx context.Context, d *appsv1.DaemonSet) (*appsv1.DaemonSet, error) {
	apply, err := appsv1ac.ExtractDaemonSet(d, payload.FieldManager)
	if err != nil {
		return nil, err
	}
	if apply.Spec == nil || len(apply.Spec.Template.Spec.Containers) == 0 {
		return nil, fmt.Errorf("DaemonSet %s in namespace %s was not applied by Mirrorset's manager", agentDaemonSet, u.namespace)
	}
	apply.Spec.Template.Spec.Containers[0].WithReadinessProbe(cleanProbe())
	return u.client.AppsV1().DaemonSets(u.namespace).Apply(ctx, apply, metav1.ApplyOptions{FieldManager: payload.FieldManager, Force: true})
}

// cleanNodes counts nodes whose agent has the probe and is ready.
func cleanNodes(d *appsv1.DaemonSet) int32 {
	return min(d.Status.UpdatedNumberScheduled, d.Status.NumberAvailable, d.Status.NumberReady)
}

// hint names the nodes that are not clean.
func (u *uninstaller) hint(context.Context) error {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	pods, err := u.client.CoreV1().Pods(u.namespace).List(ctx, metav1.ListOptions{LabelSelector: "app.kubernetes.io/name=mirrorset,app.kubernetes.io/component=agent"})
	if err != nil {
		return err
	}
	var nodes []string
	for i := range pods.Items {
		if !ready(&pods.Items[i]) {
			nodes = append(nodes, pods.Items[i].Spec.NodeName)
		}
	}
	return fmt.Errorf("nothing was deleted. Agents that are not ready are on nodes %q; look at them with kubectl -n %s get pods -o wide, and run this again", nodes, u.namespace)
}

func ready(pod *corev1.Pod) bool {
	for _, c := range pod.Status.Conditions {
		if c.Type == corev1.PodReady {
			return c.Status == corev1.ConditionTrue
		}
	}
	return false
}

// await polls until the condition holds; errors of the API server are retried until the time is over.
func (u *uninstaller) await(ctx context.Context, what string, condition wait.ConditionWithContextFunc) error {
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
