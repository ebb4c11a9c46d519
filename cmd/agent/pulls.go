// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/mirrorset/mirrorset/internal/agent/socket"
)

// pullsVerb is the argument that has this program ask an agent instead of being one. kubectl mirrors runs that in the agent's container.
const pullsVerb = "pulls"

// The exit codes of that command. kubectl mirrors interprets the last one.
const (
	failed  = 1
	misused = 2
	unseen  = 3
)

// printPulls prints the pulls that the agent in this container saw, and returns the exit code.
func printPulls(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("agent "+pullsVerb, flag.ContinueOnError)
	flags.SetOutput(stderr)
	path := flags.String("socket", "/tmp/agent.sock", "the agent's --socket")
	watch := flags.Bool("watch", false, "continue with pulls that begin or change, until the agent stops")
	untilEOF := flags.Bool("until-eof", false, "stop at the end of standard input; nothing else stops a command in a container whose client is gone")
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		return misused
	case flags.NArg() > 0:
		fmt.Fprintf(stderr, "unexpected argument %q\n", flags.Arg(0))
		return misused
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	if *untilEOF {
		go func() {
			defer stop()
			_, _ = io.Copy(io.Discard, stdin) // there is nothing to read
		}()
	}
	err := socket.CopyPulls(ctx, *path, *watch, stdout)
	switch {
	case err == nil, ctx.Err() != nil:
		return 0
	case errors.Is(err, socket.ErrUnseen):
		fmt.Fprintln(stderr, err)
		return unseen
	}
	fmt.Fprintln(stderr, err)
	return failed
}
