// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build linux

// Command stream measures what it costs that the redirector streams a layer: a reader that keeps nothing fetches the layer by way of the real agent,
// and in turns straight from the mirror, over TLS and without. It prints the rates as Go's benchmarks are printed. With -containerd, a real containerd
// pulls an image of that layer either way, over TLS and with a login. It needs root.
//
// All of it runs in a PID, a mount and a network namespace of its own, and writes to memory that belongs to these. With them the kernel
// ends every process and removes every file, however this program ends.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"syscall"

	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/mirrorset/mirrorset/test/enclosure"
)

// registryName is the first argument of this program where it starts itself as the mirror.
const registryName = "registry"

// options are what somebody may choose.
type options struct {
	bin        string // the folder of the programs
	layer      int64  // in bytes
	runs       int    // of each way
	containerd bool   // pulls
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
	if len(args) > 0 && args[0] == registryName {
		return serveRegistry(args[1:])
	}
	args, entered := enclosure.Entered(args)
	flags := flag.NewFlagSet("bench-stream", flag.ExitOnError)
	bin := flags.String("bin", "bin", "folder with agent, and k8s/containerd where that pulls")
	layer := flags.String("layer", "1Gi", "size of the layer, as Kubernetes writes quantities")
	runs := flags.Int("runs", 10, "how often each way is taken")
	containerd := flags.Bool("containerd", false, "have containerd pull an image")
	if err := flags.Parse(args); err != nil {
		return err
	}
	size, err := resource.ParseQuantity(*layer)
	if err != nil || size.Value() < tarSize || *runs < 1 {
		return fmt.Errorf("-layer %s, -runs %d: want at least %d bytes, and one run", *layer, *runs, tarSize)
	}
	o := options{layer: size.Value(), runs: *runs, containerd: *containerd}
	if o.bin, err = filepath.Abs(*bin); err != nil {
		return err
	}
	switch {
	case !entered:
		return enclosure.Enter(ctx, "-bin", o.bin, "-layer", strconv.FormatInt(o.layer, 10), "-runs", strconv.Itoa(o.runs), "-containerd="+strconv.FormatBool(o.containerd))
	case o.containerd:
		return bench(ctx, o)
	}
	return rates(ctx, o)
}
