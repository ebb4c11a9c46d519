// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"debug/buildinfo"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"time"
)

// bom is a bill of materials in the JSON of CycloneDX 1.6, as far as there is something to say.
type bom struct {
	Format       string       `json:"bomFormat"`
	SpecVersion  string       `json:"specVersion"`
	Version      int          `json:"version"`
	Metadata     metadata     `json:"metadata"`
	Components   []component  `json:"components"`
	Dependencies []dependency `json:"dependencies"`
}

type metadata struct {
	Timestamp string    `json:"timestamp"`
	Component component `json:"component"`
}

type component struct {
	Type     string    `json:"type"`
	Ref      string    `json:"bom-ref"`
	Name     string    `json:"name"`
	Version  string    `json:"version"`
	Hashes   []hash    `json:"hashes,omitempty"`
	Licenses []license `json:"licenses,omitempty"`
	PURL     string    `json:"purl,omitempty"`
}

type hash struct {
	Algorithm string `json:"alg"`
	Content   string `json:"content"`
}

type license struct {
	License struct {
		ID string `json:"id"`
	} `json:"license"`
}

type dependency struct {
	Ref       string   `json:"ref"`
	DependsOn []string `json:"dependsOn,omitempty"`
}

// billOfMaterials says which modules each program of the release was built from, as the programs themselves say it.
func (r release) billOfMaterials() ([]byte, error) {
	project := component{Type: "application", Name: "mirrorset", Version: r.version, Ref: purl(module, r.version), PURL: purl(module, r.version)}
	project.Licenses = make([]license, 1)
	project.Licenses[0].License.ID = "Apache-2.0"
	document := bom{
		Format: "CycloneDX", SpecVersion: "1.6", Version: 1,
		Metadata: metadata{Timestamp: r.time.Format(time.RFC3339), Component: project},
	}
	whole := dependency{Ref: project.Ref}
	libraries := make(map[string]component)
	var needs []dependency
	for _, path := range r.allPrograms() {
		data, err := os.ReadFile(filepath.Join(r.programs, path))
		if err != nil {
			return nil, err
		}
		info, err := buildinfo.Read(bytes.NewReader(data))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		sum := sha256.Sum256(data)
		document.Components = append(document.Components, component{
			Type: "application", Ref: path, Name: path, Version: r.version,
			Hashes: []hash{{Algorithm: "SHA-256", Content: hex.EncodeToString(sum[:])}},
		})
		whole.DependsOn = append(whole.DependsOn, path)
		program := dependency{Ref: path}
		for _, library := range linked(info) {
			libraries[library.Ref] = library
			program.DependsOn = append(program.DependsOn, library.Ref)
		}
		needs = append(needs, program)
	}
	document.Components = append(document.Components, slices.SortedFunc(maps.Values(libraries), func(a, b component) int {
		return cmp.Compare(a.Ref, b.Ref)
	})...)
	document.Dependencies = append([]dependency{whole}, needs...)
	text, err := json.MarshalIndent(document, "", " ")
	return append(text, '\n'), err
}

// allPrograms returns the programs of the image and of the archives, below the folder of programs.
func (r release) allPrograms() []string {
	var paths []string
	for _, arch := range r.architectures {
		paths = append(paths, "linux-"+arch+"/manager", "linux-"+arch+"/agent")
	}
	for _, p := range r.platforms {
		paths = append(paths, p.String()+"/"+p.executable(plugin))
	}
	return paths
}

// linked returns what a program was linked from: Go's own packages, and modules.
func linked(info *debug.BuildInfo) []component {
	found := []component{library("stdlib", strings.TrimPrefix(info.GoVersion, "go"))}
	for _, m := range info.Deps {
		if m.Replace != nil {
			m = m.Replace
		}
		found = append(found, library(m.Path, m.Version))
	}
	return found
}

func library(name, version string) component {
	url := purl(name, version)
	return component{Type: "library", Ref: url, Name: name, Version: version, PURL: url}
}

// purl returns the package URL of a Go module.
func purl(name, version string) string {
	return "pkg:golang/" + name + "@" + strings.ReplaceAll(version, "+", "%2B")
}
