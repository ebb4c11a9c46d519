// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/perf/benchfmt"
	"golang.org/x/perf/benchmath"
)

// The last line of a row's output says how its run ended.
const (
	resultKey = "result: "
	resultOK  = "ok"
)

// fewest is how many runs benchmath needs to tell two ways apart.
const fewest = 4

// errNone says that a row was never run.
var errNone = errors.New("never run")

// output is what a row's run printed.
type output struct {
	about  map[string]string // the head
	runs   int               // as the head has it
	values map[string]map[string][]float64
}

func outputOf(folder, row string) string {
	return filepath.Join(folder, row+".txt")
}

// readOutput reads a row's. It fails where the run has not ended well: half of it is no measurement.
func readOutput(folder, row string) (*output, error) {
	path := outputOf(folder, row)
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, errNone
	}
	if err != nil {
		return nil, err
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	how, ended := strings.CutPrefix(lines[len(lines)-1], resultKey)
	switch {
	case !ended:
		return nil, errors.New("its run was cut off")
	case how != resultOK:
		return nil, fmt.Errorf("its run failed: %s", how)
	}
	o := &output{about: map[string]string{}, values: map[string]map[string][]float64{}}
	for _, line := range lines {
		key, value, ok := strings.Cut(line, ": ")
		if !ok {
			break // the head ends
		}
		o.about[key] = value
	}
	r := benchfmt.NewReader(bytes.NewReader(text), row)
	for r.Scan() {
		switch record := r.Result().(type) {
		case *benchfmt.Result:
			o.add(record)
		case *benchfmt.SyntaxError:
			return nil, fmt.Errorf("its output is damaged: line %d: %s", record.Line, record.Msg)
		}
	}
	if err := r.Err(); err != nil {
		return nil, fmt.Errorf("its output is damaged: %w", err)
	}
	if len(o.values) == 0 {
		return nil, errors.New("its run printed no benchmark")
	}
	for _, key := range []string{"command", "runs", "date", "commit", "machine"} {
		if o.about[key] == "" {
			return nil, fmt.Errorf("its output has no line %s", key)
		}
	}
	if o.runs, err = strconv.Atoi(o.about["runs"]); err != nil {
		return nil, fmt.Errorf("its output is damaged: runs: %w", err)
	}
	return o, nil
}

func (o *output) add(r *benchfmt.Result) {
	base, parts := r.Name.Parts()
	name := string(base)
	for _, part := range parts {
		if part[0] == '/' { // and not the number of processors
			name += string(part)
		}
	}
	if o.values[name] == nil {
		o.values[name] = map[string][]float64{}
	}
	for _, v := range r.Values {
		unit, value := v.Unit, v.Value
		if v.OrigUnit != "" {
			unit, value = v.OrigUnit, v.OrigValue
		}
		o.values[name][unit] = append(o.values[name][unit], value)
	}
}

// sample returns the measurements of a benchmark in a unit, or why there are none that say anything.
func (o *output) sample(benchmark, unit string) (*benchmath.Sample, error) {
	units, ok := o.values[benchmark]
	if !ok {
		return nil, fmt.Errorf("its run printed no Benchmark%s", benchmark)
	}
	values := units[unit]
	if len(values) == 0 {
		return nil, fmt.Errorf("its Benchmark%s printed no %s", benchmark, unit)
	}
	if len(values) < fewest {
		return nil, fmt.Errorf("its Benchmark%s has %d of at least %d runs", benchmark, len(values), fewest)
	}
	if len(values) != o.runs { // as where another program wrote into a line, which is none of a benchmark then
		return nil, fmt.Errorf("its Benchmark%s has %d values, of %d runs", benchmark, len(values), o.runs)
	}
	return benchmath.NewSample(values, &benchmath.DefaultThresholds), nil
}
