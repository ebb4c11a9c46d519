// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// recipe is what a Dockerfile says of an image.
type recipe struct {
	copies []copying
	config v1.Config
}

// copying is one COPY: files and folders of the context, and where they go.
type copying struct {
	from []string
	to   string
}

// readDockerfile reads the few instructions that make an image of files alone, and refuses all others. The arguments are the values of
// what the Dockerfile declares by ARG.
func readDockerfile(text string, arguments map[string]string) (recipe, error) {
	r := recipe{config: v1.Config{Labels: map[string]string{}}}
	declared := map[string]string{}
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		instruction, rest, _ := strings.Cut(line, " ")
		if err := r.read(instruction, strings.TrimSpace(rest), declared, arguments); err != nil {
			return recipe{}, fmt.Errorf("%s: %w", line, err)
		}
	}
	return r, nil
}

func (r *recipe) read(instruction, rest string, declared, arguments map[string]string) (err error) {
	expanded := os.Expand(rest, func(name string) string {
		value, ok := declared[name]
		if !ok {
			err = fmt.Errorf("there is no ARG %s above", name)
		}
		return value
	})
	if err != nil {
		return err
	}
	switch instruction {
	case "FROM":
		if rest != "scratch" {
			return fmt.Errorf("want scratch: no other image is pulled")
		}
	case "ARG":
		value, ok := arguments[rest]
		if !ok {
			return fmt.Errorf("it has no value; give one with -arg %s=VALUE", rest)
		}
		declared[rest] = value
	case "COPY":
		words := strings.Fields(expanded)
		last := len(words) - 1
		if last < 1 || strings.HasPrefix(words[0], "-") || last > 1 && !strings.HasSuffix(words[last], "/") {
			return fmt.Errorf("want what is copied and where to, without options; a folder, for more than one, ends with /")
		}
		r.copies = append(r.copies, copying{from: words[:last], to: words[last]})
	case "LABEL":
		key, value, ok := strings.Cut(expanded, "=")
		if !ok || strings.ContainsAny(rest, "\"'\\ ") {
			return fmt.Errorf("want one KEY=VALUE, without quotes and spaces")
		}
		r.config.Labels[key] = value
	case "USER":
		r.config.User = expanded
	case "ENTRYPOINT":
		if err := json.Unmarshal([]byte(expanded), &r.config.Entrypoint); err != nil {
			return fmt.Errorf("want a list as [\"/program\"]: %w", err)
		}
	default:
		return fmt.Errorf("want FROM, ARG, COPY, LABEL, USER or ENTRYPOINT: no container runs to make the image")
	}
	return nil
}
