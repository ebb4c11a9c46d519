// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

// Command image writes one of the project's images as an OCI archive, and needs no container engine, and the digest that registries
// will know it by. The same files give the same bytes.
package main

import (
	"errors"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing/fstest"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
)

func main() {
	var s source
	of := flag.String("of", "", "the image: manager, bundle or catalog")
	flag.StringVar(&s.root, "root", ".", "folder with what is in the image")
	flag.StringVar(&s.version, "version", "", "version of the programs, for a label")
	flag.StringVar(&s.revision, "revision", "", "commit that they were built from, for a label")
	full := flag.String("name", "", "full name of the image, with its tag")
	architectures := flag.String("architectures", "", "architectures, separated by commas; nothing for an image of files that are the same on each")
	out := flag.String("out", "", "the archive to write; the digest goes to the same name with .digest for .tar")
	flag.Parse()
	if err := s.write(*of, *full, strings.FieldsFunc(*architectures, func(r rune) bool { return r == ',' }), *out); err != nil {
		fmt.Fprintf(os.Stderr, "image: %s: %v\n", *of, err)
		os.Exit(1)
	}
}

// write makes an image, and writes its archive and its digest.
func (s source) write(of, full string, architectures []string, out string) (err error) {
	if recipes[of] == nil {
		return fmt.Errorf("-of: want one of %q", slices.Sorted(maps.Keys(recipes)))
	}
	// A name without a tag would be cut at the port of its registry, where the digest replaces the tag.
	if tag, err := name.NewTag(full); err != nil || !strings.HasSuffix(full, ":"+tag.TagStr()) {
		return fmt.Errorf("-name %s: want NAME:TAG", full)
	}
	dir, err := os.MkdirTemp("", "mirrorset-image-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	to, err := layout.Write(dir, empty.Index)
	if err != nil {
		return err
	}
	var image *v1.Descriptor
	if len(architectures) > 0 {
		image, err = addIndex(to, s, of, architectures)
	} else {
		image, err = addImage(to, s, of, "")
	}
	if err != nil {
		return err
	}
	// The first annotation names the image for OCI tools, the second for containerd's import.
	image.Annotations = map[string]string{"org.opencontainers.image.ref.name": full, "io.containerd.image.name": full}
	if err := to.AppendDescriptor(*image); err != nil {
		return err
	}
	written := fstest.MapFS{}
	if err := take(written, dir, ".", "."); err != nil {
		return err
	}
	archive, err := pack(written)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(out), 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(out, archive, 0o644); err != nil {
		return err
	}
	return os.WriteFile(strings.TrimSuffix(out, ".tar")+".digest", []byte(image.Digest.String()+"\n"), 0o644)
}
