// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package manifests

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	yamlv2 "go.yaml.in/yaml/v2"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	kjson "sigs.k8s.io/json"
	"sigs.k8s.io/yaml"

	"github.com/mirrorset/mirrorset/internal/plugin/output"
)

// EachDocument reads files, directories (as kubectl does: *.yaml, *.yml and *.json, not what is below) and "-" for
// standard input, and passes on each document in JSON, with its place. Errors come to name the place.
func EachDocument(paths []string, stdin io.Reader, read func(place string, data []byte) error) error {
	for _, path := range paths {
		if path == "-" {
			if err := eachInStream("standard input", stdin, read); err != nil {
				return err
			}
			continue
		}
		files, err := filesOf(path)
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

// filesOf returns the path itself, or the manifests in it.
func filesOf(path string) ([]string, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, output.PrintablePath(err)
	}
	if !info.IsDir() {
		return []string{path}, nil
	}
	entries, err := os.ReadDir(path)
	if err != nil {
		return nil, output.PrintablePath(err)
	}
	var files []string
	for _, entry := range entries {
		file := filepath.Join(path, entry.Name())
		if !slices.Contains([]string{".json", ".yaml", ".yml"}, filepath.Ext(file)) {
			continue
		}
		target, err := os.Stat(file)
		if err != nil {
			return nil, output.PrintablePath(err)
		}
		if target.Mode()&fs.ModeType == 0 {
			files = append(files, file)
		}
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("%s: no file in this directory ends in .yaml, .yml or .json", output.Printable(path))
	}
	return files, nil
}

func eachInStream(name string, in io.Reader, read func(place string, data []byte) error) error {
	reader := utilyaml.NewYAMLReader(bufio.NewReader(in))
	for number := 1; ; number++ {
		document, err := reader.Read()
		if errors.Is(err, io.EOF) {
			return nil
		}
		place := fmt.Sprintf("%s: document %d", name, number)
		if err == nil {
			err = readDocument(place, document, read)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", place, err)
		}
	}
}

func readDocument(place string, document []byte, read func(place string, data []byte) error) error {
	data, err := yaml.YAMLToJSONStrict(document)
	if err != nil {
		return err
	}
	if err := onlyDocument(document); err != nil {
		return err
	}
	return read(place, data)
}

// onlyDocument fails where more follows the first object of what was cut off as one document: after "..." or an unusual
// line break, in UTF-16, or in JSON without separators. The conversion to JSON does not look at it.
func onlyDocument(document []byte) error {
	decoder := yamlv2.NewDecoder(bytes.NewReader(document))
	if err := decoder.Decode(&ignored{}); err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	if err := decoder.Decode(&ignored{}); !errors.Is(err, io.EOF) {
		return errors.New("more follows the first object of this document; separate objects by a line \"---\"")
	}
	return nil
}

// ignored takes any YAML.
type ignored struct{}

// UnmarshalYAML keeps nothing.
func (*ignored) UnmarshalYAML(func(any) error) error {
	return nil
}

// UnmarshalStrict refuses unknown and repeated fields, as the API server does with fieldValidation=Strict.
func UnmarshalStrict(data []byte, into any) error {
	strictErrs, err := kjson.UnmarshalStrict(data, into)
	if err != nil {
		return err
	}
	if len(strictErrs) == 0 {
		return nil
	}
	reasons := make([]string, 0, len(strictErrs))
	for _, e := range strictErrs {
		reasons = append(reasons, e.Error())
	}
	return errors.New(strings.Join(reasons, "; "))
}
