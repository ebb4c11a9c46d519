// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"syscall"
	"testing"

	. "github.com/onsi/ginkgo/v2"
	"golang.org/x/sys/unix"
)

// inOwnNetwork is set in the environment of a process that runs specs, and which has a network of its own by then.
const inOwnNetwork = "MIRRORSET_E2E_NETWORK"

// TestMain has the specs run in a network of their own, so that several processes of this suite can run at the same time: each has its redirectors
// at 127.0.0.1:289, its clusters at the same addresses, and any port.
func TestMain(m *testing.M) {
	flag.Parse()
	if os.Getenv(inOwnNetwork) != "" {
		os.Exit(m.Run())
	}
	err := runInOwnNetwork()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		os.Exit(max(exit.ExitCode(), 1))
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// runInOwnNetwork runs this program once more, and waits for it.
func runInOwnNetwork() error {
	runtime.LockOSThread() // and never unlocked: this thread alone goes into the network
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		return fmt.Errorf("root is needed, for a network of its own: %w", err)
	}
	if out, err := exec.Command("ip", "link", "set", "lo", "up").CombinedOutput(); err != nil {
		return fmt.Errorf("ip is needed (apt-get install iproute2): %w\n%s", err, out)
	}
	if suite, _ := GinkgoConfiguration(); suite.ParallelHost != "" {
		inside, err := net.Listen("tcp", suite.ParallelHost)
		if err != nil {
			return err
		}
		go forward(inside, suite.ParallelHost)
	}
	specs := exec.Command("/proc/self/exe", os.Args[1:]...)
	specs.Env = append(os.Environ(), inOwnNetwork+"=1")
	specs.Stdin, specs.Stdout, specs.Stderr = os.Stdin, os.Stdout, os.Stderr
	specs.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL} // Ctrl-C is for this process, which hands it on
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	if err := specs.Start(); err != nil {
		return err
	}
	go func() {
		for s := range signals {
			_ = specs.Process.Signal(s) // it may have ended
		}
	}()
	return specs.Wait()
}

// forward has those in the network find, at the same address, the server in the machine's by which Ginkgo shares out the specs.
func forward(inside net.Listener, address string) {
	for {
		from, err := inside.Accept()
		if err != nil {
			return
		}
		to, err := net.Dial("tcp", address)
		if err != nil {
			_ = from.Close() // the server has ended
			continue
		}
		for _, pair := range [][2]net.Conn{{from, to}, {to, from}} {
			go func() {
				_, _ = io.Copy(pair[0], pair[1]) // a broken connection is the end of both
				_, _ = pair[0].Close(), pair[1].Close()
			}()
		}
	}
}
