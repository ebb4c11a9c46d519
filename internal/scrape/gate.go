// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package scrape

import (
	"context"
	"crypto/sha256"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/go-logr/logr"
	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	"k8s.io/client-go/rest"

	"github.com/mirrorset/mirrorset/internal/apiclient"
)

// metricsPath is the path that a role must allow GET for.
const metricsPath = "/metrics"

// These bound how many requests to the API server the clients can cause.
const (
	reviewsPerSecond = 5
	reviewsAtOnce    = 10
)

// These bound what the gate remembers, and how long it waits.
const (
	allowedFor   = time.Minute
	deniedFor    = 10 * time.Second
	reviewTime   = 10 * time.Second
	maxRemember  = 256
	maxTokenSize = 8 << 10
)

// gate lets those clients through that may read the metrics according to the API server. It replaces the filter of controller-runtime,
// because the libraries behind that filter take 20 MB of memory.
type gate struct {
	tokens *rest.RESTClient // for token reviews
	access *rest.RESTClient // for access reviews
	log    logr.Logger

	mu     sync.Mutex
	known  map[[sha256.Size]byte]verdict // by token
	failed string                        // the last error, so that each error is logged once
}

// verdict is the status that answers a token. Status 200 lets the request through.
type verdict struct {
	status int
	until  time.Time
}

// Guard returns a handler that passes a request to the next handler if the API server lets the client read metrics.
func Guard(api *rest.Config, log logr.Logger, next http.Handler) (http.Handler, error) {
	api = rest.CopyConfig(api)
	api.QPS, api.Burst = reviewsPerSecond, reviewsAtOnce
	tokens, err := apiclient.New(api, authenticationv1.SchemeGroupVersion, authenticationv1.AddToScheme)
	if err != nil {
		return nil, err
	}
	access, err := apiclient.New(api, authorizationv1.SchemeGroupVersion, authorizationv1.AddToScheme)
	if err != nil {
		return nil, err
	}
	g := &gate{tokens: tokens, access: access, log: log, known: make(map[[sha256.Size]byte]verdict)}
	return g.guard(next), nil
}

func (g *gate) guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		if !ok || token == "" || len(token) > maxTokenSize {
			http.Error(w, http.StatusText(http.StatusUnauthorized), http.StatusUnauthorized)
			return
		}
		if status := g.status(r.Context(), token); status != http.StatusOK {
			http.Error(w, http.StatusText(status), status)
			return
		}
		next.ServeHTTP(w, r)
	})
}

func (g *gate) status(ctx context.Context, token string) int {
	key := sha256.Sum256([]byte(token))
	g.mu.Lock()
	v, ok := g.known[key]
	g.mu.Unlock()
	if ok && time.Now().Before(v.until) {
		return v.status
	}
	ctx, cancel := context.WithTimeout(ctx, reviewTime)
	defer cancel()
	status, err := g.review(ctx, token)
	g.mu.Lock()
	defer g.mu.Unlock()
	if err != nil {
		if err.Error() != g.failed {
			g.failed = err.Error()
			g.log.Error(err, "Cannot check who may read the metrics")
		}
		return http.StatusServiceUnavailable
	}
	g.failed = ""
	g.remember(key, status)
	return status
}

// remember stores the answer to a token for a moment. The caller holds the lock.
func (g *gate) remember(key [sha256.Size]byte, status int) {
	v := verdict{status: status, until: time.Now().Add(deniedFor)}
	if status == http.StatusOK {
		v.until = time.Now().Add(allowedFor)
	}
	if len(g.known) >= maxRemember {
		clear(g.known)
	}
	g.known[key] = v
}

// review asks the API server which user a token belongs to, and then if that user may read the metrics.
func (g *gate) review(ctx context.Context, token string) (status int, err error) {
	who := &authenticationv1.TokenReview{Spec: authenticationv1.TokenReviewSpec{Token: token}}
	if err := g.tokens.Post().Resource("tokenreviews").Body(who).Do(ctx).Into(who); err != nil {
		return 0, err
	}
	if !who.Status.Authenticated {
		return http.StatusUnauthorized, nil
	}
	user := who.Status.User
	extra := make(map[string]authorizationv1.ExtraValue, len(user.Extra))
	for name, values := range user.Extra {
		extra[name] = authorizationv1.ExtraValue(values)
	}
	may := &authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{
		User: user.Username, UID: user.UID, Groups: user.Groups, Extra: extra,
		NonResourceAttributes: &authorizationv1.NonResourceAttributes{Path: metricsPath, Verb: "get"},
	}}
	if err := g.access.Post().Resource("subjectaccessreviews").Body(may).Do(ctx).Into(may); err != nil {
		return 0, err
	}
	if !may.Status.Allowed {
		return http.StatusForbidden, nil
	}
	return http.StatusOK, nil
}
