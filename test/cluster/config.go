// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package cluster

import (
	"embed"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"text/template"
)

// The parts, by the names of their programs.
const (
	etcd              = "etcd"
	apiServer         = "kube-apiserver"
	controllerManager = "kube-controller-manager"
	scheduler         = "kube-scheduler"
	containerd        = "containerd"
	kubelet           = "kubelet"
)

var allPrograms = []string{
	etcd, apiServer, controllerManager, scheduler, containerd, kubelet,
	"kubectl", "ctr", "containerd-shim-runc-v2", "runc", "ptp", "host-local", "loopback",
}

//go:embed config
var configs embed.FS

// configFiles is where the files in config go, on the node or else below the folder.
var configFiles = map[string]string{
	"audit.yaml":      "conf/audit.yaml",
	"containerd.toml": "root/etc/containerd/config.toml",
	"containers.conf": "root/etc/containers/containers.conf",
	"kubelet.yaml":    "conf/kubelet.yaml",
	"policy.json":     "root/etc/containers/policy.json",
	"ptp.conflist":    "root/etc/cni/net.d/10-ptp.conflist",
	"resolv.conf":     "conf/resolv.conf",
	"storage.conf":    "root/etc/containers/storage.conf",
}

// values are what differs from cluster to cluster.
type values struct {
	Name       string // of the link
	Cgroup     string
	Dir        string
	Programs   string
	IP         string
	Services   string // the subnet of services
	PodSubnet  string
	Port       int // of the API server on 127.0.0.1
	EtcdPort   int
	PauseImage string
}

func (v values) server() string { return fmt.Sprintf("https://127.0.0.1:%d", v.Port) }

// configure writes certificates, kubeconfigs and the files in config.
func (c *Cluster) configure() (err error) {
	slot := c.node.slot
	c.values = values{
		Name: linkName(slot), Cgroup: c.node.cgroup, Dir: c.options.Dir, Programs: c.options.Programs, IP: nodeIP(slot), PauseImage: PauseImage,
		Services: fmt.Sprintf("198.18.%d.0/24", slot), PodSubnet: fmt.Sprintf("198.19.%d.0/24", slot),
	}
	ports, err := freePorts(2)
	if err != nil {
		return err
	}
	c.values.Port, c.values.EtcdPort = ports[0], ports[1]
	if c.ca, err = newAuthority(c.path("pki")); err != nil {
		return err
	}
	certificate, key, err := c.ca.client("kube-apiserver", "system:masters")
	if err != nil {
		return err
	}
	err = errors.Join(
		c.ca.write("kubelet-client.crt", certificate), c.ca.write("kubelet-client.key", key),
		c.ca.serving("apiserver", []string{"127.0.0.1", c.values.IP}, "localhost", "kubernetes.default.svc", "kubernetes.default", "kubernetes"),
		c.ca.serving("kubelet", []string{c.values.IP}, NodeName),
		c.ca.kubeconfig(c.Kubeconfig, c.values.server(), "admin", "system:masters"),
		c.ca.kubeconfig(c.path("conf", controllerManager), c.values.server(), "system:kube-controller-manager"),
		c.ca.kubeconfig(c.path("conf", scheduler), c.values.server(), "system:kube-scheduler"),
		c.ca.kubeconfig(c.path("conf", kubelet), c.values.server(), "system:node:"+NodeName, "system:nodes"),
		c.writeConfigs(), c.loadConfig(),
	)
	return err
}

func (c *Cluster) path(elements ...string) string {
	return filepath.Join(c.options.Dir, filepath.Join(elements...))
}

func (c *Cluster) writeConfigs() error {
	templates, err := template.ParseFS(configs, "config/*")
	if err != nil {
		return err
	}
	for name, path := range configFiles {
		if err := os.MkdirAll(filepath.Dir(c.path(path)), 0o755); err != nil {
			return err
		}
		file, err := os.Create(c.path(path))
		if err != nil {
			return err
		}
		if err := errors.Join(templates.ExecuteTemplate(file, name, c.values), file.Close()); err != nil {
			return err
		}
	}
	return os.MkdirAll(c.Path("/etc/containerd/certs.d"), 0o755)
}

// freePorts returns ports of 127.0.0.1 that nothing listens on.
func freePorts(n int) (ports []int, err error) {
	for range n {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		defer func() { _ = listener.Close() }() // only after all have been found, so that they differ
		ports = append(ports, listener.Addr().(*net.TCPAddr).Port)
	}
	return ports, nil
}

// arguments returns those of each part.
func (c *Cluster) arguments() map[string][]string {
	etcdURL := fmt.Sprintf("http://127.0.0.1:%d", c.values.EtcdPort)
	return map[string][]string{
		etcd: {
			"--data-dir=" + c.path("etcd"), "--unsafe-no-fsync", "--listen-client-urls=" + etcdURL, "--advertise-client-urls=" + etcdURL,
			"--listen-peer-urls=http://127.0.0.1:0",
		},
		apiServer: {
			"--etcd-servers=" + etcdURL, "--bind-address=127.0.0.1", fmt.Sprint("--secure-port=", c.values.Port),
			"--advertise-address=" + c.values.IP, "--endpoint-reconciler-type=none", "--service-cluster-ip-range=" + c.values.Services,
			"--authorization-mode=Node,RBAC", "--enable-admission-plugins=NodeRestriction", "--allow-privileged",
			"--client-ca-file=" + c.ca.path("ca.crt"),
			"--tls-cert-file=" + c.ca.path("apiserver.crt"), "--tls-private-key-file=" + c.ca.path("apiserver.key"),
			"--service-account-issuer=https://kubernetes.default.svc",
			"--service-account-key-file=" + c.ca.path("sa.key"), "--service-account-signing-key-file=" + c.ca.path("sa.key"),
			"--kubelet-certificate-authority=" + c.ca.path("ca.crt"),
			"--kubelet-client-certificate=" + c.ca.path("kubelet-client.crt"), "--kubelet-client-key=" + c.ca.path("kubelet-client.key"),
			"--kubelet-preferred-address-types=InternalIP",
			"--audit-policy-file=" + c.path("conf", "audit.yaml"), "--audit-log-path=" + c.AuditLog(),
		},
		controllerManager: {
			"--kubeconfig=" + c.path("conf", controllerManager), "--leader-elect=false", "--secure-port=0", "--node-monitor-period=1s",
			"--kube-api-qps=500", "--kube-api-burst=1000",
			"--use-service-account-credentials", "--root-ca-file=" + c.ca.path("ca.crt"),
			"--service-account-private-key-file=" + c.ca.path("sa.key"),
		},
		scheduler:  {"--kubeconfig=" + c.path("conf", scheduler), "--leader-elect=false", "--secure-port=0"},
		containerd: {"--config=/etc/containerd/config.toml"},
		kubelet: {
			"--config=" + c.path("conf", "kubelet.yaml"), "--kubeconfig=" + c.path("conf", kubelet),
			"--hostname-override=" + NodeName, "--node-ip=" + c.values.IP,
		},
	}
}
