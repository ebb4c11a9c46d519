// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

// Command manager publishes what all ImageDigestMirrorSets of the cluster say, for the agents on the nodes.
package main

import (
	"errors"
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap/zapcore"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/fields"
	k8slabels "k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/healthz"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"
	"sigs.k8s.io/controller-runtime/pkg/metrics"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	configv1 "github.com/mirrorset/mirrorset/api/config/v1"
	mirrorsetv1alpha1 "github.com/mirrorset/mirrorset/api/mirrorset/v1alpha1"
	"github.com/mirrorset/mirrorset/internal/controller"
	"github.com/mirrorset/mirrorset/internal/controller/fleet"
	"github.com/mirrorset/mirrorset/internal/controller/operand"
	"github.com/mirrorset/mirrorset/internal/controller/records"
	"github.com/mirrorset/mirrorset/internal/mirrors"
	"github.com/mirrorset/mirrorset/internal/payload"
	"github.com/mirrorset/mirrorset/internal/rewatch"
	"github.com/mirrorset/mirrorset/internal/scrape"
	"github.com/mirrorset/mirrorset/internal/version"
)

type settings struct {
	namespace      string
	insecure       mirrors.Scopes
	leaderElect    bool
	probeAddress   string
	metricsAddress string
	agent          operand.AgentSettings
	canaries       k8slabels.Selector // nil where each change goes to all nodes at the same time
	soak           time.Duration
}

func main() {
	if len(os.Args) > 1 && os.Args[1] == checkVerb {
		os.Exit(checkInstallation(os.Args[2:], os.Stdout, os.Stderr))
	}
	var s settings
	s.flags(flag.CommandLine)
	logging := zap.Options{StacktraceLevel: zapcore.DPanicLevel} // errors say what they are about
	logging.BindFlags(flag.CommandLine)
	showVersion := flag.Bool("version", false, "print the version and exit")
	flag.Usage = func() {
		if !slices.ContainsFunc(os.Args[1:], asksForHelp) {
			fmt.Fprintln(os.Stderr, "Run manager --help to see every flag.") // the list would hide the error above it
			return
		}
		fmt.Fprintln(os.Stderr, "Usage of manager. A flag that is not given is read from the environment, for example -containerd-certs-dir from MIRRORSET_CONTAINERD_CERTS_DIR.")
		flag.PrintDefaults()
	}
	flag.Parse()
	if *showVersion {
		fmt.Println("manager", version.String())
		return
	}

	err := fromEnvironment(flag.CommandLine, os.Environ())
	log := zap.New(zap.UseFlagOptions(&logging))
	ctrl.SetLogger(log)
	if err == nil {
		err = s.check()
	}
	if err == nil {
		err = run(s)
	}
	if err != nil {
		log.Error(err, "The manager stops")
		os.Exit(1)
	}
}

// asksForHelp reports whether an argument asks for the list of flags.
func asksForHelp(argument string) bool {
	return slices.Contains([]string{"-h", "-help", "--h", "--help"}, argument)
}

// flags adds all settings, with their defaults.
func (s *settings) flags(on *flag.FlagSet) {
	s.probeAddress, s.metricsAddress = ":8081", ":8443"
	on.StringVar(&s.namespace, "namespace", os.Getenv("POD_NAMESPACE"), "namespace of the ConfigMap and the lease; the default is $POD_NAMESPACE")
	on.Func("insecure-registry", "scopes (host[:port][/path] or *.host), separated by commas, that nodes contact without TLS checks; may be repeated", func(text string) error {
		scopes, err := mirrors.ParseScopes(strings.Split(text, ","))
		s.insecure = append(s.insecure, scopes...)
		return err
	})
	on.BoolVar(&s.leaderElect, "leader-elect", true, "do nothing while another manager of this namespace holds the lease")
	on.Func("health-probe-bind-address", "address of /healthz and /readyz, or 0 for none; the default is :8081", address(&s.probeAddress))
	on.Func("metrics-bind-address", "address of /metrics, served over TLS to authorized clients, or 0 for none; the default is :8443", address(&s.metricsAddress))
	s.canaryFlags(on)
	s.agentFlags(on)
}

// agentFlags adds the settings of the agents' DaemonSet.
func (s *settings) agentFlags(on *flag.FlagSet) {
	s.agent.Image = os.Getenv("RELATED_IMAGE_AGENT")
	s.agent.RedirectorPort, s.agent.MetricsAddress = 289, "0"
	s.agent.ContainersDir, s.agent.CertsDir, s.agent.ContainerdConfig = "/etc/containers", "/etc/containerd/certs.d", "/etc/containerd/config.toml"
	s.agent.Tolerations = []corev1.Toleration{{Operator: corev1.TolerationOpExists}}
	on.Func("containers-dir", "folder of registries.conf.d on the nodes; the default is /etc/containers", absolute(&s.agent.ContainersDir))
	on.Func("containerd-certs-dir", "folder on the nodes that containerd's config_path names; the default is /etc/containerd/certs.d", absolute(&s.agent.CertsDir))
	on.Func("containerd-config", "containerd's configuration file on the nodes, which agents read to check if containerd follows; the default is /etc/containerd/config.toml", absolute(&s.agent.ContainerdConfig))
	on.Func("redirector-port", "port of 127.0.0.1 on which the redirector serves containerd on each node; the default is 289. Use a port below 1024, so that no unprivileged process can take it", func(text string) error {
		port, err := strconv.ParseUint(text, 10, 16)
		if err != nil || port == 0 {
			return errors.New("want a port, from 1 to 65535")
		}
		s.agent.RedirectorPort = int(port)
		return nil
	})
	on.BoolVar(&s.agent.AllowDefaultHost, "allow-default-host", false, "put blocked wildcards in force for containerd; then every registry without a folder of its own depends on the redirector")
	on.BoolVar(&s.agent.ReloadCRIO, "crio-reload", false, "make CRI-O reload its configuration after each change, for CRI-O that does not reload by itself; the agents then join the host's PID namespace")
	on.Func("agent-metrics-bind-address", "address of each agent's /metrics, served over TLS to authorized clients, or 0 for none, which is the default. An address without a host, as in :290, means the node's own address. "+
		"Requires the rights that config/prometheus grants to the agents", address(&s.agent.MetricsAddress))
	on.Func("agent-node-selector", "labels of the nodes that get an agent, as key=value,...; the default is every Linux node without mirrorset.io/agent=disabled", func(text string) (err error) {
		if s.agent.NodeSelector, err = k8slabels.ConvertSelectorToLabelsMap(text); err != nil {
			err = fmt.Errorf("want key=value,...: %w", err)
		}
		return err
	})
	on.Func("agent-tolerations", "tolerations of the agents, as a JSON list; the default tolerates every taint", func(text string) error {
		s.agent.Tolerations = nil
		return structured(text, &s.agent.Tolerations, `a list as [{"key": "k", "operator": "Exists"}]`)
	})
	s.podFlags(on)
}

// address returns what sets one to listen on.
func address(of *string) func(string) error {
	return func(text string) error {
		_, port, err := net.SplitHostPort(text)
		if err == nil {
			_, err = strconv.ParseUint(port, 10, 16)
		}
		if err != nil && text != "0" {
			return fmt.Errorf("want host:port, :port or 0: %w", err)
		}
		*of = text
		return nil
	}
}

// absolute returns what sets a path on the nodes, which the API server takes without .. only, and nobody could find by another folder.
func absolute(of *string) func(string) error {
	return func(text string) error {
		if !path.IsAbs(text) || slices.Contains(strings.Split(text, "/"), "..") {
			return errors.New("want an absolute path, and no .. in it")
		}
		*of = text
		return nil
	}
}

func run(s settings) error {
	if flag.NArg() > 0 {
		return fmt.Errorf("unexpected argument %q", flag.Arg(0))
	}
	if s.namespace == "" {
		return errors.New("--namespace is required")
	}
	for _, name := range []string{"HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy"} {
		if value := os.Getenv(name); value != "" { // OLM sets them where a cluster has a proxy
			s.agent.Proxy = append(s.agent.Proxy, corev1.EnvVar{Name: name, Value: value})
		}
	}
	config, err := ctrl.GetConfig()
	if err != nil {
		return err
	}
	options, err := s.options()
	if err != nil {
		return err
	}
	var direct client.WithWatch // the manager's client, as it can be intercepted
	options.NewClient = func(config *rest.Config, options client.Options) (_ client.Client, err error) {
		direct, err = client.NewWithWatch(config, options)
		return direct, err
	}
	mgr, err := ctrl.NewManager(config, options)
	if err != nil {
		return err
	}
	board := &controller.Board{}
	measured := controller.NewMetrics(board, mgr.GetClient(), s.agent)
	writer := measured.Counting(direct)
	events := &controller.Events{Recorder: mgr.GetEventRecorder("mirrorset-manager")}
	recorder := func() *records.Recorder { // each is for one goroutine
		return &records.Recorder{Client: writer, Live: mgr.GetAPIReader(), Namespace: s.namespace}
	}
	publisher := &controller.Publisher{
		Client: writer, Live: mgr.GetAPIReader(), Namespace: s.namespace, Insecure: s.insecure, Canaries: s.canaries, Soak: s.soak, Settings: s.agent,
		Records: recorder(), Board: board, Metrics: measured,
	}
	recording := &records.Keeper{Board: board, Recorder: recorder()}
	foundation := &operand.Foundation{Client: writer, Live: mgr.GetAPIReader(), Namespace: s.namespace}
	admission := &operand.Admission{Live: mgr.GetAPIReader(), Namespace: s.namespace, Tell: events.OfRefusal, Elected: mgr.Elected()}
	agents := &operand.Operand{Client: writer, Live: mgr.GetAPIReader(), Namespace: s.namespace, Settings: s.agent, Foundation: foundation, Admission: admission}
	keeper := &fleet.Keeper{Client: writer, Board: board, Settings: s.agent, Namespace: s.namespace, Told: []handler.EventHandler{events.OfNodes(), measured.OfNodes()}}
	status := &controller.StatusWriter{Client: writer, Board: board, Settings: s.agent, Events: events}
	err = errors.Join(
		publisher.SetupWithManager(mgr),
		agents.SetupWithManager(mgr),
		keeper.SetupWithManager(mgr),
		status.SetupWithManager(mgr),
		recording.SetupWithManager(mgr),
		metrics.Registry.Register(buildInfo()),
		metrics.Registry.Register(measured),
		mgr.AddHealthzCheck("healthz", healthz.Ping),
		mgr.Add(admission),
		mgr.AddReadyzCheck("agents", admission.Ready))
	if err != nil {
		return err
	}
	return mgr.Start(ctrl.SetupSignalHandler())
}

func (s settings) options() (ctrl.Options, error) {
	scheme := runtime.NewScheme()
	err := errors.Join(corev1.AddToScheme(scheme), appsv1.AddToScheme(scheme), apiextensionsv1.AddToScheme(scheme), configv1.AddToScheme(scheme), mirrorsetv1alpha1.AddToScheme(scheme))
	return ctrl.Options{
		Scheme:                        scheme,
		LeaderElection:                s.leaderElect,
		LeaderElectionID:              "mirrorset-manager",
		LeaderElectionNamespace:       s.namespace,
		LeaderElectionReleaseOnCancel: true,
		HealthProbeBindAddress:        s.probeAddress,
		Metrics: metricsserver.Options{
			BindAddress:   s.metricsAddress,
			SecureServing: true,
			FilterProvider: func(api *rest.Config, _ *http.Client) (metricsserver.Filter, error) {
				return func(log logr.Logger, next http.Handler) (http.Handler, error) { return scrape.Guard(api, log, next) }, nil
			},
		},
		// Only these objects may be read, and no others of their kinds are needed.
		Cache: cache.Options{NewInformer: rewatch.NewInformer, DefaultTransform: controller.Slim, ByObject: map[client.Object]cache.ByObject{
			&corev1.ConfigMap{}: {
				Namespaces: map[string]cache.Config{s.namespace: {}},
				Field:      fields.OneTermEqualSelector("metadata.name", payload.ConfigMapName),
			},
			&appsv1.Deployment{}: {
				Namespaces: map[string]cache.Config{s.namespace: {}},
				Field:      fields.OneTermEqualSelector("metadata.name", operand.ManagerName),
			},
			&appsv1.DaemonSet{}: {
				Namespaces: map[string]cache.Config{s.namespace: {}},
				Field:      fields.OneTermEqualSelector("metadata.name", operand.AgentName),
			},
			&corev1.Node{}: {Transform: fleet.Slim},
		}},
	}, err
}

// buildInfo is the metric that tells which build this is.
func buildInfo() prometheus.Collector {
	return prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name:        "mirrorset_build_info",
		Help:        "Always 1; the labels identify the build of the manager.",
		ConstLabels: prometheus.Labels{"version": version.Version, "commit": version.Commit},
	}, func() float64 { return 1 })
}
