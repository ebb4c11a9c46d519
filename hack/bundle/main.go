// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

// Command bundle writes the OLM bundle and the catalog out of what kustomize prints of config/manifests, which it reads from its
// standard input, and fails where they break a rule of OLM's. With -operatorhub it writes instead what a pull request to a repository of
// community operators adds. The same input gives the same files.
package main

import (
	"bufio"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

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
	flag.BoolVar(&r.operatorHub, "operatorhub", false, "write a submission to a repository of community operators")
	flag.StringVar(&r.catalogs, "catalogs", "", "that repository's catalogs, separated by spaces")
	flag.BoolVar(&r.first, "first", false, "the submission is the first to that repository")
	flag.StringVar(&r.root, "root", ".", "the checkout to read from")
	flag.StringVar(&r.out, "out", ".", "the folder to write into; the checkout for what is committed")
	flag.Parse()
	if flag.NArg() > 0 {
		fmt.Fprintf(os.Stderr, "bundle: unexpected argument %q\n", flag.Arg(0))
		os.Exit(2)
	}
	if err := r.write(os.Stdin); err != nil {
		fmt.Fprintln(os.Stderr, "bundle:", err)
		os.Exit(1)
	}
}

type release struct {
	version, channels, image, createdAt, sample, icon, catalogs, root, out string
	operatorHub, first                                                     bool
}

func (r release) write(manifests io.Reader) error {
	in, err := r.input()
	if err != nil {
		return err
	}
	catalog, err := olm.LoadCatalog(os.DirFS(r.root))
	if err != nil {
		return err
	}
	if err := catalog.MakeRoom(in.Version, in.Channels); err != nil {
		return err
	}
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
	if files[olm.CatalogFile], err = r.release(catalog, in, files); err != nil {
		return err
	}
	if r.operatorHub {
		if files, err = r.submission(catalog, in, files); err != nil {
			return err
		}
		return writeAll(r.out, files)
	}
	if err := os.RemoveAll(filepath.Join(r.out, "bundle")); err != nil {
		return err
	}
	return writeAll(r.out, files)
}

// channelName is narrower than OLM is, which takes a name that a user could not even give to it.
var channelName = regexp.MustCompile(`^[A-Za-z0-9]([-.A-Za-z0-9]*[A-Za-z0-9])?$`)

// input is what the flags say.
func (r release) input() (olm.Input, error) {
	in := olm.Input{Channels: strings.Split(r.channels, ","), CreatedAt: r.createdAt}
	version, err := semver.Parse(strings.TrimPrefix(r.version, "v"))
	if err != nil {
		return in, fmt.Errorf("VERSION=%s: %w", r.version, err)
	}
	if len(version.Build) > 0 {
		return in, fmt.Errorf("VERSION=%s: no tag of an image can have a +, and OLM cannot distinguish such versions", r.version)
	}
	if r.image == "" {
		return in, errors.New("BUNDLE_IMG is empty; want the image of the bundle")
	}
	for i, channel := range in.Channels {
		if !channelName.MatchString(channel) || slices.Contains(in.Channels[:i], channel) {
			return in, fmt.Errorf("CHANNELS=%s: want names, each once, of letters, digits, - and ., separated by commas without spaces", r.channels)
		}
	}
	if _, err := time.Parse(time.RFC3339, r.createdAt); r.createdAt != "" && err != nil {
		return in, fmt.Errorf("CREATED_AT=%s: want a time as 2026-11-25T00:00:00Z: %w", r.createdAt, err)
	}
	in.Version = version
	return in, nil
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

// release adds the bundle of these files to the catalog, looks whether the bundle is as OLM wants it, and returns the catalog's file, which
// opm judges in test/olm. Nothing is written where it shall be before that.
func (r release) release(catalog *olm.Catalog, in olm.Input, files map[string][]byte) ([]byte, error) {
	folder, err := os.MkdirTemp("", "mirrorset-bundle-")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(folder) }()
	if err := writeAll(folder, files); err != nil {
		return nil, err
	}
	bundle, err := olm.Load(os.DirFS(folder))
	if err != nil {
		return nil, err
	}
	if err := catalog.Add(bundle, r.image, in.Channels, in.DefaultChannel); err != nil {
		return nil, err
	}
	if err := errors.Join(bundle.Check()...); err != nil {
		return nil, err
	}
	return catalog.Bytes()
}

func writeAll(root string, files map[string][]byte) error {
	for name, content := range files {
		file := filepath.Join(root, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(file, content, 0o644); err != nil {
			return err
		}
	}
	return nil
}
