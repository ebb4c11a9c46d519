// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

// Command decode reads the sets in files, as kubectl does, and does nothing with them: the floor of a verb of kubectl mirrors.
package main

import (
	"bufio"
	"errors"
	"io"
	"os"

	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/yaml"

	configv1 "github.com/mirrorset/mirrorset/api/config/v1"
)

func main() {
	for _, name := range os.Args[1:] {
		if err := read(name); err != nil {
			panic(err)
		}
	}
}

func read(name string) error {
	file, err := os.Open(name)
	if err != nil {
		return err
	}
	documents := utilyaml.NewYAMLReader(bufio.NewReader(file))
	for {
		text, err := documents.Read()
		if errors.Is(err, io.EOF) {
			return file.Close()
		}
		if err != nil {
			return err
		}
		var set configv1.ImageDigestMirrorSet
		if err := yaml.UnmarshalStrict(text, &set); err != nil {
			return err
		}
	}
}
