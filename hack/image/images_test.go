// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
)

const root = "../.."

// made makes an image, and returns its configuration and what it holds by name and mode.
func made(t *testing.T, s source, of, arch string) (v1.Config, map[string]string) {
	t.Helper()
	dir, err := layout.Write(t.TempDir(), empty.Index)
	if err != nil {
		t.Fatal(err)
	}
	described, err := addImage(dir, s, of, arch)
	if err != nil {
		t.Fatal(err)
	}
	if err := dir.AppendDescriptor(*described); err != nil {
		t.Fatal(err)
	}
	image, err := dir.Image(described.Digest)
	if err != nil {
		t.Fatal(err)
	}
	config, err := image.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	held := map[string]string{}
	content := mutate.Extract(image)
	defer func() { _ = content.Close() }()
	for r := tar.NewReader(content); ; {
		header, err := r.Next()
		if errors.Is(err, io.EOF) {
			return config.Config, held
		}
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		held[fmt.Sprintf("%s %o", header.Name, header.Mode)] = string(data)
	}
}

// onDisk is what a folder of the checkout comes to below another one of an image.
func onDisk(t *testing.T, folder, below string) map[string]string {
	t.Helper()
	held := map[string]string{}
	err := fs.WalkDir(os.DirFS(root), folder, func(path string, entry fs.DirEntry, err error) error {
		name := below + strings.TrimPrefix(path, folder)
		if entry.IsDir() {
			held[name+" 755"] = ""
			return err
		}
		held[name+" 644"] = string(read(t, filepath.Join(root, path)))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return held
}

func TestTheImageOfTheManagerAndTheAgent(t *testing.T) {
	config, held := made(t, source{root: programs(t), version: "v1", revision: "abc"}, "manager", "arm64")
	if want := map[string]string{"manager 755": "linux-arm64/manager", "agent 755": "linux-arm64/agent"}; !maps.Equal(held, want) {
		t.Errorf("it holds %q, want %q", held, want)
	}
	if config.User != "65532:65532" || !slices.Equal(config.Entrypoint, []string{"/manager"}) {
		t.Errorf("it is run as %q, by %q", config.User, config.Entrypoint)
	}
	if got := config.Labels; len(got) != 5 || got["org.opencontainers.image.version"] != "v1" || got["org.opencontainers.image.revision"] != "abc" {
		t.Errorf("the labels are %v", got)
	}
}

func TestTheImageOfTheBundle(t *testing.T) {
	config, held := made(t, source{root: root}, "bundle", "")
	want := onDisk(t, "bundle/manifests", "manifests")
	maps.Copy(want, onDisk(t, "bundle/metadata", "metadata"))
	maps.Copy(want, onDisk(t, "bundle/tests", "tests"))
	if !maps.Equal(held, want) {
		t.Errorf("it holds %q, want %q", slices.Sorted(maps.Keys(held)), slices.Sorted(maps.Keys(want)))
	}
	annotations := string(read(t, root+"/bundle/metadata/annotations.yaml"))
	if len(config.Labels) != strings.Count(annotations, "\n")-1 {
		t.Errorf("the labels are %v; want what is in\n%s", config.Labels, annotations)
	}
	for key, value := range config.Labels {
		if !strings.Contains(annotations, "  "+key+": "+value+"\n") {
			t.Errorf("label %s=%s is not in\n%s", key, value, annotations)
		}
	}
}

func TestTheImageOfTheCatalog(t *testing.T) {
	config, held := made(t, source{root: root}, "catalog", "")
	if want := onDisk(t, "catalog", "configs"); !maps.Equal(held, want) {
		t.Errorf("it holds %q, want %q", slices.Sorted(maps.Keys(held)), slices.Sorted(maps.Keys(want)))
	}
	if want := map[string]string{"operators.operatorframework.io.index.configs.v1": "/configs"}; !maps.Equal(config.Labels, want) {
		t.Errorf("the labels are %v, want %v", config.Labels, want)
	}
}
