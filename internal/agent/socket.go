// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"errors"

	"github.com/mirrorset/mirrorset/internal/accesslog"
	"github.com/mirrorset/mirrorset/internal/agent/sink"
	"github.com/mirrorset/mirrorset/internal/agent/socket"
)

// tell has those who run a command in the agent's container told what it saw of pulls, until the returned function is called. An agent does its work
// without that, too.
func (n *node) tell(path string) (end func()) {
	if path == "" {
		return func() {}
	}
	server, err := socket.Listen(path, n.sinks.accessLog)
	if err != nil {
		n.log.Error(err, "Cannot serve the pulls that this agent sees", "socket", path)
		return func() {}
	}
	return func() {
		if err := server.Close(); err != nil {
			n.log.Error(err, "Cannot close the socket that serves the pulls", "socket", path)
		}
	}
}

// accessLog returns that of the sink that sees pulls.
func (all sinks) accessLog() (*accesslog.Log, error) {
	for _, s := range all {
		if recorder, ok := s.(sink.Recorder); ok {
			return recorder.AccessLog()
		}
	}
	return nil, errors.New("this agent serves no runtime whose pulls it can see")
}
