// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// lock waits until this is the only agent on the host that writes. Until then it follows what the other one accepts, so that
// both serve the same. Where the disk does not let it, it has the node say so, and tries again.
func (n *node) lock(ctx context.Context, config Config) (unlock func() error, err error) {
	var report func(error)
	stop := func() {}
	defer func() { stop() }()
	for wait := retryFirst; ; wait = min(2*wait, retryLast) {
		if unlock, err = n.state.lock(ctx, n.restore); err == nil {
			n.log.Info("This agent is now the only writer on this host")
			n.restore() // what the other one did at last
			return unlock, nil
		}
		if ctx.Err() != nil {
			return nil, errors.Join(ctx.Err(), err)
		}
		if report == nil {
			var failed error
			if report, stop, failed = n.reportOnly(ctx, config); failed != nil {
				return nil, failed
			}
		}
		report(fmt.Errorf("the agent cannot get the lock of this host, so it leaves the files unchanged: %w", err))
		select {
		case <-ctx.Done():
		case <-time.After(wait):
		}
	}
}

// reportOnly has the node say why there has been no pass, until it is stopped.
func (n *node) reportOnly(ctx context.Context, config Config) (report func(error), stop func(), err error) {
	r, err := newReporter(config, func() {})
	if err != nil {
		return nil, func() {}, err
	}
	n.runtimeVersion = r.runtimeVersion
	ctx, cancel := context.WithCancel(ctx)
	var reporting sync.WaitGroup
	reporting.Go(func() { r.run(ctx) })
	said := ""
	report = func(err error) {
		if err.Error() != said {
			said = err.Error()
			n.log.Error(err, "The agent will try again")
		}
		n.checked = n.check()
		r.report(n.outcome(err))
	}
	return report, func() { cancel(); reporting.Wait() }, nil
}
