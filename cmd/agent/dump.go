// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import "golang.org/x/sys/unix"

// keepFromDumps has the kernel write no core dump of this process, which would hold the logins for mirrors, and lets no other process without
// CAP_SYS_PTRACE read its memory.
func keepFromDumps() error {
	return unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0)
}
