// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/mirrorset/mirrorset/test/enclosure"
)

// mostCalls bounds the calls of one cycle. A cycle makes about a hundred.
const mostCalls = 1000

// tally has the results for one system call, over all cycles.
type tally struct{ calls, killed, good int }

// sweep kills agents in each cycle, before the first call and then before every so many calls, and prints the results.
func sweep(ctx context.Context, agent string, every int) error {
	tallies := make(map[string]*tally)
	var slowest time.Duration
	for i, c := range cycles {
		before, after, err := c.prepare(agent, fmt.Sprintf("%s/cycle-%d", enclosure.Memory, i))
		if err != nil {
			return fmt.Errorf("%s: %w", c.name, err)
		}
		blocked, err := c.blocked()
		if err != nil {
			return err
		}
		took, err := (&killing{cycle: c, agent: agent, judge: judge{before, after, blocked}, tallies: tallies}).sweep(ctx, every)
		if err != nil {
			return fmt.Errorf("%s: %w", c.name, err)
		}
		slowest = max(slowest, took)
	}
	return report(tallies, slowest)
}

// killing is the killing of agents in one cycle.
type killing struct {
	cycle
	agent   string
	judge   judge
	tallies map[string]*tally
}

// sweep returns how long the slowest of the agents took that went on after one was killed.
func (k *killing) sweep(ctx context.Context, every int) (slowest time.Duration, err error) {
	var last []call
	for killAt := 1; ; killAt += every {
		if ctx.Err() != nil {
			return 0, context.Cause(ctx)
		}
		if killAt > mostCalls {
			return 0, fmt.Errorf("the agent comes to no end within %d calls", mostCalls)
		}
		killed, calls, took, err := k.once(killAt)
		if err != nil {
			return 0, err
		}
		if last = calls; !killed {
			break
		}
		slowest = max(slowest, took)
	}
	for _, c := range last {
		k.tally(c).calls++
	}
	fmt.Printf("%s: %d system calls change the host\n", k.name, len(last))
	return slowest, nil
}

// once kills an agent on a new host, judges the host, and has another agent continue, which takes a while. An agent that makes fewer calls is not
// killed.
func (k *killing) once(killAt int) (killed bool, calls []call, took time.Duration, err error) {
	root := enclosure.Memory + "/host"
	if err := errors.Join(os.RemoveAll(root), k.judge.before.write(root)); err != nil {
		return false, nil, 0, err
	}
	killed, calls, err = run(k.agent, root, k.judge.isFinished, killAt)
	if err != nil || !killed {
		return false, calls, 0, err
	}
	at := calls[len(calls)-1]
	k.tally(at).killed++
	wrong, err := k.judge.whileKilled(root)
	if err == nil && len(wrong) == 0 {
		started := time.Now()
		if _, _, err = run(k.agent, root, k.judge.isFinished, 0); err != nil {
			now, readErr := read(root)
			wrong, err = append(k.judge.unfinished(now), err.Error()), readErr
		}
		took = time.Since(started)
	}
	if err == nil && len(wrong) > 0 {
		err = errors.New(strings.Join(wrong, "\n"))
	}
	if err != nil {
		return false, nil, 0, fmt.Errorf("killed before call %d, %s:\n%w", killAt, at, err)
	}
	k.tally(at).good++
	return true, calls, took, nil
}

func (k *killing) tally(of call) *tally {
	if k.tallies[of.name] == nil {
		k.tallies[of.name] = &tally{}
	}
	return k.tallies[of.name]
}

// report prints the table.
func report(tallies map[string]*tally, slowest time.Duration) error {
	var all tally
	fmt.Printf("\n%-10s %6s %6s %6s\n", "call", "made", "killed", "good")
	for _, name := range slices.Sorted(maps.Keys(tallies)) {
		t := tallies[name]
		all.calls, all.killed, all.good = all.calls+t.calls, all.killed+t.killed, all.good+t.good
		fmt.Printf("%-10s %6d %6d %6d\n", name, t.calls, t.killed, t.good)
	}
	fmt.Printf("%-10s %6d %6d %6d\n\nThe next agent was done, and had ended, within %.1f s each time.\n", "all", all.calls, all.killed, all.good, slowest.Seconds())
	if all.killed == 0 {
		return errors.New("no agent was killed")
	}
	return nil
}
