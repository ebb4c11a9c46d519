// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	clientconfig "sigs.k8s.io/controller-runtime/pkg/client/config"

	mirrorsetv1alpha1 "github.com/mirrorset/mirrorset/api/mirrorset/v1alpha1"
	"github.com/mirrorset/mirrorset/internal/controller/operand"
	"github.com/mirrorset/mirrorset/internal/kinds"
	"github.com/mirrorset/mirrorset/internal/payload"
	"github.com/mirrorset/mirrorset/internal/standing"
)

// checkVerb is the argument that has this program look at an installation instead of being its manager, as the chart's test does.
const checkVerb = "check"

// The exit codes of that.
const (
	incomplete = 1
	misused    = 2
)

// lookAgain is how long a check waits before it looks at what was missing once more.
const lookAgain = time.Second

// grace is the time for the requests that begin when there is no time left to wait.
const grace = time.Minute

// fact is something that is true of a working installation.
type fact struct {
	text string
	look func(ctx context.Context) error
}

// checkInstallation prints whether all that the manager brings is in place, and returns the exit code.
func checkInstallation(args []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("manager "+checkVerb, flag.ContinueOnError)
	flags.SetOutput(stderr)
	clientconfig.RegisterFlags(flags)
	namespace := flags.String("namespace", os.Getenv("POD_NAMESPACE"), "namespace of the manager; the default is $POD_NAMESPACE")
	wait := flags.Duration("wait", 0, "how long to wait for what is missing, as in 2m; 0 to look once")
	flags.Usage = func() {
		fmt.Fprintf(stderr, "Usage of manager %s: check that the API server serves the kinds of Mirrorset, that the managers are available, that the rules are published, and that every agent is ready.\n", checkVerb)
		flags.PrintDefaults()
	}
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		return misused
	case flags.NArg() > 0:
		fmt.Fprintf(stderr, "unexpected argument %q\n", flags.Arg(0))
		return misused
	case *namespace == "":
		fmt.Fprintln(stderr, "--namespace is required")
		return misused
	}
	all, err := facts(*namespace)
	if err != nil {
		fmt.Fprintln(stderr, err)
		return incomplete
	}
	ctx := ctrl.SetupSignalHandler()
	if failed := await(ctx, all, *wait, stdout); failed > 0 {
		fmt.Fprintf(stdout, "%d of %d checks failed; `kubectl mirrors doctor --namespace %s` shows the reasons\n", failed, len(all), *namespace)
		return incomplete
	}
	return 0
}

// await looks at each fact until it is true or time is up, and returns how many are not.
func await(ctx context.Context, all []fact, wait time.Duration, stdout io.Writer) (failed int) {
	ctx, stop := context.WithTimeout(ctx, wait+grace) // a request that hangs ends, and each fact is looked at when time is up
	defer stop()
	last := time.Now().Add(wait)
	for _, f := range all {
		err := f.look(ctx)
		for err != nil && ctx.Err() == nil && time.Now().Before(last) {
			select {
			case <-ctx.Done():
			case <-time.After(lookAgain):
				err = f.look(ctx)
			}
		}
		if err != nil {
			failed++
			fmt.Fprintf(stdout, "FAILED  %s: %v\n", f.text, err)
			continue
		}
		fmt.Fprintln(stdout, "ok     ", f.text)
	}
	return failed
}

// facts are those of an installation in a namespace, in the order in which a manager makes them true.
func facts(namespace string) ([]fact, error) {
	config, err := clientconfig.GetConfig()
	if err != nil {
		return nil, err
	}
	scheme := runtime.NewScheme()
	if err := errors.Join(corev1.AddToScheme(scheme), appsv1.AddToScheme(scheme)); err != nil {
		return nil, err
	}
	c, err := client.New(config, client.Options{Scheme: scheme})
	if err != nil {
		return nil, err
	}
	var all []fact
	served := []schema.GroupVersionKind{mirrorsetv1alpha1.GroupVersion.WithKind("MirrorNode")}
	for _, kind := range kinds.All {
		served = append(served, kind.GroupVersionKind())
	}
	for _, kind := range served {
		all = append(all, fact{fmt.Sprintf("The API server serves %s (%s)", kind.Kind, kind.GroupVersion()), func(context.Context) error {
			_, err := c.RESTMapper().RESTMapping(kind.GroupKind(), kind.Version)
			return err
		}})
	}
	return append(all,
		fact{fmt.Sprintf("Every manager of Deployment %s/%s is of its latest version and available", namespace, operand.ManagerName), func(ctx context.Context) error {
			var d appsv1.Deployment
			if err := c.Get(ctx, client.ObjectKey{Namespace: namespace, Name: operand.ManagerName}, &d); err != nil {
				return err
			}
			return managersAvailable(&d)
		}},
		fact{fmt.Sprintf("The rules are published in ConfigMap %s/%s", namespace, payload.ConfigMapName), func(ctx context.Context) error {
			return c.Get(ctx, client.ObjectKey{Namespace: namespace, Name: payload.ConfigMapName}, &corev1.ConfigMap{})
		}},
		fact{fmt.Sprintf("Every agent of DaemonSet %s/%s is of its latest version and ready", namespace, operand.AgentName), func(ctx context.Context) error {
			var d appsv1.DaemonSet
			if err := c.Get(ctx, client.ObjectKey{Namespace: namespace, Name: operand.AgentName}, &d); err != nil {
				return err
			}
			return agentsReady(&d)
		}}), nil
}

// managersAvailable returns how far the managers are from being all there, of the latest version and available. Without them, the rules and
// the agents of an earlier version stay as they are.
func managersAvailable(d *appsv1.Deployment) error {
	want := int32(1)
	if d.Spec.Replicas != nil {
		want = *d.Spec.Replicas
	}
	switch s := d.Status; {
	case s.ObservedGeneration < d.Generation:
		return errors.New("the cluster has not seen its latest version yet")
	case want == 0:
		return errors.New("it has 0 replicas; scale it to 1")
	case s.UpdatedReplicas < want || s.AvailableReplicas < want:
		return fmt.Errorf("of %d managers, %d are of the latest version, and %d are available", want, s.UpdatedReplicas, s.AvailableReplicas)
	}
	return nil
}

// agentsReady returns how far the agents are from being all there, of the latest version and ready.
func agentsReady(d *appsv1.DaemonSet) error {
	switch s := d.Status; {
	case s.ObservedGeneration < d.Generation:
		return errors.New("the cluster has not seen its latest version yet")
	case s.DesiredNumberScheduled == 0:
		return errors.New("no node should have an agent; look at --agent-node-selector and --agent-tolerations of the manager")
	case !standing.Complete(d) || s.NumberReady < s.DesiredNumberScheduled:
		return fmt.Errorf("of %d nodes, %d have an agent of the latest version, and %d have one that is ready",
			s.DesiredNumberScheduled, min(s.CurrentNumberScheduled, s.UpdatedNumberScheduled), s.NumberReady)
	}
	return nil
}
