// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

// Command kubectl-mirrors is the kubectl plugin "kubectl mirrors".
package main

import (
	"fmt"
	"os"

	"github.com/mirrorset/mirrorset/internal/plugin"
)

func main() {
	if err := plugin.NewCommand().Execute(); err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}
