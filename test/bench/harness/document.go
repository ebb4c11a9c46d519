// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// The names of the parts of the document that are written here. Each is between two comments with its name.
const (
	partTable   = "table"
	partPlots   = "plots"
	partScaling = "scaling"
)

// report writes the results of the rows into the document, and the plots next to it.
func report(from, docs string, console io.Writer) error {
	path := filepath.Join(docs, "explanation", "performance.md")
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	results := judgeAll(from)
	images := drawAll(results)
	document := string(text)
	for name, part := range map[string]string{partTable: table(results), partPlots: images.links(), partScaling: scaling(results)} {
		if document, err = replacePart(document, name, part); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
	}
	if err := images.write(filepath.Join(docs, "images")); err != nil {
		return err
	}
	if err := os.WriteFile(path, []byte(document), 0o644); err != nil {
		return err
	}
	fmt.Fprintln(console, "wrote", path)
	for _, name := range unexplained(document, results) {
		fmt.Fprintf(console, "%s misses a goal; add a section `### %s` to %s that shows where its time goes\n", name, name, path)
	}
	return nil
}

// replacePart puts a part of the document in the place of the one that is there.
func replacePart(document, name, part string) (string, error) {
	begin, end := "<!-- bench: "+name+" -->\n", "<!-- /bench: "+name+" -->\n"
	before, rest, begins := strings.Cut(document, begin)
	_, after, ends := strings.Cut(rest, end)
	if !begins || !ends {
		return "", fmt.Errorf("it has no lines %s and %s", strings.TrimSpace(begin), strings.TrimSpace(end))
	}
	if strings.Contains(before, begin) || strings.Contains(after, begin) {
		return "", errors.New("it has " + strings.TrimSpace(begin) + " twice")
	}
	return before + begin + "\n" + strings.TrimSpace(part) + "\n\n" + end + after, nil
}

// unexplained are the rows that miss a goal without an explanation in the document.
func unexplained(document string, results []result) (names []string) {
	for i := range results {
		misses := false
		for _, v := range results[i].verdicts {
			misses = misses || v.missing == nil && !v.reached
		}
		if misses && !strings.Contains(document, "\n### "+results[i].name+"\n") {
			names = append(names, results[i].name)
		}
	}
	return names
}
