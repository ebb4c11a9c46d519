// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package hostfile_test

import (
	"bytes"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mirrorset/mirrorset/internal/hostfile"
)

// writerEnv turns the test binary into a process that replaces the file below the root in its value until it is killed.
const writerEnv = "HOSTFILE_TEST_WRITER"

// processes are what the test binary does, instead of testing, with the value of an environment variable that is set.
var processes = map[string]func(value string) error{writerEnv: replaceForever}

func TestMain(m *testing.M) {
	for name, process := range processes {
		value := os.Getenv(name)
		if value == "" {
			continue
		}
		if err := process(value); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// contents are what the writer alternates between: of different sizes, and large enough to be caught half written.
var contents = [][]byte{
	append([]byte(marker), bytes.Repeat([]byte("a"), 300_000)...),
	append([]byte(marker), bytes.Repeat([]byte("b"), 200_000)...),
}

func replaceForever(root string) error {
	h, err := hostfile.Open(root)
	for i := 0; err == nil; i++ {
		_, err = h.Replace(file, contents[i%2])
		fmt.Print(".") // one is done
	}
	return err
}

// startWriter returns once the writer has replaced the file.
func startWriter(t *testing.T, root string) *exec.Cmd {
	t.Helper()
	writer := exec.Command(os.Args[0])
	writer.Env = append(os.Environ(), writerEnv+"="+root)
	writer.Stderr = os.Stderr
	progress, err := writer.StdoutPipe()
	if err == nil {
		err = writer.Start()
	}
	if err == nil {
		_, err = progress.Read(make([]byte, 1))
	}
	if err != nil {
		t.Fatal(err)
	}
	go func() { _, _ = progress.Read(make([]byte, 1<<20)) }()
	return writer
}

// isWhole returns an error unless the content is a complete old or new one.
func isWhole(root string) error {
	content, err := os.ReadFile(filepath.Join(root, filePath))
	if err != nil {
		return err
	}
	for _, c := range contents {
		if bytes.Equal(content, c) {
			return nil
		}
	}
	return fmt.Errorf("%d bytes that are neither the old content nor the new", len(content))
}

func TestAKilledWriterLeavesAWholeFile(t *testing.T) {
	h, root := open(t)
	leftovers := 0
	for range 40 {
		writer := startWriter(t, root)
		stop := repeat(func() error { return isWhole(root) })
		<-time.After(time.Duration(rand.IntN(5_000_000))) // a random point
		if err := writer.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = writer.Wait() // which says that it was killed
		if err := stop(); err != nil {
			t.Fatalf("while it was written: %v", err)
		}
		if err := isWhole(root); err != nil {
			t.Fatalf("after the kill: %v", err)
		}
		leftovers += wantNoOtherDropIn(t, root)
	}
	if leftovers == 0 {
		t.Error("no kill came in the middle of a Replace, so this test has shown nothing")
	}
	if _, err := h.Replace(file, []byte(newer)); err != nil {
		t.Fatal(err)
	}
	wantFile(t, root, filePath, newer)
	wantFile(t, root, tempPath, "")
}

// repeat reads over and over until the returned function is called. That function returns the first error.
func repeat(read func() error) (stop func() error) {
	done := make(chan struct{})
	var wrong error
	var reader sync.WaitGroup
	reader.Go(func() {
		for {
			select {
			case <-done:
				return
			default:
				if err := read(); wrong == nil {
					wrong = err
				}
			}
		}
	})
	return func() error {
		close(done)
		reader.Wait()
		return wrong
	}
}

// wantNoOtherDropIn checks that registries.conf readers load no other name in the folder, and returns the number of other names.
func wantNoOtherDropIn(t *testing.T, root string) (others int) {
	t.Helper()
	entries, err := fs.ReadDir(os.DirFS(root), dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		if entry.Name() == filepath.Base(filePath) {
			continue
		}
		others++
		if strings.HasSuffix(entry.Name(), ".conf") {
			t.Errorf("%s is left", entry.Name())
		}
	}
	return others
}
