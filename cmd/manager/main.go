// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

// Command manager publishes what all ImageDigestMirrorSets of the cluster say, for the agents on the nodes.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"

	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/healthz"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"
	"sigs.k8s.io/controller-runtime/pkg/metrics/filters"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	configv1 "github.com/mirrorset/mirrorset/api/config/v1"
	"github.com/mirrorset/mirrorset/internal/controller"
	"github.com/mirrorset/mirrorset/internal/mirrors"
	"github.com/mirrorset/mirrorset/internal/payload"
)

type settings struct {
	namespace      string
	insecure       []string
	leaderElect    bool
	probeAddress   string
	metricsAddress string
}

func main() {
	var s settings
	flag.StringVar(&s.namespace, "namespace", os.Getenv("POD_NAMESPACE"), "namespace of the ConfigMap and the lease; the default is $POD_NAMESPACE")
	flag.Func("insecure-registry", "scope (host[:port][/path] or *.host) that nodes reach without TLS checks; may be repeated", func(scope string) error {
		s.insecure = append(s.insecure, scope)
		return nil
	})
	flag.BoolVar(&s.leaderElect, "leader-elect", true, "do nothing while another manager of this namespace holds the lease")
	flag.StringVar(&s.probeAddress, "health-probe-bind-address", ":8081", "address of /healthz and /readyz; 0 for none")
	flag.StringVar(&s.metricsAddress, "metrics-bind-address", ":8443", "address of /metrics, which is served over TLS to those who may get it; 0 for none")
	logging := zap.Options{}
	logging.BindFlags(flag.CommandLine)
	flag.Parse()

	log := zap.New(zap.UseFlagOptions(&logging))
	ctrl.SetLogger(log)
	if err := run(s); err != nil {
		log.Error(err, "The manager ends")
		os.Exit(1)
	}
}

func run(s settings) error {
	if s.namespace == "" {
		return errors.New("--namespace is required")
	}
	insecure, err := mirrors.ParseScopes(s.insecure)
	if err != nil {
		return fmt.Errorf("--insecure-registry: %w", err)
	}
	rest, err := ctrl.GetConfig()
	if err != nil {
		return err
	}
	options, err := s.options()
	if err != nil {
		return err
	}
	mgr, err := ctrl.NewManager(rest, options)
	if err != nil {
		return err
	}
	publisher := &controller.Publisher{Client: mgr.GetClient(), Live: mgr.GetAPIReader(), Namespace: s.namespace, Insecure: insecure}
	err = errors.Join(
		publisher.SetupWithManager(mgr),
		mgr.AddHealthzCheck("healthz", healthz.Ping),
		mgr.AddReadyzCheck("readyz", healthz.Ping))
	if err != nil {
		return err
	}
	return mgr.Start(ctrl.SetupSignalHandler())
}

func (s settings) options() (ctrl.Options, error) {
	scheme := runtime.NewScheme()
	err := errors.Join(corev1.AddToScheme(scheme), apiextensionsv1.AddToScheme(scheme), configv1.AddToScheme(scheme))
	return ctrl.Options{
		Scheme:                        scheme,
		LeaderElection:                s.leaderElect,
		LeaderElectionID:              "mirrorset-manager",
		LeaderElectionNamespace:       s.namespace,
		LeaderElectionReleaseOnCancel: true,
		HealthProbeBindAddress:        s.probeAddress,
		Metrics: metricsserver.Options{
			BindAddress:    s.metricsAddress,
			SecureServing:  true,
			FilterProvider: filters.WithAuthenticationAndAuthorization,
		},
		// Only these objects may be read, and no others of their kinds are needed.
		Cache: cache.Options{ByObject: map[client.Object]cache.ByObject{
			&corev1.ConfigMap{}: {
				Namespaces: map[string]cache.Config{s.namespace: {}},
				Field:      fields.OneTermEqualSelector("metadata.name", payload.ConfigMapName),
			},
			&apiextensionsv1.CustomResourceDefinition{}: {
				Field: fields.OneTermEqualSelector("metadata.name", controller.CRDName),
			},
		}},
	}, err
}
