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
	"github.com/google/go-containerregistry/pkg/v1/mutate"
)

const root = "../.."

// ours builds the image of one of the project's Dockerfiles, and returns its configuration and what it holds by name and mode.
func ours(t *testing.T, dockerfile, context string, arguments map[string]string) (v1.Config, map[string]string) {
	t.Helper()
	image, err := source{dockerfile: string(read(t, root+"/"+dockerfile)), context: context, arguments: arguments}.build("amd64")
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
	config, held := ours(t, "Dockerfile", programs(t), map[string]string{"TARGETARCH": "arm64", "VERSION": "v1", "REVISION": "abc"})
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
	config, held := ours(t, "bundle.Dockerfile", root, nil)
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
	config, held := ours(t, "catalog.Dockerfile", root, nil)
	if want := onDisk(t, "catalog", "configs"); !maps.Equal(held, want) {
		t.Errorf("it holds %q, want %q", slices.Sorted(maps.Keys(held)), slices.Sorted(maps.Keys(want)))
	}
	if want := map[string]string{"operators.operatorframework.io.index.configs.v1": "/configs"}; !maps.Equal(config.Labels, want) {
		t.Errorf("the labels are %v, want %v", config.Labels, want)
	}
}

func TestWhatNeedsAContainerEngineIsRefused(t *testing.T) {
	for line, want := range map[string]string{
		"FROM golang":           "FROM golang: want scratch",
		"RUN make":              "RUN make: want FROM, ARG, COPY, LABEL, USER or ENTRYPOINT",
		"ARG OTHER":             "ARG OTHER: it has no value; give one with -arg OTHER=VALUE",
		"USER ${VERSION}":       "USER ${VERSION}: there is no ARG VERSION above",
		"COPY a":                "COPY a: want what is copied and where to",
		"COPY a b /c":           "COPY a b /c: want what is copied and where to",
		"COPY --chown=1 a /":    "COPY --chown=1 a /: want what is copied and where to, without options",
		"LABEL a":               "LABEL a: want one KEY=VALUE",
		`LABEL a="b"`:           "want one KEY=VALUE, without quotes and spaces",
		"LABEL a=b c=d":         "want one KEY=VALUE, without quotes and spaces",
		"ENTRYPOINT /manager":   `ENTRYPOINT /manager: want a list as ["/program"]`,
		"ENTRYPOINT [manager,]": "want a list as",
	} {
		if _, err := readDockerfile("FROM scratch\n\n# A comment.\n"+line+"\n", map[string]string{"VERSION": "v1"}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: the error is %v, want one with %s", line, err, want)
		}
	}
}
