// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package onhost_test

import (
	"os/signal"
	"strings"
	"syscall"
	"testing"

	"github.com/mirrorset/mirrorset/internal/agent/sinktest"
	"github.com/mirrorset/mirrorset/internal/registriesconf/onhost"
)

// A file of others may find no room in the temporary folder, and find some a moment later.
func TestAFileThatCouldNotBeTriedIsTriedAgain(t *testing.T) {
	const room = 16 << 10
	host, _ := sinktest.NewHost(t, sinktest.Files{"etc/containers/registries.conf.d/a.conf": blocks("a.com") + strings.Repeat("# x\n", room)})
	tries, accepted := onhost.PreflightsOf(host), sinktest.Accepted(t, 1, "example.com")
	restore := limitFiles(t, room)
	first, err := tries.Try(accepted.Rules, accepted.Text)
	restore()
	if err != nil || len(first.Problems) != 1 {
		t.Fatalf("without room: problems %+v, error %v, want one that says so", first.Problems, err)
	}
	if second, err := tries.Try(accepted.Rules, accepted.Text); err != nil || len(second.Problems) != 0 {
		t.Errorf("with room: problems %+v, error %v, want none", second.Problems, err)
	}
}

// limitFiles lets this process write no file of more bytes, until the function that it returns is called.
func limitFiles(t *testing.T, most uint64) (restore func()) {
	t.Helper()
	signal.Ignore(syscall.SIGXFSZ) // the write fails, and that is all
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
		t.Fatal(err)
	}
	lower := syscall.Rlimit{Cur: most, Max: limit.Max}
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &lower); err != nil {
		t.Fatal(err)
	}
	restore = func() {
		if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
			t.Fatal(err)
		}
		signal.Reset(syscall.SIGXFSZ)
	}
	t.Cleanup(restore)
	return restore
}
