// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

// Package registry asks registries whether they have an image, as a runtime would that pulls it.
package registry

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// Presence is what is known of a place that an image could be pulled from.
type Presence string

// The answers of registries.
const (
	Present  Presence = "OK"
	Missing  Presence = "Missing"
	NoAnswer Presence = "Error"
)

// Answer is what one place says of an image.
type Answer struct {
	Presence Presence
	// Digest is that of the manifest, where the place has it.
	Digest string
	// Message says why there is no answer.
	Message string
}

// Client asks registries for manifests, with the credentials that podman login and docker login left.
type Client struct {
	timeout time.Duration // of one question
	logins  *credentials
}

// NewClient returns a client that waits so long for the answer to each question, and for that of a credential helper.
func NewClient(timeout time.Duration) *Client {
	return &Client{timeout: timeout, logins: newCredentials(timeout)}
}

// Has asks one place whether it has a manifest, as a runtime would: what the answer to HEAD leaves open, GET has to tell.
func (c *Client) Has(ctx context.Context, location string, insecure bool) Answer {
	var options []name.Option
	if insecure {
		options = append(options, name.Insecure)
	}
	ref, err := name.ParseReference(location, options...)
	if err != nil {
		return noAnswer(err)
	}
	login, err := c.logins.of(ctx, strings.TrimRight(strings.TrimSuffix(location, ref.Identifier()), "@:"))
	if err != nil {
		return noAnswer(err)
	}
	ctx, cancel := context.WithTimeoutCause(ctx, c.timeout, fmt.Errorf("no answer within %s", c.timeout))
	defer cancel()
	through := newTransport(insecure)
	// Once, because a second try would hide in the timeout what the first one came to.
	puller, err := remote.NewPuller(remote.WithAuth(authn.FromConfig(login)), remote.WithTransport(through),
		remote.WithRetryBackoff(remote.Backoff{Steps: 1}), remote.WithRetryStatusCodes())
	if err != nil {
		return noAnswer(err)
	}
	digest, err := digestOf(ctx, puller, ref)
	var status *transport.Error
	switch {
	case err == nil:
		return Answer{Presence: Present, Digest: digest}
	case errors.As(err, &status) && status.StatusCode == http.StatusNotFound && isOfManifest(status):
		return Answer{Presence: Missing}
	case errors.As(err, &status) && isRefusal(status):
		return Answer{Presence: NoAnswer, Message: http.StatusText(status.StatusCode) + ": it takes none of the credentials that podman login and docker login left"}
	case ctx.Err() != nil:
		return noAnswer(context.Cause(ctx))
	}
	return noAnswer(through.reason(err))
}

func noAnswer(why error) Answer {
	return Answer{Presence: NoAnswer, Message: why.Error()}
}

// digestOf returns the digest of a manifest. What a digest names is compared with that; a tag is compared with nothing, so that only what is
// a manifest counts, and not a page that answers every question.
func digestOf(ctx context.Context, puller *remote.Puller, ref name.Reference) (string, error) {
	_, isTag := ref.(name.Tag)
	head, err := puller.Head(ctx, ref)
	switch {
	case err == nil && (!isTag || isManifest(head.MediaType)):
		return head.Digest.String(), nil
	case err != nil && !isOpen(err):
		return "", err
	}
	got, err := puller.Get(ctx, ref)
	if err != nil {
		return "", err
	}
	var content struct {
		SchemaVersion int `json:"schemaVersion"`
	}
	if isTag && !isManifest(got.MediaType) && (json.Unmarshal(got.Manifest, &content) != nil || content.SchemaVersion == 0) {
		return "", fmt.Errorf("it answered with %q, which is no manifest", string(got.MediaType))
	}
	return got.Digest.String(), nil
}

func isManifest(t types.MediaType) bool {
	return t.IsImage() || t.IsIndex() || t.IsSchema1()
}

// isOpen tells whether GET could have what HEAD did not: a registry need not answer HEAD, or not with all headers.
func isOpen(err error) bool {
	var unanswered *url.Error
	var status *transport.Error
	if errors.As(err, &status) {
		return isOfManifest(status) && !isRefusal(status)
	}
	return !errors.As(err, &unanswered)
}

// isOfManifest tells whether the answer is about the image, and not one of what is asked before.
func isOfManifest(status *transport.Error) bool {
	return status.Request != nil && strings.Contains(status.Request.URL.Path, "/manifests/")
}

func isRefusal(status *transport.Error) bool {
	return status.StatusCode == http.StatusUnauthorized || status.StatusCode == http.StatusForbidden
}
