// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/mirrorset/mirrorset/test/controlplane"
)

// sample is what a program took while it was at rest.
type sample struct {
	rss int64   // bytes
	cpu float64 // of one processor
}

func (s sample) print(format string, args ...any) {
	fmt.Printf("BenchmarkAtRest/program="+format+" 1 %.1f rss-MB %.3f cpu-%%\n", append(args, float64(s.rss)/1e6, 100*s.cpu)...)
}

// atRest lets programs come to rest, and measures them all over the same time.
func atRest(ctx context.Context, o options, ours, least []*controlplane.Process) (mirrorset, floor []sample, err error) {
	if err := sleep(ctx, o.settle); err != nil {
		return nil, nil, err
	}
	all := append(append([]*controlplane.Process{}, ours...), least...)
	began := time.Now()
	before := make([]time.Duration, len(all))
	for i, p := range all {
		if before[i], err = processorTime(p.PID()); err != nil {
			return nil, nil, err
		}
	}
	if err := sleep(ctx, o.window); err != nil {
		return nil, nil, err
	}
	samples := make([]sample, len(all))
	for i, p := range all {
		spent, err := processorTime(p.PID())
		if err != nil {
			return nil, nil, err
		}
		samples[i].cpu = (spent - before[i]).Seconds() / time.Since(began).Seconds()
		if samples[i].rss, err = resident(p.PID()); err != nil {
			return nil, nil, err
		}
	}
	return samples[:len(ours)], samples[len(ours):], nil
}

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}

// family returns a process and its children.
func family(pid int) ([]int, error) {
	files, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	if err != nil {
		return nil, err
	}
	all := []int{pid}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		for _, child := range strings.Fields(string(text)) {
			n, err := strconv.Atoi(child)
			if err != nil {
				return nil, err
			}
			all = append(all, n)
		}
	}
	return all, nil
}

// processorTime is what the threads of a process and its children have run so far.
func processorTime(pid int) (sum time.Duration, err error) {
	all, err := family(pid)
	if err != nil {
		return 0, err
	}
	for _, pid := range all {
		files, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", pid))
		if err != nil {
			return 0, err
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				return 0, err
			}
			var ns int64
			if _, err := fmt.Sscan(string(text), &ns); err != nil {
				return 0, fmt.Errorf("%s: %w", file, err)
			}
			sum += time.Duration(ns)
		}
	}
	return sum, nil
}

var (
	anonymous  = regexp.MustCompile(`(?m)^RssAnon:\s+(\d+) kB$`)
	fromAFile  = regexp.MustCompile(`(?m)^RssFile:\s+(\d+) kB$`)
	sharedOnes = regexp.MustCompile(`(?m)^RssShmem:\s+(\d+) kB$`)
)

// resident is the memory of a process and its children, which run the same program: its pages count once.
func resident(pid int) (bytes int64, err error) {
	all, err := family(pid)
	if err != nil {
		return 0, err
	}
	var program int64
	for _, pid := range all {
		status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
		if err != nil {
			return 0, err
		}
		for _, kind := range []*regexp.Regexp{anonymous, fromAFile, sharedOnes} {
			found := kind.FindSubmatch(status)
			if found == nil {
				return 0, fmt.Errorf("/proc/%d/status says nothing of %s", pid, kind)
			}
			kib, err := strconv.ParseInt(string(found[1]), 10, 64)
			if err != nil {
				return 0, err
			}
			if kind == fromAFile {
				program = max(program, kib<<10)
			} else {
				bytes += kib << 10
			}
		}
	}
	return bytes + program, nil
}
