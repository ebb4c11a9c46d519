// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

// Command kubectl-mirrors is the kubectl plugin "kubectl mirrors".
package main

import (
	"os"

	"github.com/mirrorset/mirrorset/internal/plugin"
)

func main() {
	os.Exit(plugin.Main())
}
