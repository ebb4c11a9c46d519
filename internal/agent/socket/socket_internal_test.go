// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package socket

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/mirrorset/mirrorset/internal/accesslog"
)

// patience is when a test gives up; it is no promise of speed.
const patience = time.Minute

// serve listens at a path of the test's, for a log with pulls of these images.
func serve(t *testing.T, patience time.Duration, images ...string) (path string, log *accesslog.Log, s *Server) {
	t.Helper()
	path, log = filepath.Join(t.TempDir(), "agent.sock"), accesslog.New()
	for _, image := range images {
		begin(log, image)
	}
	s, err := listen(path, func() (*accesslog.Log, error) { return log, nil }, patience)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.http.Close() }) // a test may have ended it
	return path, log, s
}

// begin has a log see a pull begin.
func begin(log *accesslog.Log, image string) uint64 {
	repository, tag, _ := strings.Cut(image, ":")
	return log.Begin(accesslog.Request{At: time.Now(), Repository: repository, Object: tag, Resolves: true})
}

// watching is somebody who watches.
type watching struct {
	t     *testing.T
	lines chan string
	ended chan error
	stop  context.CancelFunc
}

func watch(t *testing.T, path string) *watching {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	w := &watching{t: t, lines: make(chan string, 1000), ended: make(chan error, 1), stop: cancel}
	read, write := io.Pipe()
	go func() {
		err := CopyPulls(ctx, path, true, write)
		_ = write.Close()
		w.ended <- err
	}()
	go func() {
		defer close(w.lines)
		defer func() { _ = read.Close() }()
		_ = accesslog.Read(read, func(accesslog.Head) {}, func(p accesslog.Pull) error { w.lines <- p.Image; return nil })
	}()
	t.Cleanup(cancel)
	return w
}

// next returns the image of the next pull that is printed.
func (w *watching) next() string {
	w.t.Helper()
	select {
	case image := <-w.lines:
		return image
	case <-time.After(patience):
		w.t.Fatal("nothing more is printed")
		return ""
	}
}

// end returns the error that it ends with.
func (w *watching) end() error {
	w.t.Helper()
	select {
	case err := <-w.ended:
		return err
	case <-time.After(patience):
		w.t.Fatal("it does not end")
		return nil
	}
}

// read returns the images of what is printed.
func read(t *testing.T, path string) (images []string) {
	t.Helper()
	var out bytes.Buffer
	if err := CopyPulls(t.Context(), path, false, &out); err != nil {
		t.Fatal(err)
	}
	var since time.Time
	err := accesslog.Read(&out, func(h accesslog.Head) { since = h.Since }, func(p accesslog.Pull) error {
		images = append(images, p.Image)
		return nil
	})
	if err != nil || time.Since(since) > patience {
		t.Errorf("since %s, error %v", since, err)
	}
	return images
}

func TestAnAgentTellsThePullsThatItSawTheOldestFirst(t *testing.T) {
	path, _, _ := serve(t, usual, "a.com/x:1", "b.com/y:2")
	if got := read(t, path); !slices.Equal(got, []string{"a.com/x:1", "b.com/y:2"}) {
		t.Errorf("%q", got)
	}
	if there, err := os.Stat(path); err != nil || there.Mode().Perm() != 0o600 {
		t.Errorf("%v, error %v", there.Mode(), err)
	}
}

func TestALogIsKnownSinceItBeganHoweverLateTheSocketDoes(t *testing.T) {
	log := accesslog.New()
	before := time.Now()
	path := filepath.Join(t.TempDir(), "agent.sock")
	s, err := Listen(path, func() (*accesslog.Log, error) { return log, nil })
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	var out bytes.Buffer
	if err := CopyPulls(t.Context(), path, false, &out); err != nil {
		t.Fatal(err)
	}
	err = accesslog.Read(&out, func(h accesslog.Head) {
		if !h.Since.Equal(log.Since()) || h.Since.After(before) {
			t.Errorf("since %s, but the log began at %s", h.Since, log.Since())
		}
	}, func(accesslog.Pull) error { return nil })
	if err != nil {
		t.Error(err)
	}
}

func TestAWatchGoesOnWithWhatBeginsAndChangesHoweverLongNothingDoes(t *testing.T) {
	const quick = 50 * time.Millisecond
	path, log, s := serve(t, quick, "a.com/x:1")
	w := watch(t, path)
	if got := w.next(); got != "a.com/x:1" {
		t.Errorf("%q", got)
	}
	time.Sleep(4 * quick)
	second := begin(log, "b.com/y:2")
	if got := w.next(); got != "b.com/y:2" {
		t.Errorf("%q", got)
	}
	log.Refused(second, "no", "set")
	if got := w.next(); got != "b.com/y:2" {
		t.Errorf("%q", got)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if err := w.end(); err == nil || err.Error() != "the agent has ended" {
		t.Errorf("error %v", err)
	}
	if _, err := os.Lstat(path); !os.IsNotExist(err) {
		t.Errorf("the socket stays: %v", err)
	}
}

func TestAClientThatIsGoneLeavesRoomForAnother(t *testing.T) {
	path, _, _ := serve(t, patience, "a.com/x:1")
	var all []*watching
	for range maxClients {
		w := watch(t, path)
		w.next() // it is being answered
		all = append(all, w)
	}
	if err := CopyPulls(t.Context(), path, false, io.Discard); err == nil || !strings.Contains(err.Error(), "the agent already serves 16 clients") {
		t.Errorf("one too many: error %v", err)
	}
	all[0].stop()
	for deadline := time.Now().Add(patience); CopyPulls(t.Context(), path, false, io.Discard) != nil; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("there is no room for another")
		}
	}
}

func TestAClientThatDoesNotReadIsNotWaitedForForever(t *testing.T) {
	path, log, s := serve(t, 50*time.Millisecond, "a.com/x:1")
	c, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	if _, err := io.WriteString(c, "GET /pulls?watch=true HTTP/1.1\r\nHost: agent\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(patience); len(s.clients) == 0; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("it is not answered")
		}
	}
	for deadline := time.Now().Add(patience); len(s.clients) > 0; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("it is waited for")
		}
		for range 100 { // more than the kernel keeps for one that does not read
			log.Refused(begin(log, "b.com/"+strings.Repeat("y", 400)+":2"), strings.Repeat("no", 500), "set")
		}
	}
}

func TestASocketIsReplacedOnlyWhereNobodyAnswersOnIt(t *testing.T) {
	path := filepath.Join(t.TempDir(), "agent.sock")
	source := func() (*accesslog.Log, error) { return accesslog.New(), nil }
	for _, tt := range []struct {
		name, want string
		have       func() error
	}{
		{"nothing", "", func() error { return nil }},
		{"the socket of an agent that crashed", "", func() error {
			listener, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
			if err != nil {
				return err
			}
			listener.SetUnlinkOnClose(false)
			return listener.Close()
		}},
		{"the socket of a process that is busy", "another process may use", func() error { return occupy(t, path, syscall.SOCK_STREAM) }},
		{"a live socket of another kind", "another process may use", func() error { return occupy(t, path, syscall.SOCK_DGRAM) }},
		{"a file", "exists and is not a socket; the agent leaves it alone", func() error { return os.WriteFile(path, []byte("theirs"), 0o600) }},
		{"a folder", "exists and is not a socket; the agent leaves it alone", func() error { return os.Mkdir(path, 0o700) }},
		{"a link to nothing", "exists and is not a socket; the agent leaves it alone", func() error { return os.Symlink("nothing", path) }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if err := tt.have(); err != nil {
				t.Fatal(err)
			}
			before, _ := os.Lstat(path) // there may be nothing
			s, err := Listen(path, source)
			if tt.want == "" {
				if err != nil {
					t.Fatal(err)
				}
				read(t, path)
				if _, err := Listen(path, source); err == nil || !strings.Contains(err.Error(), "another process answers on") {
					t.Errorf("a second one: error %v", err)
				}
				read(t, path)
				if err := s.Close(); err != nil {
					t.Error(err)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v", err)
			}
			if after, err := os.Lstat(path); err != nil || !os.SameFile(before, after) {
				t.Errorf("it does not stay: %v", err)
			}
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
		})
	}
}

// occupy has a socket live at a path until the end of the test, one of streams with as many clients as it takes.
func occupy(t *testing.T, path string, kind int) error {
	fd, err := syscall.Socket(syscall.AF_UNIX, kind, 0)
	if err != nil {
		return err
	}
	t.Cleanup(func() { _ = syscall.Close(fd) })
	if err := syscall.Bind(fd, &syscall.SockaddrUnix{Name: path}); err != nil || kind == syscall.SOCK_DGRAM {
		return err
	}
	if err := syscall.Listen(fd, 0); err != nil {
		return err
	}
	c, err := net.Dial("unix", path)
	if err == nil {
		t.Cleanup(func() { _ = c.Close() })
	}
	return err
}

func TestTheSocketOfAnotherAgentStays(t *testing.T) {
	path, _, first := serve(t, usual, "a.com/x:1")
	if err := os.Remove(path); err != nil { // as whoever cleans up does
		t.Fatal(err)
	}
	second, err := Listen(path, func() (*accesslog.Log, error) { return accesslog.New(), nil })
	if err != nil {
		t.Fatal(err)
	}
	if err := first.Close(); err != nil {
		t.Error(err)
	}
	if got := read(t, path); len(got) > 0 {
		t.Errorf("%q", got)
	}
	if err := second.Close(); err != nil {
		t.Error(err)
	}
	if _, err := os.Lstat(path); !os.IsNotExist(err) {
		t.Errorf("its own socket stays: %v", err)
	}
}

func TestWhereThereIsNothingToSeeTheAnswerSaysWhy(t *testing.T) {
	path := filepath.Join(t.TempDir(), "agent.sock")
	if err := CopyPulls(t.Context(), path, false, io.Discard); err == nil || errors.Is(err, ErrUnseen) || !strings.HasPrefix(err.Error(), "no agent answers on "+path+": ") {
		t.Errorf("without an agent: error %v", err)
	}
	s, err := Listen(path, func() (*accesslog.Log, error) { return nil, errors.New("it is CRI-O") })
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	for _, watch := range []bool{false, true} {
		var out bytes.Buffer
		if err := CopyPulls(t.Context(), path, watch, &out); !errors.Is(err, ErrUnseen) || err.Error() != "the agent does not see the pulls of this node: it is CRI-O" || out.Len() > 0 {
			t.Errorf("watch %t: error %v, output %q", watch, err, out.String())
		}
	}
}
