// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package grants

import (
	"encoding/base64"
	"encoding/json"

	"github.com/mirrorset/mirrorset/internal/mirrors"
)

// AuthFile writes the logins for these mirrors in the format of containers-auth.json(5), or returns nil if there are none. Each login is
// stored under the place of its mirror and not under the complete registry, so that no other image is pulled with it (G4). AuthFile leaves
// out registry tokens, because the format has no field that its readers understand.
func (g Grants) AuthFile(of []mirrors.Scope) []byte {
	auths := make(map[string]entry)
	add := func(place mirrors.Scope, login Login) {
		e := entry{IdentityToken: login.IdentityToken}
		if login.Username != "" || login.IdentityToken != "" {
			e.Auth = base64.StdEncoding.EncodeToString([]byte(login.Username + ":" + login.Password))
			auths[string(place)] = e
		}
	}
	for _, mirror := range of {
		if login, ok := g.Login(mirror); ok {
			add(mirror, login)
		}
		for _, key := range g.below(Canonical(mirror)) {
			add(mirrors.Scope(mirror.Host()+key.Path()), g.logins()[key])
		}
	}
	if len(auths) == 0 {
		return nil
	}
	text, err := json.MarshalIndent(map[string]any{"auths": auths}, "", "  ")
	if err != nil {
		return nil // the values always encode
	}
	return append(text, '\n')
}

// ReadAuthFile reads the output of [Grants.AuthFile], for an agent that starts without the API server.
func ReadAuthFile(text []byte) (Grants, error) {
	logins, _, err := readLogins(text)
	h := &held{}
	h.hold(logins)
	return Grants{h}, err
}
