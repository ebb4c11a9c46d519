// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package cluster

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"

	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

// authority signs the certificates of one cluster.
type authority struct {
	folder string // where it and what it signs is written
	cert   *x509.Certificate
	key    *ecdsa.PrivateKey
}

func newAuthority(folder string) (*authority, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	a := &authority{folder: folder, key: key}
	a.cert = newCertificate(pkix.Name{CommonName: "mirrorset-test"})
	a.cert.IsCA, a.cert.BasicConstraintsValid = true, true
	a.cert.KeyUsage = x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature
	der, err := x509.CreateCertificate(rand.Reader, a.cert, a.cert, key.Public(), key)
	if err != nil {
		return nil, err
	}
	if a.cert, err = x509.ParseCertificate(der); err != nil {
		return nil, err
	}
	_, serviceAccounts, err := encodedKey()
	if err != nil {
		return nil, err
	}
	return a, errors.Join(os.MkdirAll(folder, 0o700), a.write("ca.crt", encoded(der)), a.write("sa.key", serviceAccounts))
}

func newCertificate(subject pkix.Name) *x509.Certificate {
	return &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()),
		Subject:      subject,
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().Add(365 * 24 * time.Hour),
		KeyUsage:     x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment,
	}
}

func encoded(der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

func encodedKey() (*ecdsa.PrivateKey, []byte, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	der, err := x509.MarshalECPrivateKey(key)
	return key, pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der}), err
}

func (a *authority) path(name string) string { return filepath.Join(a.folder, name) }

func (a *authority) write(name string, content []byte) error {
	return os.WriteFile(a.path(name), content, 0o600)
}

// sign returns a certificate and its key.
func (a *authority) sign(cert *x509.Certificate) (certificate, privateKey []byte, err error) {
	key, privateKey, err := encodedKey()
	if err != nil {
		return nil, nil, err
	}
	der, err := x509.CreateCertificate(rand.Reader, cert, a.cert, key.Public(), a.key)
	return encoded(der), privateKey, err
}

// server returns a certificate of a server on these addresses, and its key.
func (a *authority) server(name string, addresses []string, names ...string) (certificate, key []byte, err error) {
	cert := newCertificate(pkix.Name{CommonName: name})
	cert.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	cert.DNSNames = names
	for _, address := range addresses {
		cert.IPAddresses = append(cert.IPAddresses, net.ParseIP(address))
	}
	return a.sign(cert)
}

// serving writes NAME.crt and NAME.key for such a server.
func (a *authority) serving(name string, addresses []string, names ...string) error {
	certificate, key, err := a.server(name, addresses, names...)
	return errors.Join(err, a.write(name+".crt", certificate), a.write(name+".key", key))
}

// client returns a certificate of a user, and its key.
func (a *authority) client(user string, groups ...string) (certificate, key []byte, err error) {
	cert := newCertificate(pkix.Name{CommonName: user, Organization: groups})
	cert.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	return a.sign(cert)
}

// kubeconfig writes a kubeconfig of a user.
func (a *authority) kubeconfig(file, server, user string, groups ...string) error {
	certificate, key, err := a.client(user, groups...)
	if err != nil {
		return err
	}
	const name = "mirrorset"
	return clientcmd.WriteToFile(clientcmdapi.Config{
		Clusters:       map[string]*clientcmdapi.Cluster{name: {Server: server, CertificateAuthorityData: encoded(a.cert.Raw)}},
		AuthInfos:      map[string]*clientcmdapi.AuthInfo{name: {ClientCertificateData: certificate, ClientKeyData: key}},
		Contexts:       map[string]*clientcmdapi.Context{name: {Cluster: name, AuthInfo: name}},
		CurrentContext: name,
	}, file)
}
