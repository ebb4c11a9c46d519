// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

// Command bundle writes the OLM bundle and the catalog out of what kustomize prints of config/manifests, which it reads from its
// standard input, and fails where they break a rule of OLM's. The same input gives the same files.
package main

import (
	"bufio"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/blang/semver/v4"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/yaml"

	"github.com/mirrorset/mirrorset/hack/bundle/olm"
)

func main() {
	var r release
	flag.StringVar(&r.version, "version", "", "version of the bundle, with or without a v")
	flag.StringVar(&r.channels, "channels", "candidate,fast,stable", "channels that it is released to, separated by commas")
	flag.StringVar(&r.image, "image", "", "image of the bundle, for the catalog")
	flag.StringVar(&r.createdAt, "created-at", "", "when the release was made; nothing for a bundle that does not say so")
	flag.StringVar(&r.sample, "sample", "config/samples/10-site.yaml", "the set that people begin with")
	flag.StringVar(&r.icon, "icon", "config/manifests/icon.svg", "the operator's icon")
	flag.StringVar(&r.root, "root", ".", "the checkout to write into")
	flag.Parse()
	if err := r.write(os.Stdin); err != nil {
		fmt.Fprintln(os.Stderr, "bundle:", err)
		os.Exit(1)
	}
}

type release struct {
	version, channels, image, createdAt, sample, icon, root string
}

func (r release) write(manifests io.Reader) error {
	version, err := semver.Parse(strings.TrimPrefix(r.version, "v"))
	if err != nil {
		return fmt.Errorf("-version %q: %w", r.version, err)
	}
	in := olm.Input{Version: version, Channels: strings.Split(r.channels, ","), CreatedAt: r.createdAt}
	catalog, err := olm.LoadCatalog(os.DirFS(r.root))
	if err != nil {
		return err
	}
	catalog.MakeRoom(version)
	in.DefaultChannel = catalog.DefaultChannel(in.Channels)
	in.Replaces, err = catalog.Head(in.DefaultChannel)
	if err != nil {
		return err
	}
	in.Objects, err = read(manifests)
	if err != nil {
		return err
	}
	in.Sample, err = os.ReadFile(filepath.Join(r.root, r.sample))
	if err != nil {
		return err
	}
	in.Icon, err = os.ReadFile(filepath.Join(r.root, r.icon))
	if err != nil {
		return err
	}
	files, err := olm.Generate(in)
	if err != nil {
		return err
	}
	if err := r.replace(files); err != nil {
		return err
	}
	return r.release(catalog, in)
}

// read reads what kustomize prints.
func read(manifests io.Reader) ([]*unstructured.Unstructured, error) {
	var objects []*unstructured.Unstructured
	for documents := yaml.NewYAMLReader(bufio.NewReader(manifests)); ; {
		document, err := documents.Read()
		if errors.Is(err, io.EOF) {
			return objects, nil
		}
		if err != nil {
			return nil, err
		}
		object, err := olm.Object(document)
		if err != nil {
			return nil, err
		}
		objects = append(objects, object)
	}
}

// replace writes the bundle's files in the place of what was there.
func (r release) replace(files map[string][]byte) error {
	if err := os.RemoveAll(filepath.Join(r.root, "bundle")); err != nil {
		return err
	}
	for name, content := range files {
		if err := r.writeFile(name, content); err != nil {
			return err
		}
	}
	return nil
}

func (r release) writeFile(name string, content []byte) error {
	file := filepath.Join(r.root, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return err
	}
	return os.WriteFile(file, content, 0o644)
}

// release adds the bundle to the catalog, and looks whether both are as OLM wants them.
func (r release) release(catalog *olm.Catalog, in olm.Input) error {
	bundle, err := olm.Load(os.DirFS(r.root))
	if err != nil {
		return err
	}
	if err := catalog.Add(bundle, r.image, in.Channels, in.DefaultChannel); err != nil {
		return err
	}
	content, err := catalog.Bytes()
	if err != nil {
		return err
	}
	if err := r.writeFile(olm.CatalogFile, content); err != nil {
		return err
	}
	broken := slices.Concat(bundle.Check(), catalog.Check(bundle))
	return errors.Join(broken...)
}
