// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

// Command release writes the parts of a release that no other tool makes: the plugin's archives and its manifest for
// krew, the bill of materials, and the notes. The same programs, version and time give the same bytes.
package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"
)

// module is where the project lives: on GitHub, and as a Go module.
const module = "github.com/mirrorset/mirrorset"

// release is what is being released.
type release struct {
	version string
	time    time.Time // of its commit
	// programs is the folder that has a folder OS-ARCH of programs for each platform.
	programs string
	// platforms are those of the plugin, architectures those of the image.
	platforms     []platform
	architectures []string
}

// platform is an operating system and an architecture, in Go's words.
type platform struct{ os, arch string }

func (p platform) String() string { return p.os + "-" + p.arch }

// executable returns the file name of a program there.
func (p platform) executable(program string) string {
	if p.os == "windows" {
		return program + ".exe"
	}
	return program
}

func main() {
	version := flag.String("version", "", "version, as in v0.1.0")
	seconds := flag.Int64("time", 0, "time of the commit, in seconds since 1970")
	programs := flag.String("programs", "bin", "folder with a folder OS-ARCH of programs for each platform")
	platforms := flag.String("platforms", "", "the plugin's platforms, as OS/ARCH separated by commas")
	architectures := flag.String("architectures", "", "the image's architectures, separated by commas")
	out := flag.String("out", "dist", "folder to write to")
	flag.Parse()
	r := release{version: *version, time: time.Unix(*seconds, 0).UTC(), programs: *programs, architectures: strings.Split(*architectures, ",")}
	for name := range strings.SplitSeq(*platforms, ",") {
		goos, arch, _ := strings.Cut(name, "/")
		r.platforms = append(r.platforms, platform{os: goos, arch: arch})
	}
	if err := r.write(*out); err != nil {
		fmt.Fprintln(os.Stderr, "release:", err)
		os.Exit(1)
	}
}

// semantic is a version that Go, krew and OCI registries take alike: it becomes a tag of the image, so it has no build metadata.
var semantic = regexp.MustCompile(`^v(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(-[0-9A-Za-z.-]+)?$`)

// preRelease reports whether people get this version only if they ask for it.
func (r release) preRelease() bool { return strings.Contains(r.version, "-") }

// write writes all files of the release into a folder.
func (r release) write(out string) error {
	license, err := os.ReadFile("LICENSE")
	if err != nil {
		return err
	}
	changelog, err := os.ReadFile("CHANGELOG.md")
	if err != nil {
		return err
	}
	catalog, err := os.ReadFile(filepath.Join(out, "catalog.yaml"))
	if err != nil {
		return err
	}
	if err := wantInCatalog(string(changelog), string(catalog)); err != nil {
		return fmt.Errorf("catalog.yaml: %w", err)
	}
	files, err := r.files(license, string(changelog))
	if err != nil {
		return err
	}
	if err := os.MkdirAll(out, 0o755); err != nil {
		return err
	}
	for name, data := range files {
		if err := os.WriteFile(filepath.Join(out, name), data, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// files returns the files of the release by name.
func (r release) files(license []byte, changelog string) (map[string][]byte, error) {
	if !semantic.MatchString(r.version) {
		return nil, fmt.Errorf("version %q is not of the form v1.2.3 or v1.2.3-rc.1", r.version)
	}
	notes, err := r.notes(changelog)
	if err != nil {
		return nil, fmt.Errorf("CHANGELOG.md: %w", err)
	}
	bom, err := r.billOfMaterials()
	if err != nil {
		return nil, err
	}
	files := map[string][]byte{"release-notes.md": []byte(notes), "mirrorset.cdx.json": bom}
	for _, p := range r.platforms {
		program, err := os.ReadFile(filepath.Join(r.programs, p.String(), p.executable(plugin)))
		if err != nil {
			return nil, err
		}
		content := []file{{name: p.executable(plugin), mode: 0o755, data: program}, {name: "LICENSE", mode: 0o644, data: license}}
		if files[archiveName(p)], err = pack(p, content, r.time); err != nil {
			return nil, err
		}
	}
	files["mirrors.yaml"], err = r.krewManifest(files)
	return files, err
}
