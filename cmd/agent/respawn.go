// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"slices"
	"strconv"

	"github.com/go-logr/logr"

	"github.com/mirrorset/mirrorset/internal/redirect/loopback"
	"github.com/mirrorset/mirrorset/internal/respawn"
)

// runChildren runs the agent in child processes, which serve by a socket that this one holds, and returns the exit status of the last.
func runChildren(ready string, log logr.Logger) (status int, err error) {
	if flag.NArg() > 0 { // behind which no flag would be one
		return 0, fmt.Errorf("unexpected argument %q", flag.Arg(0))
	}
	if ready == "" {
		return 0, errors.New("--respawn requires a --ready-file")
	}
	parent := respawn.Parent{Args: append(slices.Clone(os.Args[1:]), "--respawn=false"), Ready: ready, Log: log}
	port, err := strconv.Atoi(flag.Lookup("redirector-port").Value.String())
	if err != nil {
		return 0, err
	}
	socket, err := loopback.Bind(port)
	if err != nil {
		log.Error(err, "Cannot hold the redirector's port, so it is closed while the agent restarts after a crash")
		return parent.Run()
	}
	parent.Files = []*os.File{socket}
	parent.Args = append(parent.Args, "--redirector-socket=3")
	return parent.Run()
}
