// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

// Package registry checks if registries have an image, with the requests of a runtime that pulls it.
package registry

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"
	"unicode"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/mirrorset/mirrorset/internal/grants"
)

// Presence is what is known of a place that an image could be pulled from.
type Presence string

// The answers of registries.
const (
	Present Presence = "OK"
	Missing Presence = "Missing"
	// Incomplete is a place that has the image's manifest, or its index, and not all that belongs to it.
	Incomplete Presence = "Incomplete"
	NoAnswer   Presence = "Error"
)

// Answer is what one place says of an image.
type Answer struct {
	Presence Presence
	// Digest is that of the manifest or index, where the place has it.
	Digest string
	// Message says why there is no answer, or what is not there.
	Message string
	// Lacks are the parts that an incomplete place does not have.
	Lacks []Part
}

// Options are how registries are asked, and for what.
type Options struct {
	// Timeout is for the answer to each request, and for that of a credential helper.
	Timeout time.Duration
	// CAFile has certificates that are trusted in addition to those of the system; empty for none.
	CAFile string
	// AuthFile has the credentials, in the format that podman login writes; empty for those that logins left.
	AuthFile string
	// Grants are those of a cluster, to be used in place of both files; nil for none.
	Grants *grants.Grants
	// Platforms are those whose manifests an index has to have there; none for all that it lists.
	Platforms []ocispec.Platform
	// Layers asks for the config and the layers of each image, too.
	Layers bool
}

// Client asks registries for images, with the credentials that podman login and docker login left, those of a file, or those of a cluster.
type Client struct {
	Options

	means means
}

// NewClient reads the files of the options. An error names the one that is of no use.
func NewClient(o Options) (*Client, error) {
	if o.Grants != nil {
		return &Client{Options: o, means: granted{*o.Grants}}, nil
	}
	roots, err := readRoots(o.CAFile)
	if err != nil {
		return nil, err
	}
	if err := checkAuthFile(o.AuthFile); err != nil {
		return nil, err
	}
	return &Client{Options: o, means: own{newCredentials(o.Timeout, o.AuthFile), roots}}, nil
}

// ForSources returns the client that asks sources: the same one, but where the grants of a cluster are used, which are for mirrors alone.
func (c *Client) ForSources() *Client {
	if c.Grants == nil {
		return c
	}
	return &Client{Options: c.Options, means: nothing{}}
}

// Has asks one place if it has an image, as a runtime would. It requests the manifest and, if that is an index, the manifests for the
// platforms. On request, it also checks the config and the layers.
func (c *Client) Has(ctx context.Context, location string, insecure bool) Answer {
	v, ref, err := c.visit(ctx, location, insecure)
	if err != nil {
		return Answer{Presence: NoAnswer, Message: err.Error()}
	}
	defer v.through.close()
	top, err := v.manifest(ctx, ref)
	switch {
	case isMissing(err):
		return Answer{Presence: Missing}
	case err != nil:
		return Answer{Presence: NoAnswer, Message: v.why(err)}
	}
	lacks := v.lacks(ctx, top)
	if len(lacks) == 0 {
		return Answer{Presence: Present, Digest: top.digest}
	}
	return Answer{Presence: Incomplete, Digest: top.digest, Message: sayLacks(lacks), Lacks: lacks}
}

// HasPart asks one place, a repository, for a part of an image alone.
func (c *Client) HasPart(ctx context.Context, repository string, insecure bool, part Part) bool {
	v, ref, err := c.visit(ctx, repository+"@"+part.Digest, insecure)
	if err != nil {
		return false
	}
	defer v.through.close()
	if part.blob {
		return v.blob(ctx, part.Digest) == nil
	}
	found, err := v.manifest(ctx, ref)
	return err == nil && len(v.lacks(ctx, found)) == 0
}

// visit is what one place is asked, one request after the other.
type visit struct {
	*Client

	puller     *remote.Puller
	through    *registryTransport
	place      string // the repository as it is written
	repository name.Repository
}

func (c *Client) visit(ctx context.Context, location string, insecure bool) (*visit, name.Reference, error) {
	var options []name.Option
	if insecure {
		options = append(options, name.Insecure)
	}
	ref, err := name.ParseReference(location, options...)
	if err != nil {
		return nil, nil, err
	}
	place := strings.TrimRight(strings.TrimSuffix(location, ref.Identifier()), "@:")
	login, err := c.means.login(ctx, place)
	if err != nil {
		return nil, nil, err
	}
	through := newTransport(insecure, c.means.roots(place))
	// Once, because a second try would hide in the timeout what the first one came to.
	puller, err := remote.NewPuller(remote.WithAuth(authn.FromConfig(login)), remote.WithTransport(through),
		remote.WithRetryBackoff(remote.Backoff{Steps: 1}), remote.WithRetryStatusCodes())
	if err != nil {
		return nil, nil, err
	}
	return &visit{Client: c, puller: puller, through: through, place: place, repository: ref.Context()}, ref, nil
}

// within makes one request, or the few that belong to it.
func (v *visit) within(ctx context.Context, request func(context.Context) error) error {
	ctx, cancel := context.WithTimeoutCause(ctx, v.Timeout, fmt.Errorf("no answer within %s", v.Timeout))
	defer cancel()
	v.through.reset()
	err := request(ctx)
	var status *transport.Error
	if err != nil && ctx.Err() != nil && !errors.As(err, &status) {
		return context.Cause(ctx)
	}
	return err
}

// why says for people why there is no answer.
func (v *visit) why(err error) string {
	var status *transport.Error
	if isStatus := errors.As(err, &status); isStatus && isRefusal(status) {
		return http.StatusText(status.StatusCode) + ": " + v.means.refused(v.place)
	} else if isStatus && v.means.keepsQuiet(v.place) {
		return fmt.Sprintf("unexpected status code %d %s", status.StatusCode, http.StatusText(status.StatusCode))
	}
	err = v.through.reason(err)
	text := strings.Map(func(r rune) rune { // a registry's words reach a terminal
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, err.Error())
	var unknown x509.UnknownAuthorityError
	if remedy := v.means.distrusted(v.place); remedy != "" && errors.As(err, &unknown) {
		text += "; " + remedy
	}
	return text
}

// isMissing reports whether the answer is that there is no such manifest.
func isMissing(err error) bool {
	var status *transport.Error
	return errors.As(err, &status) && status.StatusCode == http.StatusNotFound && isOfManifest(status)
}

// isOfManifest reports whether the answer is about the image, and not one of what is asked before.
func isOfManifest(status *transport.Error) bool {
	return status.Request != nil && strings.Contains(status.Request.URL.Path, "/manifests/")
}

func isRefusal(status *transport.Error) bool {
	return status.StatusCode == http.StatusUnauthorized || status.StatusCode == http.StatusForbidden
}
