// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	criv1 "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/mirrorset/mirrorset/internal/grants/onhost"
	"github.com/mirrorset/mirrorset/internal/hostfile"
	"github.com/mirrorset/mirrorset/internal/kinds"
	"github.com/mirrorset/mirrorset/internal/mirrors"
	"github.com/mirrorset/mirrorset/internal/mirrors/mirrorstest"
	"github.com/mirrorset/mirrorset/internal/payload"
	"github.com/mirrorset/mirrorset/internal/registriesconf"
	"github.com/mirrorset/mirrorset/test/enclosure"
)

// Where things are in the folder in memory.
const (
	root       = enclosure.Memory + "/node" // the agent's host
	certsDir   = root + "/etc/containerd/certs.d"
	configFile = root + "/etc/containerd/config.toml"
	kubeconfig = enclosure.Memory + "/kubeconfig"
	mirrorCert = enclosure.Memory + "/mirror.pem"
	authority  = enclosure.Memory + "/authority.pem"
	socket     = enclosure.Memory + "/containerd/containerd.sock"
	imageFile  = enclosure.Memory + "/digests" // the image's and the layer's, once the mirror is there
)

// These are what the image is named by where it is streamed: over TLS, and without. Nobody could pull it from there.
const (
	source      = "source.example"
	plainSource = "plain.example"
)

// patience is how long a program may take to come up, on a busy machine.
const patience = time.Minute

// containerdConfig has containerd as on any node, but for its place. It runs no containers here.
const containerdConfig = `version = 3
root = "` + enclosure.Memory + `/containerd-root"
disabled_plugins = ["io.containerd.internal.v1.opt", "io.containerd.nri.v1.nri"]
[plugins."io.containerd.cri.v1.images".registry]
  config_path = "` + certsDir + `"
[plugins."io.containerd.cri.v1.runtime"]
  restrict_oom_score_adj = true # for machines without CAP_SYS_RESOURCE
`

// noAPIServer is a cluster that is away, so that the agent begins with what an earlier one left.
const noAPIServer = `{"apiVersion": "v1", "kind": "Config", "current-context": "x",
"clusters": [{"name": "x", "cluster": {"server": "https://127.0.0.1:1"}}], "contexts": [{"name": "x", "context": {"cluster": "x"}}]}`

// node is a machine that pulls, and the mirror that it pulls from.
type node struct {
	programs map[string]*program
	images   criv1.ImageServiceClient // nil without containerd
	digest   string
	layer    string // the digest of that
}

// startNode starts all programs, and returns when an image can be pulled either way.
func startNode(ctx context.Context, o options) (*node, error) {
	n := &node{programs: make(map[string]*program)}
	if err := writeFiles(); err != nil {
		return nil, err
	}
	commands := map[string][]string{
		registryName: {"/proc/self/exe", registryName, mirrorCert, strconv.FormatInt(o.layer, 10)},
		"agent":      {o.bin + "/agent", "--host-root", root, "--node-name", "bench", "--namespace", "bench", "--containerd-certs-dir", certsDir},
	}
	if o.containerd {
		commands["containerd"] = []string{o.bin + "/k8s/containerd", "--config", configFile}
	}
	for name, command := range commands {
		p, err := start(name, command)
		if err != nil {
			return nil, err
		}
		n.programs[name] = p
	}
	if o.containerd {
		if err := n.awaitContainerd(ctx); err != nil {
			return nil, err
		}
	}
	return n, errors.Join(
		n.await(ctx, "agent", func() error {
			_, err := os.Stat(hostsFile(source))
			return err
		}),
		n.await(ctx, registryName, func() error {
			text, err := os.ReadFile(imageFile)
			if err != nil {
				return err
			}
			n.digest, n.layer, _ = strings.Cut(string(text), " ")
			connection, err := net.Dial("tcp", mirrorHost)
			if err != nil {
				return err
			}
			return connection.Close()
		}))
}

// awaitContainerd waits until containerd answers.
func (n *node) awaitContainerd(ctx context.Context) error {
	connection, err := grpc.NewClient("unix://"+socket, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return err
	}
	n.images = criv1.NewImageServiceClient(connection)
	return n.await(ctx, "containerd", func() error {
		_, err := n.images.ListImages(ctx, &criv1.ListImagesRequest{})
		return err
	})
}

// hostsFile is what containerd reads of a registry.
func hostsFile(registry string) string { return filepath.Join(certsDir, registry, "hosts.toml") }

// writeFiles writes what an administrator gives containerd for a mirror, and what an agent has left on the node.
func writeFiles() error {
	certificate, key, err := newCertificate()
	if err != nil {
		return err
	}
	sets, err := mirrorstest.Parse("bench: " + source + " -> " + mirrorHost + "/copy [Never]\nbench: " + plainSource + " -> " + plainHost + "/copy [Never]")
	if err != nil {
		return err
	}
	text, err := registriesconf.Encode(kinds.Merge(sets, []mirrors.Scope{plainHost}).Rules)
	if err != nil {
		return err
	}
	state, err := payload.New(time.Now().UnixMilli(), text).Marshal()
	if err != nil {
		return err
	}
	failed := []error{}
	for name, text := range map[string]string{
		mirrorCert: string(certificate) + string(key), authority: string(certificate), kubeconfig: noAPIServer, configFile: containerdConfig,
		hostsFile(mirrorHost):         fmt.Sprintf("[host.\"https://%s\"]\nca = %q\n", mirrorHost, authority),
		root + "/" + payload.HostPath: string(state),
	} {
		failed = append(failed, os.MkdirAll(filepath.Dir(name), 0o755), os.WriteFile(name, []byte(text), 0o600))
	}
	host, err := hostfile.Open(root)
	if err != nil {
		return err
	}
	login := base64.StdEncoding.EncodeToString([]byte(user + ":" + password))
	_, err = onhost.At(host).WriteLogins(fmt.Appendf(nil, `{"auths": {%q: {"auth": %q}}}`, mirrorHost, login))
	failed = append(failed, err)
	_, _, err = onhost.At(host).WriteAuthority(mirrorHost, certificate)
	return errors.Join(append(failed, err, host.Close())...)
}

// newCertificate returns one of the mirror that is its own authority, and its key.
func newCertificate() (certificate, key []byte, err error) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "bench"}, IPAddresses: []net.IP{net.ParseIP(mirrorIP)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	signed, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		return nil, nil, err
	}
	der, err := x509.MarshalECPrivateKey(private)
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: signed}), pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der}), err
}

// pull pulls the image and says how long that took. Then it is removed with all its content.
func (n *node) pull(ctx context.Context, repository string, login *criv1.AuthConfig) (time.Duration, error) {
	image := &criv1.ImageSpec{Image: repository + "@" + n.digest}
	started := time.Now()
	if _, err := n.images.PullImage(ctx, &criv1.PullImageRequest{Image: image, Auth: login}); err != nil {
		return 0, fmt.Errorf("%w\n%s", err, n.logs())
	}
	took := time.Since(started)
	_, err := n.images.RemoveImage(ctx, &criv1.RemoveImageRequest{Image: image})
	return took, err
}
