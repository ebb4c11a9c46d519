// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"context"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var environment = regexp.MustCompile(`^  export (KUBECONFIG=(\S+) PATH=\S+)$`)

// A kept demo is a cluster to its user: the doctor finds nothing wrong, before and after a restart of the manager, and uninstalling cleans the
// node. Ctrl-C leaves nothing.
func TestAKeptDemoIsACluster(t *testing.T) {
	if os.Getenv("KUBEBUILDER_ASSETS") == "" {
		t.Setenv("KUBEBUILDER_ASSETS", "../../bin/k8s")
	}
	assets, err := filepath.Abs(os.Getenv("KUBEBUILDER_ASSETS"))
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("KUBEBUILDER_ASSETS", assets)
	t.Setenv("TMPDIR", t.TempDir()) // for all files of the demo
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	ctx, interrupt := context.WithCancel(t.Context())
	defer interrupt()
	in, out := io.Pipe()
	ended := make(chan error, 1)
	go func() {
		err := run(ctx, root, true, out)
		_ = out.Close()
		ended <- err
	}()
	var variables, said string
	for lines := bufio.NewScanner(in); lines.Scan(); {
		said += lines.Text() + "\n"
		if found := environment.FindStringSubmatch(lines.Text()); found != nil {
			variables = found[1]
		}
		if strings.HasPrefix(lines.Text(), "For those, start a real cluster") {
			break
		}
	}
	user := func(command string) {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), "bash", "-c", "set -e; export "+variables+"; "+command)
		cmd.Dir = root
		if text, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", command, err, text)
		}
	}
	if variables == "" {
		t.Fatalf("%v\n%s", <-ended, said)
	}
	user("kubectl mirrors doctor && kubectl -n mirrorset-system get pod mirrorset-manager mirrorset-agent")
	user("kubectl -n mirrorset-system scale deployment/mirrorset-manager --replicas 0 && kubectl -n mirrorset-system wait --for=delete --timeout=60s pod/mirrorset-manager")
	user("! kubectl mirrors doctor")
	user("kubectl -n mirrorset-system scale deployment/mirrorset-manager --replicas 1 && kubectl -n mirrorset-system rollout status --timeout=60s deployment/mirrorset-manager")
	user("kubectl delete idms 30-airgap && kubectl mirrors nodes --watch --timeout=60s && kubectl mirrors doctor")
	var files []string
	for _, file := range []string{dropIn, hostsFile} {
		found, err := filepath.Glob(filepath.Join(os.Getenv("TMPDIR"), "mirrorset-demo-node-*", file))
		if err != nil || len(found) != 1 {
			t.Fatalf("the node has the files %q, %v", found, err)
		}
		files = append(files, found...)
	}
	user("kubectl mirrors uninstall --yes && ! kubectl get namespace mirrorset-system && ! kubectl -n mirrorset-system get deployment/mirrorset-manager")
	for _, file := range files {
		if _, err := os.Stat(file); !os.IsNotExist(err) {
			t.Errorf("after uninstalling, %s: %v", file, err)
		}
	}

	interrupt()
	if _, err := io.Copy(io.Discard, in); err != nil {
		t.Error(err)
	}
	if err := <-ended; err != nil {
		t.Errorf("the demo ended with %v", err)
	}
	if left, err := os.ReadDir(os.Getenv("TMPDIR")); err != nil || len(left) > 0 {
		t.Errorf("the demo left %v, %v", left, err)
	}
}

func TestOnlyTheFirstOfManyObjectsIsShown(t *testing.T) {
	const text = "a serverside-applied\nb serverside-applied\nc serverside-applied\nDelete x\nKept\nKept\nDelete y\nDelete z\nDeleted y\n"
	const want = "a serverside-applied\n... and 2 more\nDelete x\nKept\nKept\nDelete y\n... and 1 more\nDeleted y\n"
	if got := shortened(text); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
