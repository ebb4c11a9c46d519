// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"strings"
	"time"

	"github.com/mirrorset/mirrorset/internal/redirect"
)

// ownTLSDir has a folder a registry, with certificates by their names as in Docker's folders. CRI-O and Podman look here.
const ownTLSDir = "etc/containers/certs.d"

// maxCertificates bounds a file of certificates or keys, in bytes.
const maxCertificates = 1 << 20

// redirector is the one of this process.
type redirector struct {
	server    *redirect.Server
	listening *redirect.Listening // nil while it does not
	failed    error               // why it does not
}

// listen has the redirector serve, unless there is no containerd's folder that could lead to it.
func (n *node) listen(ctx context.Context) {
	defer func() { n.metrics.setRedirectorUp(n.listening != nil) }()
	if n.listening != nil {
		select {
		case err := <-n.listening.Ended():
			n.log.Error(err, "The redirector ended and is started again")
			n.listening = nil
		default:
			return
		}
	}
	if _, err := fs.Stat(n.host.FS(), certsDir); err != nil {
		return
	}
	n.listening, n.failed = n.server.Listen(ctx)
}

func (n *node) closeRedirector() error {
	if n.listening == nil {
		return nil
	}
	return n.listening.Close()
}

// lock waits until this is the only agent on the host that writes. Until then it follows what the other one accepts, so that
// both redirectors answer the same.
func (n *node) lock(ctx context.Context) (unlock func() error, err error) {
	waiting, stop := context.WithCancel(ctx)
	followed := make(chan struct{})
	go func() {
		defer close(followed)
		n.follow(waiting)
	}()
	unlock, err = n.host.Lock(ctx, lockPath)
	stop()
	<-followed
	if err == nil {
		n.log.Info("This is the agent that writes on this host")
		n.restore() // what the other one did at last
	}
	return unlock, err
}

// followPoll is how often the state of another agent is looked at.
const followPoll = 50 * time.Millisecond

func (n *node) follow(ctx context.Context) {
	last, _ := n.host.Lstat(statePath) // where there is none yet, any other is a change
	ticker := time.NewTicker(followPoll)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			now, err := n.host.Lstat(statePath)
			if err == nil && (last == nil || !sameState(last, now)) {
				n.restore()
				last = now
			}
		}
	}
}

// sameState tells whether a file was not replaced. Its number alone does not tell, because a new file may get that of one
// that was removed.
func sameState(a, b fs.FileInfo) bool {
	return os.SameFile(a, b) && a.ModTime().Equal(b.ModTime()) && a.Size() == b.Size()
}

// hasOwnTLS tells whether the host has TLS settings for a registry where CRI-O looks for them.
func (n *node) hasOwnTLS(registry string) bool {
	names := n.ownTLSFiles(registry)
	return len(names) > 0
}

func (n *node) ownTLSFiles(registry string) (names []string) {
	entries, err := readDir(n.host.FS(), follow(n.host.FS(), path.Join(ownTLSDir, registry)))
	if err != nil {
		return nil
	}
	for _, entry := range entries {
		if strings.HasSuffix(entry.Name(), ".crt") || strings.HasSuffix(entry.Name(), ".cert") {
			names = append(names, entry.Name())
		}
	}
	return names
}

// ownTLS returns these settings; nil where there are none.
func (n *node) ownTLS(registry string) (*tls.Config, error) {
	names := n.ownTLSFiles(registry)
	if len(names) == 0 {
		return nil, nil
	}
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	folder := follow(n.host.FS(), path.Join(ownTLSDir, registry))
	read := func(name string) ([]byte, error) {
		return n.host.ReadRegular(follow(n.host.FS(), path.Join(folder, name)), maxCertificates)
	}
	for _, name := range names {
		content, err := read(name)
		if err != nil {
			return nil, err
		}
		base, isClient := strings.CutSuffix(name, ".cert")
		if !isClient {
			if config.RootCAs == nil {
				if config.RootCAs, err = x509.SystemCertPool(); err != nil {
					return nil, err
				}
			}
			if !config.RootCAs.AppendCertsFromPEM(content) {
				return nil, fmt.Errorf("/%s has no certificate", path.Join(folder, name))
			}
			continue
		}
		key, err := read(base + ".key")
		if errors.Is(err, fs.ErrNotExist) {
			key, err = content, nil
		}
		if err != nil {
			return nil, err
		}
		pair, err := tls.X509KeyPair(content, key)
		if err != nil {
			return nil, fmt.Errorf("/%s: %w", path.Join(folder, name), err)
		}
		config.Certificates = append(config.Certificates, pair)
	}
	return config, nil
}
