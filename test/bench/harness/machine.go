// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"fmt"
	"os"
	"regexp"
	"runtime"
	"strings"
)

// kernelVersion is the upstream version in a kernel's release. What follows it is a distribution's, or somebody's own.
var kernelVersion = regexp.MustCompile(`^\d+\.\d+(\.\d+)?`)

// thisMachine is what figures depend on, and not whose machine it is.
func thisMachine() (string, error) {
	info, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return "", err
	}
	release, err := os.ReadFile("/proc/sys/kernel/osrelease")
	if err != nil {
		return "", err
	}
	return machine(string(info), string(release), runtime.Version()), nil
}

// machine describes one by its /proc/cpuinfo, its kernel's release and the version of Go.
func machine(cpuinfo, release, goVersion string) string {
	processors, model := 0, ""
	for lines := bufio.NewScanner(strings.NewReader(cpuinfo)); lines.Scan(); {
		key, value, _ := strings.Cut(lines.Text(), ":")
		switch strings.TrimSpace(key) {
		case "processor":
			processors++
		case "model name":
			model = strings.TrimSpace(value)
		}
	}
	if model == "" {
		model = "of no name" // as on many arm64 machines
	}
	plural := "s"
	if processors == 1 {
		plural = ""
	}
	return fmt.Sprintf("%d processor%s (%s), Linux %s, %s", processors, plural, model, kernelVersion.FindString(release), goVersion)
}
