// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package plugin

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// newTerminal returns both ends of a terminal of so many columns.
func newTerminal(t *testing.T, columns uint16) (keeper, terminal *os.File) {
	t.Helper()
	keeper, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = keeper.Close() }) // nothing is lost
	number, err := unix.IoctlGetInt(int(keeper.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.IoctlSetPointerInt(int(keeper.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	if err := unix.IoctlSetWinsize(int(keeper.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: 24, Col: columns}); err != nil {
		t.Fatal(err)
	}
	terminal, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = terminal.Close() }) // nothing is lost
	return keeper, terminal
}

func TestTheLiveLineStaysInOneRowAndIsWrittenOnceAChange(t *testing.T) {
	t.Setenv("TERM", "xterm")
	keeper, terminal := newTerminal(t, 80)
	live := newLiveLine(terminal)
	long := "12 of 51 nodes have revision 1795573438818 in force; 1 failing, 2 silent, 36 behind, 0 ahead."
	for _, line := range []string{long, long, "short"} {
		live.show(line)
	}
	live.clear()
	live.clear()
	if _, err := terminal.WriteString("end"); err != nil {
		t.Fatal(err)
	}
	var got string
	for chunk := make([]byte, 1000); !strings.HasSuffix(got, "end"); {
		n, err := keeper.Read(chunk)
		if err != nil {
			t.Fatal(err)
		}
		got += string(chunk[:n])
	}
	if want := eraseLine + long[:76] + "..." + eraseLine + "short" + eraseLine + "end"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	t.Setenv("TERM", "dumb")
	if newLiveLine(terminal).columns != nil {
		t.Error("a dumb terminal has a live line")
	}
}
