// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

// Package grants reads what an administrator grants the nodes for mirrors: logins from the Secret mirror-credentials, and certificates of
// authorities from the ConfigMap mirror-authorities, both in the manager's namespace. It is pure (docs/reference/semantics.md G1 to G4).
package grants

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/mirrorset/mirrorset/internal/mirrors"
)

// The names of the two objects.
const (
	CredentialsName = "mirror-credentials" //nolint:gosec // only the name of an object
	AuthoritiesName = "mirror-authorities"
)

// Grants are logins and authorities for mirrors. The zero value grants nothing.
type Grants struct {
	held *held // behind a pointer, because printing a struct that holds it would show its content
}

type held struct {
	logins      map[mirrors.Scope]Login
	keys        []mirrors.Scope   // the keys of the logins, in byte order
	authorities map[string][]byte // PEM by registry
}

// hold stores logins with their keys in order.
func (h *held) hold(logins map[mirrors.Scope]Login) {
	h.logins, h.keys = logins, slices.Sorted(maps.Keys(logins))
}

func (g Grants) logins() map[mirrors.Scope]Login {
	if g.held == nil {
		return nil
	}
	return g.held.logins
}

// Problem is a value of the objects that is left out, or that expires. It never holds a secret.
type Problem struct {
	// Message names the object, the key, and what is wrong; Remedy says what to change.
	Message, Remedy string
}

// Read takes the valid values of the two objects, either of which may be nil, and returns the problems with the others. If the Secret
// cannot be read at all, the earlier logins stay (G1).
func Read(credentials *corev1.Secret, authorities *corev1.ConfigMap, before Grants, now time.Time) (Grants, []Problem) {
	g := &held{}
	var problems []Problem
	if credentials != nil {
		logins, found, ok := readSecret(credentials)
		if !ok {
			logins = before.logins()
		}
		g.hold(logins)
		problems = found
	}
	if authorities != nil {
		var more []Problem
		g.authorities, more = readAuthorities(authorities, now)
		problems = append(problems, more...)
	}
	return Grants{g}, problems
}

// IsEmpty reports whether there are no logins and no authorities.
func (g Grants) IsEmpty() bool {
	return g.held == nil || len(g.held.keys) == 0 && len(g.held.authorities) == 0
}

// Login returns the login for a repository, or for the place of a mirror. It is the login with the longest key that contains the place
// (G2).
func (g Grants) Login(of mirrors.Scope) (login Login, ok bool) {
	key, login := g.Find(of)
	return login, key != ""
}

// Key returns the key of the login for a repository, or "" where there is none.
func (g Grants) Key(of mirrors.Scope) mirrors.Scope {
	key, _ := g.Find(of)
	return key
}

// Find returns the login for a repository with its key, or "" where there is none. The cost depends on the depth of the path, and not on
// the number of logins.
func (g Grants) Find(of mirrors.Scope) (key mirrors.Scope, login Login) {
	logins := g.logins()
	if len(logins) == 0 {
		return "", Login{}
	}
	for key = Canonical(of); key != ""; key = parent(key) {
		if login, ok := logins[key]; ok {
			return key, login
		}
	}
	return "", Login{}
}

// parent returns the next broader scope, or "" for a registry.
func parent(of mirrors.Scope) mirrors.Scope {
	return of[:max(0, strings.LastIndexByte(string(of), '/'))]
}

// below returns, in byte order, the keys that are longer than a place and inside it.
func (g Grants) below(place mirrors.Scope) []mirrors.Scope {
	if g.held == nil {
		return nil
	}
	prefix := place + "/"
	from, _ := slices.BinarySearch(g.held.keys, prefix)
	to := from
	for to < len(g.held.keys) && strings.HasPrefix(string(g.held.keys[to]), string(prefix)) {
		to++
	}
	return g.held.keys[from:to]
}

// Authority returns the certificates, in PEM, of additional authorities that a registry's certificate may be signed by, or nil if there are
// none. The node also trusts its own authorities.
func (g Grants) Authority(registry string) []byte {
	if g.held == nil {
		return nil
	}
	return g.held.authorities[registryOf(registry)]
}

// Concern reports whether there is a login for a mirror or for something below its place, or an authority for its registry.
func (g Grants) Concern(mirror mirrors.Scope) bool {
	if g.Authority(mirror.Host()) != nil {
		return true
	}
	return g.Key(mirror) != "" || len(g.below(Canonical(mirror))) > 0
}

// Unused returns the keys of logins and authorities, in byte order, that match none of these mirrors, for example because of a wrong port
// or letter.
func (g Grants) Unused(of []mirrors.Scope) (logins, authorities []string) {
	used, registries := make(map[mirrors.Scope]bool), make(map[string]bool)
	for _, mirror := range of {
		for key := Canonical(mirror); key != ""; key = parent(key) {
			used[key] = true
		}
		registries[registryOf(mirror.Host())] = true
		for _, key := range g.below(Canonical(mirror)) {
			used[key] = true
		}
	}
	for key := range g.logins() {
		if !used[key] {
			logins = append(logins, string(key))
		}
	}
	if g.held != nil {
		for registry := range g.held.authorities {
			if !registries[registry] {
				authorities = append(authorities, AuthorityKey(registry))
			}
		}
	}
	slices.Sort(logins)
	slices.Sort(authorities)
	return logins, authorities
}

// Registries returns the authorities of the registries of these mirrors, by registry.
func (g Grants) Registries(of []mirrors.Scope) map[string][]byte {
	found := make(map[string][]byte)
	for _, mirror := range of {
		if pem := g.Authority(mirror.Host()); pem != nil {
			found[mirror.Host()] = pem
		}
	}
	return found
}

// The names of Docker Hub. A key with one of the other names counts as a key with the first name.
const dockerHub = "docker.io"

func registryOf(host string) string {
	host = strings.ToLower(host)
	if host == "index.docker.io" || host == "registry-1.docker.io" {
		return dockerHub
	}
	return host
}

// Canonical returns a place with its registry in lower case, and with the first name of Docker Hub (G2).
func Canonical(of mirrors.Scope) mirrors.Scope {
	return mirrors.Scope(registryOf(of.Host()) + of.Path())
}

func problem(object, key, remedy, format string, args ...any) Problem {
	return Problem{Message: fmt.Sprintf("%s, key %q: ", object, key) + fmt.Sprintf(format, args...), Remedy: remedy}
}
