// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package redirect

import (
	"encoding/json"
	"net/http"

	"github.com/mirrorset/mirrorset/internal/route"
)

// serverName is the name that a redirector sends in its Server header.
const serverName = "mirrorset-redirector"

// redirect sends containerd to the registry itself. containerd uses its own credentials for that registry.
func redirect(w http.ResponseWriter, q question, to route.Target) {
	w.Header().Set("Location", urlOf("https", to, q))
	w.WriteHeader(http.StatusTemporaryRedirect)
}

// fail answers with an error in the form of the OCI distribution spec, whose message containerd shows to the user.
func fail(w http.ResponseWriter, status int, code, message string) {
	body, err := json.Marshal(map[string]any{"errors": []any{map[string]string{"code": code, "message": message}}})
	if err != nil { // there is nothing in it that could fail
		status = http.StatusInternalServerError
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(body) // who asked may have gone
}
