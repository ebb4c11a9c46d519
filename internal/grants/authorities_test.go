// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package grants_test

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/mirrorset/mirrorset/internal/grants"
	"github.com/mirrorset/mirrorset/internal/mirrors"
)

func authority(t *testing.T, until time.Time) (certificate, key string) {
	t.Helper()
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "house CA"}, NotBefore: time.Unix(0, 0), NotAfter: until, IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, template, template, public, private)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})), string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8}))
}

func pemOf(t *testing.T) string {
	t.Helper()
	certificate, _ := authority(t, time.Now().Add(time.Hour))
	return certificate
}

func TestAnAuthorityIsForItsRegistry(t *testing.T) {
	ca, _ := authority(t, time.Now().Add(time.Hour))
	g, problems := grants.Read(nil, &corev1.ConfigMap{Data: map[string]string{"m.com": "# house\n" + ca, "m.com..5000": ca + ca, "registry-1.docker.io": ca}}, grants.Grants{}, time.Now())
	if len(problems) > 0 {
		t.Errorf("problems: %v", problems)
	}
	for host, want := range map[string]string{"m.com": ca, "m.com:5000": ca + ca, "m.com:443": "", "n.com": "", "docker.io": ca, "registry-1.docker.io": ca} {
		if got := string(g.Authority(host)); got != want {
			t.Errorf("%s: got %q", host, got)
		}
	}
	if !g.Concern("m.com/x") || g.Concern("n.com") {
		t.Error("the mirrors of the registry are concerned, and no others")
	}
	if got := g.Registries([]mirrors.Scope{"m.com/x", "m.com:5000", "n.com"}); len(got) != 2 || got["m.com"] == nil || got["m.com:5000"] == nil {
		t.Errorf("registries %v", got)
	}
}

func TestABadAuthorityIsLeftOutAndTheOthersStay(t *testing.T) {
	ca, key := authority(t, time.Now().Add(time.Hour))
	for name, c := range map[string]struct{ key, value, want string }{
		"no PEM":         {"n.com", "hush", "no certificate"},
		"a key":          {"n.com", ca + key, "PRIVATE KEY"},
		"cut off":        {"n.com", ca + ca[:100], "one of its blocks"},
		"broken first":   {"n.com", ca[:100] + "\n" + ca, "one of its blocks"},
		"no certificate": {"n.com", strings.Replace(ca, "\nMI", "\nAA", 1), "cannot be read"},
		"a path":         {"n.com..", ca, "port"},
		"a name":         {"n_com", ca, ""},
		"empty":          {"n.com", "", "no certificate"},
	} {
		g, problems := grants.Read(nil, &corev1.ConfigMap{Data: map[string]string{c.key: c.value, "m.com": ca}}, grants.Grants{}, time.Now())
		if g.Authority("m.com") == nil || g.Authority("n.com") != nil {
			t.Errorf("%s: the good one is lost, or the bad one used", name)
		}
		if len(problems) != 1 || !strings.Contains(problems[0].Message, c.want) || !strings.Contains(problems[0].Message, "mirror-authorities") || problems[0].Remedy == "" {
			t.Errorf("%s: problems %q, want one with %q", name, problems, c.want)
		} else if strings.Contains(fmt.Sprint(problems), "hush") || strings.Contains(fmt.Sprint(problems), key) {
			t.Errorf("%s: shows the value", name)
		}
	}
	if _, problems := grants.Read(nil, &corev1.ConfigMap{BinaryData: map[string][]byte{"m.com": []byte(ca)}}, grants.Grants{}, time.Now()); len(problems) != 1 {
		t.Errorf("binaryData: problems %q", problems)
	}
}

func TestAnExpiredAuthorityIsSaid(t *testing.T) {
	ca, _ := authority(t, time.Now().Add(-time.Hour))
	g, problems := grants.Read(nil, &corev1.ConfigMap{Data: map[string]string{"m.com": ca}}, grants.Grants{}, time.Now())
	if g.Authority("m.com") == nil || len(problems) != 1 || !strings.Contains(problems[0].Message, `"CN=house CA" expired on `) {
		t.Errorf("problems %q", problems)
	}
}
