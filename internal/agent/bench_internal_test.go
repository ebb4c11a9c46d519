// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/go-logr/logr"

	"github.com/mirrorset/mirrorset/internal/mirrors"
	"github.com/mirrorset/mirrorset/internal/payload"
	"github.com/mirrorset/mirrorset/internal/registriesconf"
)

// benchSources are where the 10,000 sources of a benchmark are: on one registry, or on one each.
var benchSources = []struct{ registries, source string }{
	{"one", "s.example.com/team%05d"},
	{"each", "r%05d.example.com"},
}

// rules10000 are 10,000 sources with 3 mirrors each. Those of another variant have other mirrors everywhere, and nothing else changed.
func rules10000(source, variant string) []mirrors.Rule {
	rules := make([]mirrors.Rule, 10000)
	for i := range rules {
		rules[i] = mirrors.Rule{Source: mirrors.Scope(fmt.Sprintf(source, i))}
		for j := range 3 {
			rules[i].Mirrors = append(rules[i].Mirrors, mirrors.Mirror{Location: mirrors.Scope(fmt.Sprintf("m%d.local:5000/%s%05d", j, variant, i)), Modes: mirrors.ByDigest})
		}
	}
	return rules
}

func encoded(b *testing.B, rules []mirrors.Rule) []byte {
	b.Helper()
	text, err := registriesconf.Encode(rules)
	if err != nil {
		b.Fatal(err)
	}
	return text
}

// benchLoop is the loop of a node with containerd's folder and a redirector, which is run pass by pass.
func benchLoop(b *testing.B) *loop {
	b.Helper()
	n, root, _ := newHost(b, nil)
	if err := os.MkdirAll(filepath.Join(root, certsDir), 0o755); err != nil {
		b.Fatal(err)
	}
	n.log = logr.Discard()
	return loopOf(b, n.successor(b), root, "bench")
}

func passOnce(b *testing.B, l *loop) {
	b.Helper()
	if err := l.pass(b.Context()); err != nil || !l.node.isWhole() || len(l.node.findings) > 0 {
		b.Fatalf("error %v, findings %v", err, l.node.findings)
	}
}

// BenchmarkPass is what an agent does with a revision in which each of 10,000 sources has other mirrors: it reads the ConfigMap, tries the rules
// beside the host's files, and replaces the drop-in and the hosts.toml files. The floor for one registry is to encode the same rules, and to replace one
// file by the text; and for as many registries to replace as many files, each in a folder of its own, by as many writers at once as the disk gives most to.
func BenchmarkPass(b *testing.B) {
	for _, of := range benchSources {
		variants := [][]mirrors.Rule{rules10000(of.source, "a"), rules10000(of.source, "b")}
		b.Run("registries="+of.registries+"/way=mirrorset", func(b *testing.B) {
			l := benchLoop(b)
			texts := [][]byte{encoded(b, variants[0]), encoded(b, variants[1])}
			publish(b, l, payload.New(1, texts[1]), nil)
			passOnce(b, l)
			for revision := int64(2); b.Loop(); revision++ {
				b.StopTimer()
				publish(b, l, payload.New(revision, texts[revision%2]), nil)
				b.StartTimer()
				passOnce(b, l)
			}
		})
		b.Run("registries="+of.registries+"/way=floor", func(b *testing.B) {
			if of.registries == "one" {
				floorOfOne(b, variants)
			} else {
				floorOfEach(b)
			}
		})
	}
}

func floorOfOne(b *testing.B, variants [][]mirrors.Rule) {
	name := filepath.Join(b.TempDir(), "50-mirrorset.conf")
	for i := 0; b.Loop(); i++ {
		replaceFile(b, name, encoded(b, variants[i%2]))
	}
}

// floorOfEach replaces files of the size that a hosts.toml has.
func floorOfEach(b *testing.B) {
	root := b.TempDir()
	contents := [][]byte{bytes.Repeat([]byte("a"), hostsTomlSize), bytes.Repeat([]byte("b"), hostsTomlSize)}
	writers := mostWriters(b, filepath.Join(root, "probe"), contents)
	replaceFiles(b, root, 10000, writers, contents[1])
	b.ResetTimer()
	for i := 0; b.Loop(); i++ {
		replaceFiles(b, root, 10000, writers, contents[i%2])
	}
	b.ReportMetric(float64(writers), "writers")
}

// hostsTomlSize is about that of a hosts.toml of the benchmark, in bytes.
const hostsTomlSize = 1100

// mostWriters returns how many writers at once replace files soonest.
func mostWriters(b *testing.B, root string, contents [][]byte) (most int) {
	b.Helper()
	var soonest time.Duration
	for _, writers := range []int{1, 2, 4, 8, 16, 32} {
		replaceFiles(b, root, 500, writers, contents[0]) // so that all are there
		start := time.Now()
		replaceFiles(b, root, 500, writers, contents[1])
		if took := time.Since(start); most == 0 || took < soonest {
			most, soonest = writers, took
		}
	}
	return most
}

func replaceFiles(b *testing.B, root string, files, writers int, content []byte) {
	b.Helper()
	next := make(chan int)
	var wait sync.WaitGroup
	for range writers {
		wait.Go(func() {
			for i := range next {
				replaceFile(b, filepath.Join(root, fmt.Sprintf("r%05d.example.com", i), "hosts.toml"), content)
			}
		})
	}
	for i := range files {
		next <- i
	}
	close(next)
	wait.Wait()
}

// replaceFile is the least that makes a content outlive a crash, at each moment of which there is the old one or the new.
func replaceFile(b *testing.B, name string, content []byte) {
	b.Helper()
	check := func(err error) {
		if err != nil {
			b.Error(err)
		}
	}
	temp, err := os.Create(name + ".tmp")
	if os.IsNotExist(err) {
		check(os.MkdirAll(filepath.Dir(name), 0o755))
		temp, err = os.Create(name + ".tmp")
	}
	check(err)
	_, err = temp.Write(content)
	check(err)
	check(temp.Sync())
	check(temp.Close())
	check(os.Rename(temp.Name(), name))
	dir, err := os.Open(filepath.Dir(name))
	check(err)
	check(dir.Sync())
	check(dir.Close())
}

// BenchmarkUnchangedPass is what an agent does once a minute, and whenever something wakes it: it looks whether all files are as they should be, and
// they are. It reads next to none of them.
func BenchmarkUnchangedPass(b *testing.B) {
	for _, of := range benchSources {
		b.Run("registries="+of.registries, func(b *testing.B) {
			l := benchLoop(b)
			publish(b, l, payload.New(1, encoded(b, rules10000(of.source, "a"))), nil)
			for range 2 {
				passOnce(b, l)
				time.Sleep(3 * time.Second) // what was just written is read once more
			}
			passOnce(b, l)
			before := readCalls(b)
			b.ResetTimer()
			for b.Loop() {
				passOnce(b, l)
			}
			b.ReportMetric(float64(readCalls(b)-before)/float64(b.N), "reads/op")
		})
	}
}

// readCalls is how many system calls of this process have read something.
func readCalls(b *testing.B) (calls int) {
	b.Helper()
	text, err := os.ReadFile("/proc/self/io")
	if err != nil {
		b.Skip(err)
	}
	for line := range bytes.Lines(text) {
		if _, err := fmt.Sscanf(string(line), "syscr: %d", &calls); err == nil {
			return calls
		}
	}
	return 0
}
