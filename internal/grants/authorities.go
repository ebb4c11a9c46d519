// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package grants

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/mirrorset/mirrorset/internal/mirrors/value"
)

const authoritiesObject = "ConfigMap " + AuthoritiesName

// readAuthorities leaves out each invalid value, and keeps the others (G3).
func readAuthorities(cm *corev1.ConfigMap, now time.Time) (map[string][]byte, []Problem) {
	found := make(map[string][]byte, len(cm.Data))
	var problems []Problem
	for _, key := range slices.Sorted(maps.Keys(cm.Data)) {
		host, wrong := hostOf(key)
		if wrong != "" {
			problems = append(problems, problem(authoritiesObject, key, "name the key HOST, or HOST..PORT", "%s. The certificates are not used", wrong))
			continue
		}
		certificates, problemsHere, err := readCertificates(cm.Data[key], now)
		for _, text := range problemsHere {
			problems = append(problems, problem(authoritiesObject, key, "put the authority's new certificate under that key", "%s", text))
		}
		if err != nil {
			problems = append(problems, problem(authoritiesObject, key, "put the authority's certificates in PEM format under that key, and nothing else", "%v. The certificates are not used", err))
			continue
		}
		found[host] = certificates
	}
	for _, key := range slices.Sorted(maps.Keys(cm.BinaryData)) {
		problems = append(problems, problem(authoritiesObject, key, "put the certificates in PEM format into data", "it is in binaryData, which Mirrorset does not read"))
	}
	return found, problems
}

// hostOf parses a key in the form of OpenShift's additionalTrustedCA, because the key of a ConfigMap may not contain a colon.
func hostOf(key string) (host, wrong string) {
	name, port, hasPort := strings.Cut(key, "..")
	host = name
	if hasPort {
		host += ":" + port
	}
	if !value.Mirror.Takes(host) {
		return "", value.Wrong(host, value.Mirror)
	}
	return registryOf(host), ""
}

// AuthorityKey returns the key of the ConfigMap that holds the authorities of a registry, given as host[:port].
func AuthorityKey(registry string) string {
	return strings.Replace(registryOf(registry), ":", "..", 1)
}

// readCertificates accepts only certificates, and writes them without any other content. A private key that somebody added by mistake is
// not passed on.
func readCertificates(text string, now time.Time) (plain []byte, problems []string, err error) {
	rest := []byte(text)
	var out bytes.Buffer
	blocks := 0
	for ; ; blocks++ {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		if block.Type != "CERTIFICATE" {
			return nil, nil, fmt.Errorf("it has a block %q between the certificates", block.Type)
		}
		certificate, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, nil, errors.New("one of its certificates cannot be read")
		}
		if now.After(certificate.NotAfter) {
			problems = append(problems, fmt.Sprintf("the certificate of %q expired on %s", certificate.Subject, certificate.NotAfter.UTC().Format(time.DateOnly)))
		}
		if err := pem.Encode(&out, &pem.Block{Type: block.Type, Bytes: block.Bytes}); err != nil {
			return nil, nil, err
		}
	}
	if out.Len() == 0 {
		return nil, nil, errors.New("it has no certificate in PEM format")
	}
	if strings.Count(text, "-----BEGIN ") != blocks {
		return nil, nil, errors.New("one of its blocks cannot be read")
	}
	return out.Bytes(), problems, nil
}
