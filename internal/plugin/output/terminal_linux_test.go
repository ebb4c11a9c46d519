// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package output_test

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/mirrorset/mirrorset/internal/plugin/output"
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
	live := output.NewLiveLine(terminal)
	long := "12 of 51 nodes have revision 1795573438818 in force; 1 failing, 2 silent, 36 behind, 0 ahead."
	for _, line := range []string{long, long, "short"} {
		live.Show(line)
	}
	live.Clear()
	live.Clear()
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
	if want := output.EraseLine + long[:76] + "..." + output.EraseLine + "short" + output.EraseLine + "end"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	t.Setenv("TERM", "dumb")
	if output.NewLiveLine(terminal).Columns != nil {
		t.Error("a dumb terminal has a live line")
	}
}
