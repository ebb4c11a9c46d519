// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package cluster

import (
	"bufio"
	"cmp"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// slots is how many clusters can be on one machine.
const slots = 100

// The addresses are from the range for tests of network devices, which belongs to nobody's network. The node's own address is
// also that of the Service kubernetes, the first one of its range.
func nodeIP(slot int) string { return fmt.Sprintf("198.18.%d.1", slot) }

// node is the namespaces in which the parts of a cluster run, and the init that holds and in the end empties them.
type node struct {
	slot     int
	cgroup   string
	init     *exec.Cmd
	lifeline *os.File // closed, it ends the init; the kernel closes it when this process is killed
	exited   chan struct{}
	err      error // of the init, once exited
	spaces   []*os.File
}

// startNode starts the init, which is this same program.
func startNode(dir string) (_ *node, err error) {
	if err := os.MkdirAll(filepath.Join(dir, "logs"), 0o755); err != nil {
		return nil, err
	}
	log, err := os.Create(filepath.Join(dir, "logs", "init.log"))
	if err != nil {
		return nil, err
	}
	defer func() { _ = log.Close() }()
	life, lifeline, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer func() { _ = life.Close() }()
	n := &node{lifeline: lifeline, exited: make(chan struct{})}
	n.init = &exec.Cmd{
		Path: "/proc/self/exe", Args: []string{initName, dir}, Dir: "/", Stdin: life, Stderr: log,
		Env:         []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"},
		SysProcAttr: &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWPID | unix.CLONE_NEWNS, Setsid: true},
	}
	answer, answered, err := os.Pipe()
	if err != nil {
		return nil, errors.Join(err, lifeline.Close())
	}
	defer func() { _ = answer.Close() }()
	n.init.Stdout = answered
	err = n.init.Start()
	_ = answered.Close()
	if err != nil {
		return nil, errors.Join(fmt.Errorf("starting the node's init: %w", err), lifeline.Close())
	}
	go func() {
		n.err = n.init.Wait()
		close(n.exited)
	}()
	return n, n.greet(answer)
}

// greet waits until the init has made the namespaces into a node.
func (n *node) greet(answer *os.File) error {
	line, err := bufio.NewReader(answer).ReadString('\n')
	if err != nil {
		return fmt.Errorf("the node's init did not come up: %w", err)
	}
	if n.slot, err = strconv.Atoi(strings.TrimSpace(line)); err != nil {
		return err
	}
	if n.cgroup, err = cgroupName(n.slot); err != nil {
		return err
	}
	for _, kind := range []string{"mnt", "pid"} {
		space, err := os.Open(fmt.Sprintf("/proc/%d/ns/%s", n.init.Process.Pid, kind))
		if err != nil {
			return err
		}
		n.spaces = append(n.spaces, space)
	}
	return nil
}

// stop ends everything on the node, and removes what the init would have if that was killed.
func (n *node) stop() error {
	err := n.lifeline.Close()
	for _, space := range n.spaces {
		err = errors.Join(err, space.Close())
	}
	select {
	case <-n.exited:
	case <-time.After(40 * time.Second):
		err = errors.Join(err, errors.New("the node's init did not end"), n.init.Process.Kill())
		<-n.exited
	}
	if len(n.spaces) == 0 { // it never had a slot
		return err
	}
	mounts, readErr := readMounts()
	return errors.Join(err, n.err, readErr, removeCgroups(mounts, n.cgroup))
}

// start starts a command on the node, as a child of this process.
func (n *node) start(cmd *exec.Cmd) error {
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	}
	if cmd.Dir == "" {
		cmd.Dir = "/"
	}
	result := make(chan error)
	go onThread(func() {
		err := unix.Unshare(unix.CLONE_FS) // what a thread needs to be in another mount namespace than the other threads
		for _, space := range n.spaces {
			err = errors.Join(err, unix.Setns(int(space.Fd()), 0))
		}
		if err == nil {
			err = cmd.Start()
		}
		result <- err
	})
	return <-result
}

// The main thread cannot end. It is kept for the goroutine of main, or else it could stay in the namespaces of a node that has ended, which
// would keep these, and the links of its Pods, for as long as this process runs.
func init() { runtime.LockOSThread() }

// onThread runs do on a thread that ends with it. It must be the whole of a goroutine.
func onThread(do func()) {
	runtime.LockOSThread() // and never unlocked, so that no other goroutine gets a thread that is in other namespaces
	do()
}

// part is one of the programs that make up a cluster.
type part struct {
	name        string
	path        string // by default that of the program of this name
	args        []string
	environment []string // in addition to that of the node
	user        uint32
	cmd         *exec.Cmd
	exited      chan struct{}
	err         error // once exited
}

// run starts a part; what it prints is appended to its log file.
func (c *Cluster) run(p *part) error {
	log, err := os.OpenFile(filepath.Join(c.options.Dir, "logs", p.name+".log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer func() { _ = log.Close() }()
	cmd := exec.Command(cmp.Or(p.path, programPath(c.options.Programs, p.name)), p.args...)
	cmd.Env, cmd.Stdout, cmd.Stderr = append(c.environment(), p.environment...), log, log
	if p.user != 0 {
		cmd.SysProcAttr = &syscall.SysProcAttr{
			Setsid: true, Credential: &syscall.Credential{Uid: p.user, NoSetGroups: true},
			AmbientCaps: []uintptr{unix.CAP_CHOWN, unix.CAP_DAC_OVERRIDE, unix.CAP_DAC_READ_SEARCH, unix.CAP_FOWNER},
		}
	}
	if err := c.node.start(cmd); err != nil {
		return fmt.Errorf("starting %s: %w", p.name, err)
	}
	p.cmd, p.exited = cmd, make(chan struct{})
	exited := p.exited
	go func() {
		p.err = cmd.Wait()
		close(exited)
	}()
	return nil
}

// end sends a signal to a part and waits until it has ended. One that does not in time is killed, which is an error.
func (p *part) end(signal syscall.Signal) error {
	_ = p.cmd.Process.Signal(signal) // it may have ended by itself
	select {
	case <-p.exited:
		return nil
	case <-time.After(30 * time.Second):
		_ = p.cmd.Process.Kill() // as above
		<-p.exited
		return fmt.Errorf("%s did not end on %s", p.name, signal)
	}
}
