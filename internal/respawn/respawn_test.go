// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package respawn

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/go-logr/logr"
)

// asChild has a process of this test's program be a child that crashes once it is ready. It is the folder of its files.
const asChild = "MIRRORSET_TEST_AS_CHILD"

func TestMain(m *testing.M) {
	if folder := os.Getenv(asChild); folder != "" {
		crash(folder)
	}
	os.Exit(m.Run())
}

func crash(folder string) {
	crashes, err := os.OpenFile(filepath.Join(folder, "crashes"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err == nil {
		_, err = crashes.WriteString("x")
	}
	if err := errors.Join(err, os.WriteFile(filepath.Join(folder, "ready"), nil, 0o600)); err != nil {
		os.Exit(1)
	}
	if info, err := crashes.Stat(); err != nil || info.Size() > 2*maxCrashes { // so that the test ends
		os.Exit(1)
	}
	panic("as the test wants it")
}

func TestAChildThatCrashesAgainAndAgainEndsTheParent(t *testing.T) {
	folder := t.TempDir()
	t.Setenv(asChild, folder)
	p := Parent{Ready: filepath.Join(folder, "ready"), Log: logr.Discard()}
	status, err := p.run(0)
	if err != nil || status != goCrashed {
		t.Errorf("exit status %d, error %v", status, err)
	}
	crashes, err := os.ReadFile(filepath.Join(folder, "crashes"))
	if n := strings.Count(string(crashes), "x"); err != nil || n != maxCrashes+1 {
		t.Errorf("%d crashes, error %v", n, err)
	}
}
