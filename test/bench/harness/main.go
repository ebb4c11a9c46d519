// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

// Command bench keeps the table of docs/explanation/performance.md: it runs the rows' benchmarks, and writes what they came to into the document.
//
//	bench run -rows "text lookup" -runs 5 -out bin/bench
//	bench report -from bin/bench -docs docs
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP) // the last where its terminal was closed
	err := run(ctx, os.Args[1:])
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	if len(args) == 0 {
		return errors.New("want run or report")
	}
	flags := flag.NewFlagSet("bench "+args[0], flag.ContinueOnError)
	switch args[0] {
	case "run":
		r := runner{root: os.Geteuid() == 0, console: os.Stdout}
		names := flags.String("rows", "", "the rows to run, separated by spaces; all where it is empty")
		flags.StringVar(&r.repository, "repository", ".", "the repository's folder")
		flags.StringVar(&r.out, "out", "bin/bench", "the folder in which each row's output is kept as ROW.txt")
		flags.IntVar(&r.runs, "runs", 5, "how often each row is measured")
		flags.StringVar(&r.layer, "layer", "1Gi", "size of the layer of the row stream, as Kubernetes writes quantities")
		if err := flags.Parse(args[1:]); err != nil {
			return err
		}
		if r.runs < 1 || flags.NArg() > 0 {
			return fmt.Errorf("-runs %d, and %q: want one run at least, and flags only", r.runs, flags.Args())
		}
		return r.all(ctx, strings.Fields(*names))
	case "report":
		from := flags.String("from", "bin/bench", "the folder of the rows' output")
		docs := flags.String("docs", "docs", "the folder of explanation/performance.md and images/")
		if err := flags.Parse(args[1:]); err != nil {
			return err
		}
		return report(*from, *docs, os.Stdout)
	}
	return fmt.Errorf("%q: want run or report", args[0])
}
