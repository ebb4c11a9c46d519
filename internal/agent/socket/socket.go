// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

// Package socket is where an agent answers commands that run in its container. It is a unix socket that no other program can reach. So the pulls that
// the agent saw need no port and no writes to the API.
package socket

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	stdlog "log"
	"net"
	"net/http"
	"os"
	"syscall"
	"time"

	"github.com/mirrorset/mirrorset/internal/accesslog"
)

// maxClients bounds those that are answered at a time. Each holds a goroutine and a few buffers, some for as long as somebody watches.
const maxClients = 16

// usual is how long a client may take for its request, and to read a line.
const usual = 10 * time.Second

const (
	pullsPath = "/pulls"
	// unseen is the status of an answer that says why there are no pulls to see.
	unseen = http.StatusNotImplemented
)

// Source returns the access log of this node; an error says why its pulls are not seen.
type Source func() (*accesslog.Log, error)

// Server answers on a socket.
type Server struct {
	path     string
	own      fs.FileInfo // of the socket
	source   Source
	patience time.Duration
	clients  chan struct{}
	http     http.Server
	ended    chan error
}

// Listen begins to answer, on a socket that only this user may use. It replaces a socket that an earlier agent left at the path. Anything else at
// that path is an error, and stays.
func Listen(path string, source Source) (*Server, error) {
	return listen(path, source, usual)
}

func listen(path string, source Source, patience time.Duration) (*Server, error) {
	if err := removeStale(path, patience); err != nil {
		return nil, err
	}
	listener, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(path, 0o600); err != nil { // until then, an ordinary umask keeps others from writing, and so from asking
		return nil, errors.Join(err, listener.Close())
	}
	own, err := os.Lstat(path)
	if err != nil {
		return nil, errors.Join(err, listener.Close())
	}
	listener.SetUnlinkOnClose(false) // which would remove the socket of another agent
	s := &Server{path: path, own: own, source: source, patience: patience, clients: make(chan struct{}, maxClients), ended: make(chan error, 1)}
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+pullsPath, s.bounded(s.pulls))
	s.http = http.Server{Handler: mux, ReadHeaderTimeout: patience, IdleTimeout: patience, ErrorLog: stdlog.New(io.Discard, "", 0)}
	go func() { s.ended <- s.http.Serve(listener) }()
	return s, nil
}

// removeStale removes a socket that nobody answers on.
func removeStale(path string, patience time.Duration) error {
	there, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case there.Mode().Type() != fs.ModeSocket:
		return fmt.Errorf("%s exists and is not a socket; the agent leaves it alone", path)
	}
	c, err := net.DialTimeout("unix", path, patience)
	switch {
	case err == nil:
		_ = c.Close() // nothing was asked
		return fmt.Errorf("another process answers on %s", path)
	case !errors.Is(err, syscall.ECONNREFUSED): // such as one that is busy, or a socket of another kind
		return fmt.Errorf("another process may use %s; the agent leaves it alone: %w", path, err)
	}
	return os.Remove(path)
}

// Close ends all answers, and removes the socket, unless another socket has replaced it.
func (s *Server) Close() error {
	var err error
	if there, missing := os.Lstat(s.path); missing == nil && os.SameFile(there, s.own) { // before it is closed, because then another may get its inode
		err = os.Remove(s.path)
	}
	err = errors.Join(err, s.http.Close())
	if ended := <-s.ended; !errors.Is(ended, http.ErrServerClosed) {
		err = errors.Join(err, ended)
	}
	return err
}

// bounded refuses a client while there are too many.
func (s *Server) bounded(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		select {
		case s.clients <- struct{}{}:
			defer func() { <-s.clients }()
			next(w, r)
		default:
			http.Error(w, fmt.Sprintf("the agent already serves %d clients, which is the limit; stop a client that watches, or try again", maxClients), http.StatusServiceUnavailable)
		}
	}
}

// pulls answers with a head and the pulls, one per line, and continues with changes if the client requests it.
func (s *Server) pulls(w http.ResponseWriter, r *http.Request) {
	log, err := s.source()
	if err != nil {
		http.Error(w, err.Error(), unseen)
		return
	}
	w.Header().Set("Content-Type", "application/x-ndjson")
	to := &lines{to: w, control: http.NewResponseController(w), patience: s.patience}
	if to.write(accesslog.Head{Since: log.Since()}) != nil {
		return // the client is gone, and so it is below
	}
	if r.URL.Query().Get("watch") == "true" {
		_ = log.Watch(r.Context(), func(p accesslog.Pull) error { return to.write(p) }) // until the client or the server ends, or the client does not read
		return
	}
	for _, p := range log.Pulls() {
		if to.write(p) != nil {
			return
		}
	}
}

// lines are those of an answer.
type lines struct {
	to       io.Writer
	control  *http.ResponseController
	patience time.Duration
}

// write writes a value on a line of its own. It waits for a client that does not read, but not forever; one that has nothing to read may wait as long
// as it likes.
func (l *lines) write(value any) error {
	if err := l.control.SetWriteDeadline(time.Now().Add(l.patience)); err != nil {
		return err
	}
	if err := json.NewEncoder(l.to).Encode(value); err != nil {
		return err
	}
	return l.control.Flush()
}
