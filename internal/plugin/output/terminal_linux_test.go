// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package output_test

import (
	"strings"
	"testing"

	"github.com/mirrorset/mirrorset/internal/plugin/output"
	"github.com/mirrorset/mirrorset/internal/plugin/plugintest"
)

func TestTheLiveLineStaysInOneRowAndIsWrittenOnceAChange(t *testing.T) {
	t.Setenv("TERM", "xterm")
	keeper, terminal := plugintest.NewTerminal(t, 80)
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
