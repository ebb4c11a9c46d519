// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build linux

// Command cmd starts a cluster in the background and stops it again: what `make cluster` and `make cluster-down` run.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/mirrorset/mirrorset/test/cluster"
)

const usage = `usage: cmd up FOLDER PROGRAMS [IMAGES]    start a cluster and return when its node is Ready and has the images
       cmd down FOLDER                    stop it and remove everything
       cmd run FOLDER PROGRAMS [IMAGES]   run it until SIGINT or SIGTERM`

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "cluster:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) < 2 {
		return errors.New(usage)
	}
	dir, err := filepath.Abs(args[1])
	if err != nil {
		return err
	}
	switch {
	case args[0] == "up" && len(args) > 2:
		return up(dir, args[2:])
	case args[0] == "down" && len(args) == 2:
		return down(dir)
	case args[0] == "run" && len(args) > 2:
		return serve(dir, args[2], args[3:])
	}
	return errors.New(usage)
}

// control is the address of the process that runs the cluster in the folder. It ends with that process and is no file.
func control(dir string) string { return "@mirrorset-cluster:" + dir }

// serve runs a cluster until a signal, or until somebody connects to its control address.
func serve(dir, programs string, images []string) (err error) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	listener, err := net.Listen("unix", control(dir))
	if err != nil {
		return fmt.Errorf("a cluster runs in %s already (%w)", dir, err)
	}
	go func() {
		for {
			if _, err := listener.Accept(); err != nil { // what is accepted is closed when this process ends
				return
			}
			stop()
		}
	}()
	started := time.Now()
	c, err := cluster.Start(ctx, cluster.Options{Dir: dir, Programs: programs, Log: os.Stderr})
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%w: make cluster-down removes it", err)
	}
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.Stop()) }()
	for _, archive := range images {
		if err := c.Import(ctx, archive); err != nil {
			return err
		}
	}
	environment := fmt.Sprintf("export %s PATH=%s:%s:$PATH\n", strings.Join(c.Environment(), " "), programs, filepath.Dir(programs))
	if err := os.WriteFile(filepath.Join(dir, "env"), []byte(environment), 0o600); err != nil {
		return err
	}
	fmt.Printf("# Ready after %.1f s. A shell on the node: nsenter -t %d -p -m\n", time.Since(started).Seconds(), c.InitPID())
	fmt.Printf("# To use the cluster: source %s, which says\n%s", filepath.Join(dir, "env"), environment)
	if err := os.Stdout.Close(); err != nil {
		return err
	}
	<-ctx.Done()
	return nil
}

// up starts serve in a session of its own, and prints what that says until the node is Ready.
func up(dir string, programsAndImages []string) error {
	cmd := exec.Command("/proc/self/exe", append([]string{"run", dir}, programsAndImages...)...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	output, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	messages, err := cmd.StderrPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	said := make(chan struct{})
	go func() {
		_, _ = io.Copy(os.Stderr, messages) // the end of the process that writes is no error
		close(said)
	}()
	if n, err := io.Copy(os.Stdout, output); err != nil || n == 0 {
		<-said
		return errors.Join(errors.New("the cluster did not start"), err, cmd.Wait())
	}
	return nil
}

// down asks the process that runs the cluster to end, and waits until it has.
func down(dir string) error {
	conn, err := net.Dial("unix", control(dir))
	if err == nil {
		if err := conn.SetDeadline(time.Now().Add(2 * time.Minute)); err != nil {
			return err
		}
		_, err = conn.Read(make([]byte, 1))
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return err
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "logs", "init.log")); err != nil {
		return nil //nolint:nilerr // no folder of a cluster, or none any more
	}
	return os.RemoveAll(dir)
}
