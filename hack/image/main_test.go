// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

func TestArchiveAndDigest(t *testing.T) {
	out := t.TempDir()
	src := source{root: programs(t), version: "v1", revision: "abc"}
	var archives [2][]byte
	for i := range archives {
		path := filepath.Join(out, "image.tar")
		if err := src.write("manager", "registry.example/mirrorset:v1", []string{"amd64", "arm64"}, path); err != nil {
			t.Fatal(err)
		}
		archives[i] = read(t, path)
	}
	if !bytes.Equal(archives[0], archives[1]) {
		t.Error("the same programs gave two archives that differ")
	}

	var index v1.IndexManifest
	if err := json.Unmarshal(entry(t, archives[0], "index.json"), &index); err != nil {
		t.Fatal(err)
	}
	want := index.Manifests[0].Digest.String()
	if got := strings.TrimSpace(string(read(t, filepath.Join(out, "image.digest")))); got != want {
		t.Errorf("the digest is %s, and that of the archive's image %s", got, want)
	}
	var image ocispec.Index
	text := entry(t, archives[0], "blobs/sha256/"+index.Manifests[0].Digest.Hex)
	if err := json.Unmarshal(text, &image); err != nil {
		t.Fatal(err)
	}
	if len(image.Manifests) != 2 || image.Manifests[1].Platform.Architecture != "arm64" || image.Manifests[1].Platform.OS != "linux" {
		t.Errorf("the image is not one for amd64 and one for arm64: %s", text)
	}
	if again, err := json.Marshal(image); err != nil || !bytes.Equal(text, again) {
		t.Errorf("a tool that writes the index anew writes another one (%v):\n%s\n%s", err, text, again)
	}
	entry(t, archives[0], "blobs/sha256/"+image.Manifests[1].Digest.Encoded())
}

// An image for all architectures is no list, in which nodes of others would find nothing.
func TestAnImageForAllArchitectures(t *testing.T) {
	out := filepath.Join(t.TempDir(), "image.tar")
	if err := (source{root: root}).write("catalog", "registry.example/files:v1", nil, out); err != nil {
		t.Fatal(err)
	}
	archive := read(t, out)
	var index v1.IndexManifest
	if err := json.Unmarshal(entry(t, archive, "index.json"), &index); err != nil {
		t.Fatal(err)
	}
	only := index.Manifests[0]
	if len(index.Manifests) != 1 || string(only.MediaType) != ocispec.MediaTypeImageManifest || only.Annotations["io.containerd.image.name"] != "registry.example/files:v1" {
		t.Errorf("the archive has %+v; want one image by its name", index.Manifests)
	}
	if got := strings.TrimSpace(string(read(t, strings.TrimSuffix(out, ".tar")+".digest"))); got != only.Digest.String() {
		t.Errorf("the digest is %s, and that of the archive's image %s", got, only.Digest)
	}
	entry(t, archive, "blobs/sha256/"+only.Digest.Hex)
}

func TestANameWithoutATagIsRefused(t *testing.T) {
	out := filepath.Join(t.TempDir(), "image.tar")
	for _, name := range []string{"", "files", "registry.example:5000/files", "registry.example/files@sha256:" + strings.Repeat("0", 64), "registry.example/files:v1+a"} {
		err := source{root: root}.write("catalog", name, nil, out)
		if err == nil || err.Error() != "-name "+name+": want NAME:TAG" {
			t.Errorf("%q: the error is %v", name, err)
		}
	}
}

func TestAnImageThatThereIsNotIsRefused(t *testing.T) {
	out := filepath.Join(t.TempDir(), "image.tar")
	if err := (source{root: root}).write("other", "registry.example/other:v1", nil, out); err == nil || err.Error() != `-of: want one of ["bundle" "catalog" "manager"]` {
		t.Errorf("the error is %v", err)
	}
	if err := (source{root: root}).write("manager", "registry.example/manager:v1", []string{"none"}, out); err == nil || !strings.Contains(err.Error(), "none: ") {
		t.Errorf("the error is %v; want one with the architecture", err)
	}
}

// programs is a folder with some to pack.
func programs(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for _, program := range []string{"linux-amd64/manager", "linux-amd64/agent", "linux-arm64/manager", "linux-arm64/agent"} {
		file := filepath.Join(dir, "bin", program)
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(program), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// entry returns one file of an archive.
func entry(t *testing.T, archive []byte, name string) []byte {
	t.Helper()
	r := tar.NewReader(bytes.NewReader(archive))
	for {
		header, err := r.Next()
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if header.ModTime.Unix() != 0 {
			t.Errorf("%s has the time %s, which is another one the next time", header.Name, header.ModTime)
		}
		if header.Name == name {
			data, err := io.ReadAll(r)
			if err != nil {
				t.Fatal(err)
			}
			return data
		}
	}
}
