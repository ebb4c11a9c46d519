// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package sinktest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"math/big"
	"net"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/mirrorset/mirrorset/internal/grants"
)

// Credentials is a Secret of logins, each NAME:PASSWORD by its key.
func Credentials(t testing.TB, logins map[string]string) *corev1.Secret {
	t.Helper()
	auths := make(map[string]any, len(logins))
	for key, login := range logins {
		auths[key] = map[string]string{"auth": base64.StdEncoding.EncodeToString([]byte(login))}
	}
	text, err := json.Marshal(map[string]any{"auths": auths})
	if err != nil {
		t.Fatal(err)
	}
	return &corev1.Secret{Type: corev1.SecretTypeDockerConfigJson, Data: map[string][]byte{corev1.DockerConfigJsonKey: text}}
}

// Grants are these logins, each NAME:PASSWORD, and certificates in PEM by their registries, as HOST or HOST..PORT.
func Grants(t testing.TB, logins, authorities map[string]string) grants.Grants {
	t.Helper()
	granted, problems := grants.Read(Credentials(t, logins), &corev1.ConfigMap{Data: authorities}, grants.Grants{}, time.Now())
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	return granted
}

// Authority returns the certificate of a new authority in PEM, and one that it signed for a server at 127.0.0.1.
func Authority(t testing.TB, until time.Time) (authority string, server tls.Certificate) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	ca := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "house CA"}, NotBefore: time.Unix(0, 0), NotAfter: until, IsCA: true, BasicConstraintsValid: true}
	leaf := &x509.Certificate{SerialNumber: big.NewInt(2), NotBefore: time.Unix(0, 0), NotAfter: until, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
	signed, err := x509.CreateCertificate(rand.Reader, ca, ca, key.Public(), key)
	signedLeaf, errLeaf := x509.CreateCertificate(rand.Reader, leaf, ca, key.Public(), key)
	if err := errors.Join(err, errLeaf); err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: signed})), tls.Certificate{Certificate: [][]byte{signedLeaf}, PrivateKey: key}
}
