// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package grants

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/mirrorset/mirrorset/internal/mirrors"
	"github.com/mirrorset/mirrorset/internal/mirrors/value"
)

// Login is a login at a registry. It is a user name and a password, or an identity token, which a token server accepts instead, or a
// registry token, which the registry itself accepts. No way of printing it shows its content.
type Login struct {
	Username, Password, IdentityToken, RegistryToken string
}

const hidden = "(hidden)"

// String hides the login.
func (Login) String() string { return hidden }

// GoString hides the login.
func (Login) GoString() string { return hidden }

// MarshalLog hides the login.
func (Login) MarshalLog() any { return hidden }

// MarshalJSON hides the login.
func (Login) MarshalJSON() ([]byte, error) { return json.Marshal(hidden) }

// entry is a login in the form that containers-auth.json(5) and kubectl use.
type entry struct {
	Username      string `json:"username,omitempty"`
	Password      string `json:"password,omitempty"`
	Auth          string `json:"auth,omitempty"`
	IdentityToken string `json:"identitytoken,omitempty"`
	RegistryToken string `json:"registrytoken,omitempty"`
}

const secretObject = "Secret " + CredentialsName

// readSecret leaves out each invalid login, and keeps the others (G1). It is not ok if nothing can be read.
func readSecret(secret *corev1.Secret) (logins map[mirrors.Scope]Login, problems []Problem, ok bool) {
	remedy := fmt.Sprintf("create it again: kubectl -n %[1]s delete secret %[2]s; kubectl -n %[1]s create secret docker-registry %[2]s --docker-server=HOST --docker-username=NAME --docker-password=PASSWORD", secret.Namespace, CredentialsName)
	if secret.Type != corev1.SecretTypeDockerConfigJson {
		return nil, []Problem{{Message: fmt.Sprintf("%s: its type is %q instead of %q. Earlier logins stay in force, if there were any", secretObject, secret.Type, corev1.SecretTypeDockerConfigJson), Remedy: remedy}}, false
	}
	logins, problems, err := readLogins(secret.Data[corev1.DockerConfigJsonKey])
	if err != nil {
		return nil, []Problem{problem(secretObject, corev1.DockerConfigJsonKey, remedy, "%v. Earlier logins stay in force", err)}, false
	}
	return logins, problems, true
}

// readLogins parses the text of containers-auth.json(5). Its errors do not quote the text.
func readLogins(text []byte) (map[mirrors.Scope]Login, []Problem, error) {
	var file struct {
		Auths map[string]json.RawMessage `json:"auths"`
	}
	if json.Unmarshal(text, &file) != nil {
		return nil, nil, errors.New("it is not JSON with the key auths")
	}
	if file.Auths == nil {
		return nil, nil, errors.New("it has no key auths")
	}
	logins := make(map[mirrors.Scope]Login, len(file.Auths))
	from := make(map[mirrors.Scope]string, len(file.Auths))
	var problems []Problem
	for _, key := range slices.Sorted(maps.Keys(file.Auths)) {
		const remedy = "fix or remove that key"
		scope, wrong := scopeOf(key)
		if wrong != "" {
			problems = append(problems, problem(secretObject, withoutUser(key), remedy, "%s. The login is not used", wrong))
			continue
		}
		login, err := readLogin(file.Auths[key])
		if err != nil {
			problems = append(problems, problem(secretObject, key, remedy, "%v. The login is not used", err))
			continue
		}
		if first, taken := from[scope]; taken && logins[scope] != login {
			problems = append(problems, problem(secretObject, key, "remove one of the two keys", "key %q is for the same place, %s, and Mirrorset uses the login of that key", first, scope))
			continue
		}
		logins[scope], from[scope] = login, key
	}
	return logins, problems, nil
}

// scopeOf interprets keys that docker login writes, for example https://index.docker.io/v1/ (G2).
func scopeOf(key string) (scope mirrors.Scope, wrong string) {
	place := key
	if _, rest, ok := strings.Cut(key, "://"); ok && (strings.HasPrefix(key, "https://") || strings.HasPrefix(key, "http://")) {
		place = strings.TrimSuffix(rest, "/")
		for _, root := range []string{"/v1", "/v2"} {
			place = strings.TrimSuffix(place, root)
		}
	}
	if withoutUser(key) != key {
		return "", "it has a user name, a password or a query, which a key cannot have; write HOST[:PORT][/PATH]"
	}
	if !value.Mirror.Takes(place) {
		return "", value.Wrong(key, value.Mirror)
	}
	return Canonical(mirrors.Scope(place)), ""
}

// withoutUser removes from a key everything that could be a password: the text before an @, and the text after a question mark or a number
// sign.
func withoutUser(key string) string {
	if at := strings.LastIndexByte(key, '@'); at >= 0 && !strings.HasPrefix(key[at:], "@sha256:") {
		key = key[at+1:]
	}
	if at := strings.IndexAny(key, "?#"); at >= 0 {
		key = key[:at]
	}
	return key
}

// readLogin prefers auth to username and password, as Docker, the kubelet and containers/image do.
func readLogin(text json.RawMessage) (Login, error) {
	var e entry
	if json.Unmarshal(text, &e) != nil {
		return Login{}, errors.New("it is not an object whose fields auth, username, password, identitytoken and registrytoken are strings")
	}
	login := Login{Username: e.Username, Password: e.Password, IdentityToken: e.IdentityToken, RegistryToken: e.RegistryToken}
	if e.Auth != "" {
		decoded, err := base64.StdEncoding.DecodeString(e.Auth)
		name, password, ok := strings.Cut(string(decoded), ":")
		if err != nil || !ok {
			return Login{}, errors.New("its auth is not NAME:PASSWORD in base64")
		}
		login.Username, login.Password = name, strings.Trim(password, "\x00")
	}
	switch {
	case login.IdentityToken != "" || login.RegistryToken != "":
	case login.Username == "" && login.Password == "":
		return Login{}, errors.New("it has no user name and no token")
	case login.Username == "" || login.Password == "":
		return Login{}, errors.New("it has only one of user name and password")
	}
	if strings.ContainsAny(login.Username, ":\r\n\x00") || strings.ContainsAny(login.Password+login.IdentityToken+login.RegistryToken, "\r\n\x00") {
		return Login{}, errors.New("it has a line break, or a colon in the user name, which a request cannot carry")
	}
	return login, nil
}
