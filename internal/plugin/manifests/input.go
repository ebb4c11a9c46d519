// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package manifests

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"

	"github.com/mirrorset/mirrorset/internal/plugin/output"
)

// input is what the flags -f, -R and -k name.
type input struct {
	filenames []string
	recursive bool
	kustomize string
	stdin     io.Reader
}

// each passes on the documents in the order in which kubectl applies them.
func (in *input) each(ctx context.Context, read func(document) error) error {
	if in.kustomize != "" {
		return in.eachOfKustomization(read)
	}
	stdinUsed := false
	for _, name := range in.filenames {
		var err error
		switch {
		case name == "-" && stdinUsed:
			return errors.New("-f -: standard input can be read only once")
		case name == "-":
			stdinUsed = true
			err = eachInStream("standard input", in.stdin, read)
		case strings.HasPrefix(name, "http://"), strings.HasPrefix(name, "https://"):
			err = eachOfURL(ctx, name, read)
		default:
			err = in.eachOfPath(name, read)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// eachOfPath reads a file, a folder, or what a pattern matches.
func (in *input) eachOfPath(name string, read func(document) error) error {
	paths := []string{name}
	if _, err := os.Stat(name); errors.Is(err, fs.ErrNotExist) {
		if matches, err := filepath.Glob(name); err == nil && len(matches) > 0 {
			paths = matches
		}
	}
	for _, path := range paths {
		files, err := filesOf(path, in.recursive)
		if err != nil {
			return err
		}
		for _, file := range files {
			data, err := os.ReadFile(file)
			if err != nil {
				return output.PrintablePath(err)
			}
			if err := eachInStream(output.Printable(file), bytes.NewReader(data), read); err != nil {
				return err
			}
		}
	}
	return nil
}

// filesOf returns the path itself, or the manifests in it: those that end as kubectl wants it, and with -R those of folders below.
func filesOf(path string, recursive bool) ([]string, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, output.PrintablePath(err)
	}
	if !info.IsDir() {
		return []string{path}, nil
	}
	var files []string
	err = filepath.WalkDir(path, func(file string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && file != path && !recursive:
			return fs.SkipDir
		case entry.IsDir(), !slices.Contains([]string{".json", ".yaml", ".yml"}, filepath.Ext(file)):
			return nil
		}
		target, err := os.Stat(file)
		if err == nil && target.Mode()&fs.ModeType == 0 {
			files = append(files, file)
		}
		return err
	})
	if err != nil {
		return nil, output.PrintablePath(err)
	}
	if len(files) == 0 {
		const none = "no file in this directory ends in .yaml, .yml or .json"
		if !recursive {
			return nil, fmt.Errorf("%s: %s; to read subdirectories too, use -R", output.Printable(path), none)
		}
		return nil, fmt.Errorf("%s: %s", output.Printable(path), none)
	}
	return files, nil
}

// eachOfURL fetches a file. An answer that says that the server is in trouble is asked for again, as by kubectl.
func eachOfURL(ctx context.Context, url string, read func(document) error) error {
	const attempts = 3
	client := &http.Client{Timeout: 30 * time.Second}
	for attempt := 1; ; attempt++ {
		data, again, err := fetch(ctx, client, url)
		if err == nil {
			return eachInStream(output.Printable(url), bytes.NewReader(data), read)
		}
		if !again || attempt == attempts {
			return fmt.Errorf("%s: %w", output.Printable(url), err)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(time.Second):
		}
	}
}

func fetch(ctx context.Context, client *http.Client, url string) (data []byte, again bool, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return nil, false, err
	}
	response, err := client.Do(request)
	if err != nil {
		return nil, true, errors.Unwrap(err) // which names no URL again
	}
	defer func() { _ = response.Body.Close() }() // it was read, or is of no use
	if response.StatusCode != http.StatusOK {
		return nil, response.StatusCode >= http.StatusInternalServerError, fmt.Errorf("the server answered %s", response.Status)
	}
	data, err = io.ReadAll(response.Body)
	return data, true, err
}

// goField is how the JSON parser of Go's says that a field has a value of a wrong type.
var goField = regexp.MustCompile(`(?:json: )?cannot unmarshal (?:a )?(\w+) into Go struct field \w+\.([\w.]+) of type \S+`)

// eachOfKustomization builds a kustomization with kubectl's own library and options.
func (in *input) eachOfKustomization(read func(document) error) error {
	options := krusty.MakeDefaultOptions()
	options.Reorder = krusty.ReorderOptionLegacy
	built, err := krusty.MakeKustomizer(options).Run(filesys.MakeFsOnDisk(), in.kustomize)
	if err != nil {
		return fmt.Errorf("-k %s: %s", output.Printable(in.kustomize), goField.ReplaceAllString(err.Error(), "the field $2 has the wrong type ($1)"))
	}
	text, err := built.AsYaml()
	if err != nil {
		return fmt.Errorf("-k %s: %w", output.Printable(in.kustomize), err)
	}
	return eachInStream("kustomization "+output.Printable(in.kustomize), bytes.NewReader(text), read)
}
