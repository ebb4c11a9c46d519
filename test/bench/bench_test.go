// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

// Package bench measures the programs of bin/ as they are: make build comes first.
package bench

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// bin is where make build puts the programs.
const bin = "../../bin"

func BenchmarkSize(b *testing.B) {
	for _, program := range []string{"agent", "manager", "kubectl-mirrors"} {
		b.Run("program="+program, func(b *testing.B) {
			for b.Loop() {
				info, err := os.Stat(filepath.Join(bin, program))
				if err != nil {
					b.Fatal(err)
				}
				b.ReportMetric(float64(info.Size())/1e6, "size-MB")
			}
		})
	}
}

// BenchmarkPlugin runs whole processes over one file, and next to them a process that only decodes it.
func BenchmarkPlugin(b *testing.B) {
	dir := b.TempDir()
	decode := filepath.Join(dir, "decode")
	build := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w", "-o", decode, "./decode")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		b.Fatalf("%v\n%s", err, out)
	}
	plugin := filepath.Join(bin, "kubectl-mirrors")
	verbs := []struct {
		name string
		args []string
	}{
		{"explain", []string{"explain", image(0), "-f"}},
		{"render", []string{"render", "-f"}},
	}
	for _, verb := range verbs {
		for _, sets := range []int{1, 1000} {
			file := filepath.Join(dir, fmt.Sprintf("%d.yaml", sets))
			if err := os.WriteFile(file, manifests(sets), 0o600); err != nil {
				b.Fatal(err)
			}
			of := fmt.Sprintf("command=%s/sets=%d/", verb.name, sets)
			b.Run(of+"way=mirrorset", func(b *testing.B) { run(b, plugin, append(verb.args, file)...) })
			b.Run(of+"way=decode", func(b *testing.B) { run(b, decode, file) })
		}
	}
}

// run starts a program each time, and reports what it took of a processor beside the time that passed.
func run(b *testing.B, program string, args ...string) {
	var spent time.Duration
	for b.Loop() {
		cmd := exec.Command(program, args...)
		var stderr bytes.Buffer
		cmd.Stderr = &stderr
		if err := cmd.Run(); err != nil {
			b.Fatalf("%v\n%s", err, &stderr)
		}
		spent += cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	}
	b.ReportMetric(float64(spent.Microseconds())/1000/float64(b.N), "cpu-ms/op")
}

func source(i int) string {
	return fmt.Sprintf("registry-%d.example/team/app-%d", i%10, i)
}

func image(i int) string {
	return source(i) + "@sha256:4032c6d5bfd752342c3e631c2f1de93ba6b86c41db6b167b9a35372c139e7706"
}

// manifests are sets of one source with three mirrors each.
func manifests(sets int) []byte {
	var text bytes.Buffer
	for i := range sets {
		fmt.Fprintf(&text, "apiVersion: config.openshift.io/v1\nkind: ImageDigestMirrorSet\nmetadata:\n  name: set-%05d\nspec:\n  imageDigestMirrors:\n  - source: %s\n    mirrors:\n", i, source(i))
		for m := range 3 {
			fmt.Fprintf(&text, "    - mirror-%d.example:5000/%d/app-%d\n", m, i%100, i)
		}
		text.WriteString("---\n")
	}
	return text.Bytes()
}
