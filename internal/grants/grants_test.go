// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package grants_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr/funcr"
	"go.podman.io/image/v5/pkg/docker/config"
	"go.podman.io/image/v5/types"
	corev1 "k8s.io/api/core/v1"

	"github.com/mirrorset/mirrorset/internal/grants"
	"github.com/mirrorset/mirrorset/internal/mirrors"
)

func secret(auths string) *corev1.Secret {
	return &corev1.Secret{Type: corev1.SecretTypeDockerConfigJson, Data: map[string][]byte{corev1.DockerConfigJsonKey: []byte(`{"auths": {` + auths + `}}`)}}
}

func login(key, name string) string {
	return fmt.Sprintf(`%q: {"auth": %q}`, key, base64.StdEncoding.EncodeToString([]byte(name+":hush-"+name)))
}

func TestTheLongestKeyDecides(t *testing.T) {
	g, problems := grants.Read(secret(strings.Join([]string{
		login("m.com", "host"), login("m.com/team", "team"), login("m.com/team/app", "app"), login("m.com:5000", "port"), login("https://index.docker.io/v1/", "hub"), login("https://old.com/v2/", "old"),
	}, ",")), nil, grants.Grants{}, time.Now())
	if len(problems) > 0 {
		t.Errorf("problems: %v", problems)
	}
	for of, want := range map[mirrors.Scope]string{
		"m.com": "host", "m.com/x/y": "host", "m.com/teams": "host", "m.com/team": "team", "m.com/team/app/x": "app", "m.com:5000/team": "port", "m.com:443": "", "n.com": "",
		"docker.io/library/x": "hub", "registry-1.docker.io/library/x": "hub", "old.com/x": "old",
	} {
		got, ok := g.Login(of)
		if got.Username != want || ok != (want != "") || ok && got.Password != "hush-"+want {
			t.Errorf("%s: login of %q", of, got.Username)
		}
	}
	for of, want := range map[mirrors.Scope]bool{"m.com": true, "m.com/x": true, "docker.io": true, "n.com": false, "m.co": false} {
		if g.Concern(of) != want {
			t.Errorf("%s: concern %t", of, !want)
		}
	}
	if g, _ := grants.Read(secret(login("m.com/team/app", "app")), nil, grants.Grants{}, time.Now()); !g.Concern("m.com/team") || g.Concern("m.com/teams") {
		t.Error("a mirror above a key is concerned, and no other")
	}
}

func TestAKeyThatIsForNoMirrorIsKnown(t *testing.T) {
	g, problems := grants.Read(secret(strings.Join([]string{login("Reg.Corp:5000", "a"), login("reg.corp", "b"), login("reg.corp:5000/x/y", "c"), login("hub.corp/z", "d")}, ",")),
		&corev1.ConfigMap{Data: map[string]string{"REG.corp..5000": pemOf(t), "reg.corp": pemOf(t)}}, grants.Grants{}, time.Now())
	if len(problems) > 0 {
		t.Errorf("problems %v", problems)
	}
	logins, authorities := g.Unused([]mirrors.Scope{"reg.corp:5000/x", "hub.corp/zz"})
	if !slices.Equal(logins, []string{"hub.corp/z", "reg.corp"}) || !slices.Equal(authorities, []string{"reg.corp"}) {
		t.Errorf("unused are %q and %q", logins, authorities)
	}
	if l, _ := g.Login("REG.corp:5000/q"); l.Username != "a" {
		t.Error("letters of a host are told apart")
	}
}

func TestAPasswordInAKeyIsNotShown(t *testing.T) {
	for _, key := range []string{"https://ann:hush@m.com:5000/v2/", "ann:hush@m.com", "m.com?password=hush", "ann:hu/sh@m.com#hush"} {
		g, problems := grants.Read(secret(login(key, "x")), nil, grants.Grants{}, time.Now())
		if len(problems) != 1 || strings.Contains(strings.Replace(problems[0].Message, "hush-x", "", 1), "hush") || strings.Contains(problems[0].Message, "hu/sh") || !strings.Contains(problems[0].Message, "HOST[:PORT]") || g.Concern("m.com") {
			t.Errorf("%s: %q", key, problems)
		}
	}
}

func TestEveryFormOfALoginIsRead(t *testing.T) {
	for text, want := range map[string]grants.Login{
		`{"username": "u", "password": "p"}`:                     {Username: "u", Password: "p"},
		`{"username": "x", "password": "y", "auth": "dTpwOnE="}`: {Username: "u", Password: "p:q"},
		`{"identitytoken": "t"}`:                                 {IdentityToken: "t"},
		`{"registrytoken": "r", "email": "a@b"}`:                 {RegistryToken: "r"},
		`{"auth": "dTpwAA=="}`:                                   {Username: "u", Password: "p"},
	} {
		g, problems := grants.Read(secret(`"m.com": `+text), nil, grants.Grants{}, time.Now())
		if got, ok := g.Login("m.com/x"); got != want || !ok || len(problems) > 0 {
			t.Errorf("%s: found %t, problems %v, and not the login that it says", text, ok, problems)
		}
	}
}

func TestABadLoginIsLeftOutAndTheOthersStay(t *testing.T) {
	for bad, want := range map[string]string{
		login("*.m.com", "x"):                        "wildcard",
		login("m.com/x:tag", "x"):                    "tag",
		`"n.com": {}`:                                "no user name and no token",
		`"n.com": {"auth": "hush"}`:                  "NAME:PASSWORD",
		`"n.com": {"auth": "!hush"}`:                 "NAME:PASSWORD",
		`"n.com": {"username": "hush"}`:              "only one of user name and password",
		`"n.com": {"auth": ["hush"]}`:                "not an object whose fields",
		`"n.com": "hush"`:                            "not an object whose fields",
		`"n.com": {"username":"a\n","password":"b"}`: "line break",
		`"n.com": {"registrytoken":"hush\r\nX: y"}`:  "line break",
		login("https://good.com/v1/", "other"):       `key "good.com" is for the same place`,
	} {
		g, problems := grants.Read(secret(bad+","+login("good.com", "good")), nil, grants.Grants{}, time.Now())
		if got, _ := g.Login("good.com"); got.Username != "good" {
			t.Errorf("%s: the good login is lost", bad)
		}
		if len(problems) != 1 || !strings.Contains(problems[0].Message, want) || !strings.Contains(problems[0].Message, "mirror-credentials") || problems[0].Remedy == "" {
			t.Errorf("%s: problems %q, want one with %q", bad, problems, want)
		} else if strings.Contains(fmt.Sprint(problems), "hush") {
			t.Errorf("%s: shows what is secret: %q", bad, problems)
		}
		if _, ok := g.Login("n.com"); ok {
			t.Errorf("%s: is used", bad)
		}
	}
	for name, bad := range map[string]*corev1.Secret{
		"type":   {Type: corev1.SecretTypeOpaque, Data: secret(login("m.com", "x")).Data},
		"text":   {Type: corev1.SecretTypeDockerConfigJson, Data: map[string][]byte{corev1.DockerConfigJsonKey: []byte("hush")}},
		"auths":  {Type: corev1.SecretTypeDockerConfigJson, Data: map[string][]byte{corev1.DockerConfigJsonKey: []byte(`{"hush": 1}`)}},
		"no key": {Type: corev1.SecretTypeDockerConfigJson},
	} {
		g, problems := grants.Read(bad, nil, grants.Grants{}, time.Now())
		if len(problems) != 1 || strings.Contains(fmt.Sprint(problems), "hush") || g.Concern("m.com") {
			t.Errorf("%s: problems %q", name, problems)
		}
		before, _ := grants.Read(secret(login("m.com", "name")), nil, grants.Grants{}, time.Now())
		after, _ := grants.Read(bad, nil, before, time.Now())
		if l, _ := after.Login("m.com"); l.Username != "name" {
			t.Errorf("%s: the login from before is lost", name)
		}
	}
	before, _ := grants.Read(secret(login("m.com", "name")), nil, grants.Grants{}, time.Now())
	if gone, _ := grants.Read(nil, nil, before, time.Now()); gone.Concern("m.com") {
		t.Error("a login outlives its Secret")
	}
}

func TestNoWayOfPrintingShowsALogin(t *testing.T) {
	g, _ := grants.Read(secret(login("m.com", "name")), nil, grants.Grants{}, time.Now())
	l, _ := g.Login("m.com")
	var logged strings.Builder
	log := funcr.New(func(_, args string) { logged.WriteString(args) }, funcr.Options{})
	log.Info("login", "login", l, "pointer", &l)
	asJSON, err := json.Marshal(map[string]any{"login": l})
	if err != nil {
		t.Fatal(err)
	}
	for _, shown := range []string{fmt.Sprint(l), fmt.Sprintf("%+v %#v %q %s", l, l, l, &l), logged.String(), string(asJSON), fmt.Sprintf("%v %+v %#v", g, g, g)} {
		if strings.Contains(shown, "hush") {
			t.Errorf("shows what is secret: %s", shown)
		}
	}
}

func TestTheAuthFileIsForTheMirrorsAlone(t *testing.T) {
	g, _ := grants.Read(secret(strings.Join([]string{login("m.com", "host"), login("m.com/team/app", "app"), login("other.com", "other"), `"t.com": {"identitytoken": "t"}`, `"r.com": {"registrytoken": "t"}`}, ",")), nil, grants.Grants{}, time.Now())
	text := g.AuthFile([]mirrors.Scope{"m.com/team", "t.com", "r.com", "n.com"})
	file := filepath.Join(t.TempDir(), "auth.json")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	for repository, want := range map[string]string{"m.com/team/x": "host", "m.com/team/app/y": "app", "m.com/else": "", "other.com/x": "", "n.com/x": "", "r.com/x": ""} {
		got, err := config.GetCredentials(&types.SystemContext{AuthFilePath: file}, repository)
		if err != nil || got.Username != want {
			t.Errorf("%s: the library of CRI-O and Podman finds %q, error %v, want %q", repository, got.Username, err, want)
		}
	}
	if got, err := config.GetCredentials(&types.SystemContext{AuthFilePath: file}, "t.com/x"); err != nil || got.IdentityToken != "t" {
		t.Errorf("identity token: error %v", err)
	}
	back, err := grants.ReadAuthFile(text)
	if err != nil {
		t.Fatal(err)
	}
	for _, of := range []mirrors.Scope{"m.com/team/x", "m.com/team/app/y"} {
		was, _ := g.Login(of)
		if now, _ := back.Login(of); now != was {
			t.Errorf("%s: another login after it was read back", of)
		}
	}
	if l, ok := back.Login("t.com/x"); !ok || l.IdentityToken != "t" {
		t.Error("the identity token is lost when it is read back")
	}
	if g.AuthFile([]mirrors.Scope{"n.com"}) != nil {
		t.Error("there is a file without a login")
	}
}
