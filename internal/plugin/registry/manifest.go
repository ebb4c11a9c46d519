// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
	"github.com/google/go-containerregistry/pkg/v1/types"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// manifest is one that a place has.
type manifest struct {
	digest  string
	isIndex bool
	content content // empty where the head alone was asked for
}

// content is what there is in manifests of all kinds.
type content struct {
	SchemaVersion int                  `json:"schemaVersion"`
	Manifests     []ocispec.Descriptor `json:"manifests"`
	Config        ocispec.Descriptor   `json:"config"`
	Layers        []ocispec.Descriptor `json:"layers"`
	FSLayers      []struct {
		BlobSum string `json:"blobSum"`
	} `json:"fsLayers"` // of the first version of Docker's
}

// manifest asks for one: for its head where that is enough, and for the whole where the head leaves it open, or parts of it are
// needed. The content of a digest is compared with it; a tag is compared with nothing, so that only what is a manifest counts, and not a
// page that answers every question.
func (v *visit) manifest(ctx context.Context, ref name.Reference) (found manifest, err error) {
	err = v.within(ctx, func(ctx context.Context) error {
		if !v.Layers {
			head, err := v.puller.Head(ctx, ref)
			switch {
			case err == nil && (head.MediaType.IsImage() || head.MediaType.IsSchema1()):
				found.digest = head.Digest.String()
				return nil
			case err != nil && !isOpen(err):
				return err
			}
		}
		got, err := v.puller.Get(ctx, ref)
		if err != nil {
			return err
		}
		found.digest = got.Digest.String()
		broken := json.Unmarshal(got.Manifest, &found.content)
		if !isManifest(got.MediaType) && (broken != nil || found.content.SchemaVersion == 0) {
			return fmt.Errorf("it answered with %q, which is not a manifest", string(got.MediaType))
		}
		found.isIndex = got.MediaType.IsIndex() || len(found.content.Manifests) > 0
		if broken != nil {
			return errors.New("it answered with a malformed manifest")
		}
		return nil
	})
	return found, err
}

func isManifest(t types.MediaType) bool {
	return t.IsImage() || t.IsIndex() || t.IsSchema1()
}

// isOpen reports whether GET could have what HEAD did not: a registry need not answer HEAD, or not with all headers.
func isOpen(err error) bool {
	var unanswered *url.Error
	var status *transport.Error
	if errors.As(err, &status) {
		return isOfManifest(status) && !isRefusal(status)
	}
	return !errors.As(err, &unanswered)
}
