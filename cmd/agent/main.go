// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

// Command agent puts the cluster's mirror rules in force on one node.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
	"os"
	"sync"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"go.uber.org/zap/zapcore"
	"k8s.io/client-go/rest"
	"k8s.io/klog/v2"
	clientconfig "sigs.k8s.io/controller-runtime/pkg/client/config"
	runtimelog "sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"
	"sigs.k8s.io/controller-runtime/pkg/manager/signals"

	"github.com/mirrorset/mirrorset/internal/agent"
	"github.com/mirrorset/mirrorset/internal/agent/runtimes"
	"github.com/mirrorset/mirrorset/internal/scrape"
	"github.com/mirrorset/mirrorset/internal/version"
)

// rescan is slow, because changes are seen as events.
const rescan = time.Minute

func main() {
	if len(os.Args) > 1 && os.Args[1] == pullsVerb {
		os.Exit(printPulls(os.Args[2:], os.Stdin, os.Stdout, os.Stderr))
	}
	config := agent.Config{Rescan: rescan}
	flag.StringVar(&config.HostRoot, "host-root", "", "directory where the host's root directory is mounted")
	flag.StringVar(&config.NodeName, "node-name", os.Getenv("NODE_NAME"), "name of this node; the default is $NODE_NAME")
	flag.StringVar(&config.Namespace, "namespace", os.Getenv("POD_NAMESPACE"), "namespace of the manager; the default is $POD_NAMESPACE")
	flag.StringVar(&config.Manager, "manager", "", "name of the Deployment in --namespace that this agent belongs to; an agent that is stopped after the Deployment was deleted cleans the node")
	config.Sinks = runtimes.Flags(flag.CommandLine)
	metricsAddress := flag.String("metrics-bind-address", "0", "address of /metrics, served over TLS to authorized clients, or 0 for none; without a host, $HOST_IP")
	ready := flag.String("ready-file", "", "file to write when the redirector serves or has failed to start")
	flag.StringVar(&config.Socket, "socket", "", "path of a unix socket on which the agent serves the pulls that it saw to 'agent pulls'; empty for none")
	respawns := flag.Bool("respawn", false, "run the agent in a child process and restart it immediately after a crash; clients that connect to the redirector meanwhile wait instead of being refused")
	checkReady := flag.Bool("check-ready", false, "fail if the --ready-file does not exist, and exit")
	checkClean := flag.Bool("check-clean", false, "fail if the host has a registry file of Mirrorset, and exit")
	logging := zap.Options{StacktraceLevel: zapcore.DPanicLevel} // errors say what they are about
	logging.BindFlags(flag.CommandLine)
	showVersion := flag.Bool("version", false, "print the version and exit")
	flag.Parse()
	if *showVersion {
		fmt.Println("agent", version.String())
		return
	}

	if *checkReady {
		if _, err := os.Stat(*ready); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	if *checkClean {
		if err := agent.CheckClean(config.HostRoot, config.Sinks); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	config.Log = zap.New(zap.UseFlagOptions(&logging)).WithName("agent").WithValues("node", config.NodeName)
	klog.SetLogger(config.Log)
	runtimelog.SetLogger(config.Log)
	if *respawns {
		status, err := runChildren(*ready, config.Log)
		if err != nil {
			config.Log.Error(err, "The agent stops")
			status = 1
		}
		os.Exit(status)
	}
	config.Started = func() { sayReady(*ready, config.Log) }
	if err := keepFromDumps(); err != nil {
		config.Log.Error(err, "A core dump of this process would contain the logins for mirrors")
	}
	if err := run(config, *metricsAddress); err != nil {
		config.Log.Error(err, "The agent stops")
		os.Exit(1)
	}
}

// sayReady writes the file that shows others that the agent has started.
func sayReady(path string, log logr.Logger) {
	if path == "" {
		return
	}
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		log.Error(err, "Cannot write the file that shows that the agent has started")
	}
}

func run(config agent.Config, metricsAddress string) error {
	if flag.NArg() > 0 {
		return fmt.Errorf("unexpected argument %q", flag.Arg(0))
	}
	if config.HostRoot == "" || config.NodeName == "" || config.Namespace == "" {
		return errors.New("--host-root, --node-name and --namespace are required")
	}
	api, err := clientconfig.GetConfig()
	if err != nil {
		return err
	}
	if config.Clients, err = agent.NewClients(api); err != nil {
		return err
	}
	inPod, err := rest.InClusterConfig()
	config.IsInPod = err == nil && inPod.BearerTokenFile == api.BearerTokenFile
	registry := prometheus.NewRegistry()
	config.Metrics = registry
	ctx, stop := context.WithCancel(signals.SetupSignalHandler())
	var serving sync.WaitGroup
	defer serving.Wait()
	defer stop()
	if metricsAddress != "0" {
		server, err := metricsServer(metricsAddress, registry, api, config.Log)
		if err != nil {
			return fmt.Errorf("--metrics-bind-address: %w", err)
		}
		serving.Go(func() { server.Run(ctx) })
	}
	return agent.Run(ctx, config)
}

func metricsServer(address string, registry *prometheus.Registry, api *rest.Config, log logr.Logger) (*scrape.Server, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	if host == "" {
		host = os.Getenv("HOST_IP")
	}
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return scrape.New(net.JoinHostPort(host, port), registry, api, log.WithName("metrics"))
}
