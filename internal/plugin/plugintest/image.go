// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package plugintest

import (
	"net/http"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
)

// Index is an image for several platforms, which several registries may have.
type Index struct {
	Digest string
	// Images are the digests of its images by platform.
	Images map[string]string
	// Config and Layer are parts of the first one.
	Config, Layer string

	index v1.ImageIndex
}

// NewIndex makes one. The platform "" is an image that does not say which platform it is for.
func NewIndex(t *testing.T, platforms ...string) *Index {
	t.Helper()
	x := &Index{Images: make(map[string]string), index: empty.Index}
	for _, platform := range platforms {
		image, err := random.Image(16, 1)
		if err != nil {
			t.Fatal(err)
		}
		added := mutate.IndexAddendum{Add: image}
		if platform != "" {
			if added.Platform, err = v1.ParsePlatform(platform); err != nil {
				t.Fatal(err)
			}
		}
		x.index = mutate.AppendManifests(x.index, added)
		x.Images[platform] = digestOf(t, image)
		if x.Config == "" {
			manifest, err := image.Manifest()
			if err != nil {
				t.Fatal(err)
			}
			x.Config, x.Layer = manifest.Config.Digest.String(), manifest.Layers[0].Digest.String()
		}
	}
	x.Digest = digestOf(t, x.index)
	return x
}

// Within returns an index that lists this one.
func (x *Index) Within(t *testing.T) *Index {
	t.Helper()
	outer := *x
	outer.index = mutate.AppendManifests(empty.Index, mutate.IndexAddendum{Add: x.index})
	outer.Digest = digestOf(t, outer.index)
	return &outer
}

func digestOf(t *testing.T, of interface{ Digest() (v1.Hash, error) }) string {
	t.Helper()
	digest, err := of.Digest()
	if err != nil {
		t.Fatal(err)
	}
	return digest.String()
}

// Put puts an index with all its images in, by the tag latest, but for the manifests and blobs with these digests.
func (m *Mirror) Put(t *testing.T, repository string, x *Index, without ...string) {
	t.Helper()
	ref, err := name.ParseReference(m.Host+"/"+repository+":latest", name.Insecure)
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.WriteIndex(ref, x.index); err != nil {
		t.Fatal(err)
	}
	for _, digest := range without {
		kind := "manifests"
		if digest == x.Config || digest == x.Layer {
			kind = "blobs"
		}
		request, err := http.NewRequestWithContext(t.Context(), http.MethodDelete, "http://"+m.Host+"/v2/"+repository+"/"+kind+"/"+digest, nil)
		if err != nil {
			t.Fatal(err)
		}
		response, err := http.DefaultClient.Do(request)
		if err != nil || response.StatusCode != http.StatusAccepted || response.Body.Close() != nil {
			t.Fatalf("%v, %+v", err, response)
		}
	}
	m.Asked.Store(0)
}
