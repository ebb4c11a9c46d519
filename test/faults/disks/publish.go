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
	"encoding/pem"
	"fmt"
	"math/big"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/mirrorset/mirrorset/internal/grants"
	"github.com/mirrorset/mirrorset/internal/kinds"
	"github.com/mirrorset/mirrorset/internal/mirrors/mirrorstest"
	"github.com/mirrorset/mirrorset/internal/payload"
	"github.com/mirrorset/mirrorset/internal/registriesconf"
)

// private is the mirror that has a login and an authority.
const private = "mirror.example:5000"

// sets are the two that a node is brought to and fro between, in the short notation of docs/reference/semantics.md. Each changes all files of the other.
var sets = [2]string{`a: blocked.example -> mirror.example:5000/old [Never]
a: part.example/team -> mirror.example:5000/old-team [Never]
a: whole.example -> plain.example/old [Never]
a: open.example -> plain.example/old
a: gone.example -> plain.example/gone [Never]`, `a: blocked.example -> mirror.example:5000/new, plain.example/new [Never]
a: part.example/team -> mirror.example:5000/new-team [Never]
a: whole.example -> plain.example/new [Never]
a: open.example/team -> plain.example/new
a: new.example/part -> mirror.example:5000/part [Never]
a: *.wild.example -> plain.example/wild [Never]`}

// blocked are the registries that both close.
var blocked = []string{"blocked.example", "part.example", "whole.example"}

// granted are the authorities of the mirror that come with the first and with the second sets.
var granted [2]string

func init() {
	for i := range granted {
		granted[i] = newAuthority(fmt.Sprintf("disks-%d", i))
	}
}

// newAuthority returns the certificate of an authority.
func newAuthority(name string) string {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err) // there is no randomness
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
	}
	signed, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		panic(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: signed}))
}

// publish publishes one of the sets, with a login and an authority for its mirror.
func (n *node) publish(ctx context.Context, which int) error {
	parsed, err := mirrorstest.Parse(sets[which])
	if err != nil {
		return err
	}
	encoded, err := registriesconf.Encode(kinds.Merge(parsed, nil).Rules)
	if err != nil {
		return err
	}
	n.revision = max(n.revision+1, time.Now().UnixMilli())
	p := payload.New(n.revision, encoded)
	data, binaryData, err := p.Data()
	if err != nil {
		return err
	}
	login := fmt.Sprintf(`{"auths": {%q: {"username": "name", "password": "not-a-secret-%d"}}}`, private, which)
	for _, object := range []client.Object{
		&corev1.Secret{ObjectMeta: n.meta(grants.CredentialsName, nil), Type: corev1.SecretTypeDockerConfigJson, Data: map[string][]byte{corev1.DockerConfigJsonKey: []byte(login)}},
		&corev1.ConfigMap{ObjectMeta: n.meta(grants.AuthoritiesName, nil), Data: map[string]string{"mirror.example..5000": granted[which]}},
		&corev1.ConfigMap{ObjectMeta: n.meta(payload.ConfigMapName, p.Annotations()), Data: data, BinaryData: binaryData},
	} {
		err := n.admin.Create(ctx, object)
		if apierrors.IsAlreadyExists(err) {
			err = n.admin.Update(ctx, object)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (n *node) meta(name string, annotations map[string]string) metav1.ObjectMeta {
	return metav1.ObjectMeta{Namespace: n.name, Name: name, Annotations: annotations}
}
