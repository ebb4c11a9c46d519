// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

// Command image writes what a Dockerfile of files alone describes as an OCI archive, and needs no container engine, and the digest that
// registries will know it by. The same files give the same bytes.
package main

import (
	"archive/tar"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
)

func main() {
	dockerfile := flag.String("dockerfile", "Dockerfile", "what the image is")
	s := source{arguments: map[string]string{}}
	flag.StringVar(&s.context, "context", ".", "folder that the Dockerfile copies from")
	flag.Func("arg", "NAME=VALUE of an argument that the Dockerfile declares; may be repeated", func(text string) error {
		name, value, ok := strings.Cut(text, "=")
		if !ok {
			return errors.New("want NAME=VALUE")
		}
		s.arguments[name] = value
		return nil
	})
	full := flag.String("name", "", "full name of the image, with its tag")
	architectures := flag.String("architectures", "", "architectures, separated by commas; nothing for an image of files that are the same on each")
	out := flag.String("out", "", "the archive to write; the digest goes to the same name with .digest for .tar")
	flag.Parse()
	text, err := os.ReadFile(*dockerfile)
	if err == nil {
		s.dockerfile = string(text)
		err = s.write(*full, strings.FieldsFunc(*architectures, func(r rune) bool { return r == ',' }), *out)
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "image: %s: %v\n", *dockerfile, err)
		os.Exit(1)
	}
}

// write builds the image and writes its archive and its digest.
func (s source) write(full string, architectures []string, out string) (err error) {
	// What has no tag would be cut at the port of its registry, where the digest takes the tag's place.
	if tag, err := name.NewTag(full); err != nil || !strings.HasSuffix(full, ":"+tag.TagStr()) {
		return fmt.Errorf("-name %s: want NAME:TAG", full)
	}
	dir, err := os.MkdirTemp("", "mirrorset-image-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	written, err := layout.Write(dir, empty.Index)
	if err != nil {
		return err
	}
	// The first annotation names the image for OCI tools, the second for containerd's import.
	names := layout.WithAnnotations(map[string]string{
		"org.opencontainers.image.ref.name": full,
		"io.containerd.image.name":          full,
	})
	var sum v1.Hash
	if len(architectures) > 0 {
		sum, err = s.appendIndex(written, architectures, names)
	} else {
		sum, err = s.appendImage(written, names)
	}
	if err != nil {
		return err
	}
	if err := archive(dir, out); err != nil {
		return err
	}
	return os.WriteFile(strings.TrimSuffix(out, ".tar")+".digest", []byte(sum.String()+"\n"), 0o644)
}

func (s source) appendIndex(to layout.Path, architectures []string, names layout.Option) (v1.Hash, error) {
	all, err := s.buildIndex(architectures)
	if err != nil {
		return v1.Hash{}, err
	}
	if err := to.AppendIndex(all, names); err != nil {
		return v1.Hash{}, err
	}
	return all.Digest()
}

// appendImage appends an image for every architecture. It has to name one, and is no list for a few, in which nodes of all others would
// find nothing: runtimes look for theirs in lists only.
func (s source) appendImage(to layout.Path, names layout.Option) (v1.Hash, error) {
	image, err := s.build("amd64")
	if err != nil {
		return v1.Hash{}, err
	}
	if err := to.AppendImage(image, names); err != nil {
		return v1.Hash{}, err
	}
	return image.Digest()
}

// archive packs an OCI layout into one file.
func archive(dir, out string) (err error) {
	if err := os.MkdirAll(filepath.Dir(out), 0o755); err != nil {
		return err
	}
	file, err := os.Create(out)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	w := tar.NewWriter(file)
	err = fs.WalkDir(os.DirFS(dir), ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		data, err := os.ReadFile(filepath.Join(dir, path))
		if err != nil {
			return err
		}
		if err := w.WriteHeader(&tar.Header{Name: path, Mode: 0o644, Size: int64(len(data))}); err != nil {
			return err
		}
		_, err = w.Write(data)
		return err
	})
	return errors.Join(err, w.Close())
}
