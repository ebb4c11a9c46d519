// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build linux

// Command stream measures what it costs that the redirector streams a layer from a mirror with a login and an authority of its own: a real
// containerd pulls the image by way of the real agent, and in turns straight from the mirror. It wants root.
//
// All of it runs in a PID, a mount and a network namespace of its own, and writes to memory that belongs to these. With them the kernel
// ends every process and removes every file, however this program ends.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/mirrorset/mirrorset/test/enclosure"
)

// The first argument of this program where it starts itself.
const (
	inside       = "inside"   // in the namespaces
	registryName = "registry" // as the mirror
)

// memory is where a folder that belongs to the namespaces is mounted.
const memory = "/run"

// options are what somebody may choose.
type options struct {
	bin   string // the folder of the programs
	layer int64  // in bytes
	runs  int    // of each way
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:])
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench-stream:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	mode := ""
	if len(args) > 0 && (args[0] == inside || args[0] == registryName) {
		mode, args = args[0], args[1:]
	}
	if mode == registryName {
		return serveRegistry(args)
	}
	flags := flag.NewFlagSet("bench-stream", flag.ExitOnError)
	bin := flags.String("bin", "bin", "folder with agent, k8s/containerd")
	layer := flags.String("layer", "1Gi", "size of the layer, as Kubernetes writes quantities")
	runs := flags.Int("runs", 10, "how often each way is taken")
	if err := flags.Parse(args); err != nil {
		return err
	}
	size, err := resource.ParseQuantity(*layer)
	if err != nil || size.Value() < tarSize || *runs < 1 {
		return fmt.Errorf("-layer %s, -runs %d: want at least %d bytes, and one run", *layer, *runs, tarSize)
	}
	o := options{layer: size.Value(), runs: *runs}
	if o.bin, err = filepath.Abs(*bin); err != nil {
		return err
	}
	if mode == inside {
		return bench(ctx, o)
	}
	return enclosure.Enter(ctx, inside, "-bin", o.bin, "-layer", strconv.FormatInt(o.layer, 10), "-runs", strconv.Itoa(o.runs))
}

// settle makes the namespaces a machine of their own: with a folder in memory, and with the mirror's address.
func settle(ctx context.Context) error {
	if err := errors.Join(
		unix.Mount("none", "/", "", unix.MS_REC|unix.MS_SLAVE, ""),
		unix.Mount("proc", "/proc", "proc", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, ""),
		unix.Mount("tmpfs", memory, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "mode=755,size=90%"),
	); err != nil {
		return fmt.Errorf("mounting: %w", err)
	}
	for _, args := range []string{"link set lo up", "address add " + mirrorIP + "/32 dev lo"} {
		if out, err := exec.CommandContext(ctx, "ip", strings.Fields(args)...).CombinedOutput(); err != nil {
			return fmt.Errorf("ip %s: %w: %s", args, err, out)
		}
	}
	return nil
}
