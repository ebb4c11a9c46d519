// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package cluster

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// initName is the first argument of a process that becomes the init of a node. The second argument is the folder.
const initName = "mirrorset-node"

// The programs that import this package are started a second time as the init of a node, so that no other program has to be
// found or built. PID 1 of a PID namespace takes all other processes of it with itself when it ends, whatever ends it.
func init() {
	if os.Args[0] != initName || os.Getpid() != 1 || len(os.Args) != 2 {
		return
	}
	if err := runInit(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, initName+":", err)
		os.Exit(1)
	}
	os.Exit(0)
}

// runInit makes the machine into a node as far as the processes in these namespaces can see, prints its slot, and stays until
// standard input is closed, which the kernel does for a parent that was killed. Then it removes everything.
func runInit(dir string) error {
	signal.Ignore(unix.SIGTERM, unix.SIGINT, unix.SIGHUP, unix.SIGPIPE)
	host, err := readMounts()
	if err != nil {
		return err
	}
	if err := mountNode(dir); err != nil {
		return err
	}
	slot, peer, err := claimSlot()
	if err != nil {
		return err
	}
	defer func() { _ = unix.Close(peer) }() // and with it the link, if nothing else has
	group, err := cgroupName(slot)
	if err != nil {
		return err
	}
	err = errors.Join(removeCgroups(host, group), makeCgroups(host, group))
	if err == nil {
		_, err = fmt.Println(slot)
	}
	if err == nil {
		reapUntilClosed(os.Stdin)
	}
	return errors.Join(err, endAll(), removeCgroups(host, group), removeDir(dir))
}

// linkName is the name of the link that claims a slot.
func linkName(slot int) string { return fmt.Sprintf("mirrorset%d", slot) }

// cgroupName is the name of the cgroup of a slot. There are such slots in each network namespace, and all of these have the machine's cgroups.
func cgroupName(slot int) (string, error) {
	var network unix.Stat_t
	if err := unix.Stat("/proc/self/ns/net", &network); err != nil {
		return "", err
	}
	return fmt.Sprintf("%s-%d", linkName(slot), network.Ino), nil
}

// claimSlot takes the first free slot. A slot is claimed by the link of its name, one end of a pair; the other end is in a
// network namespace that only the returned descriptor holds, so that the kernel removes both with this process.
func claimSlot() (slot, peer int, err error) {
	peer, err = newNetwork()
	if err != nil {
		return 0, 0, fmt.Errorf("a network namespace: %w", err)
	}
	for slot = range slots {
		link := linkName(slot)
		err = ip("link", "add", link, "type", "veth", "peer", "name", "node", "netns", fmt.Sprintf("/proc/1/fd/%d", peer))
		if err == nil {
			return slot, peer, errors.Join(ip("address", "add", nodeIP(slot)+"/24", "dev", link), ip("link", "set", link, "up"))
		}
		if !strings.Contains(err.Error(), "File exists") {
			break
		}
	}
	return 0, 0, err
}

// newNetwork returns a descriptor of a new network namespace.
func newNetwork() (int, error) {
	type result struct {
		fd  int
		err error
	}
	results := make(chan result)
	go onThread(func() {
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			results <- result{err: err}
			return
		}
		fd, err := unix.Open("/proc/thread-self/ns/net", unix.O_RDONLY|unix.O_CLOEXEC, 0)
		results <- result{fd, err}
	})
	r := <-results
	return r.fd, r.err
}

func ip(args ...string) error {
	var stderr bytes.Buffer
	cmd := exec.Command("ip", args...)
	cmd.Stderr = &stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("ip %s: %w: %s", strings.Join(args, " "), err, bytes.TrimSpace(stderr.Bytes()))
	}
	return nil
}

// reapUntilClosed reaps the orphans of the namespace until the other end of the pipe is closed.
func reapUntilClosed(pipe *os.File) {
	closed := make(chan struct{})
	go func() {
		_, _ = pipe.Read(make([]byte, 1)) // nothing is ever written
		close(closed)
	}()
	children := make(chan os.Signal, 1)
	signal.Notify(children, unix.SIGCHLD)
	for {
		select {
		case <-closed:
			return
		case <-children:
			reap()
		}
	}
}

func reap() {
	for {
		if pid, err := unix.Wait4(-1, nil, unix.WNOHANG, nil); err != nil || pid <= 0 {
			return
		}
	}
}

// endAll kills all other processes of the namespace, and waits until they are gone.
func endAll() error {
	return poll(20*time.Second, func() error {
		if err := unix.Kill(-1, unix.SIGKILL); err != nil && !errors.Is(err, unix.ESRCH) {
			return err
		}
		reap()
		entries, err := filepath.Glob("/proc/[0-9]*/cmdline")
		if err != nil {
			return err
		}
		for _, entry := range entries {
			if pid, err := strconv.Atoi(filepath.Base(filepath.Dir(entry))); err == nil && pid != 1 {
				return fmt.Errorf("process %d has not ended", pid)
			}
		}
		return nil
	})
}

// poll tries until it works, or the time is over.
func poll(patience time.Duration, try func() error) error {
	deadline := time.Now().Add(patience)
	for {
		err := try()
		if err == nil || time.Now().After(deadline) {
			return err
		}
		time.Sleep(20 * time.Millisecond)
	}
}
