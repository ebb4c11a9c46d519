// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

// Command kubectl-mirrors is the kubectl plugin "kubectl mirrors".
package main

import (
	"os"

	"github.com/go-logr/logr"
	"k8s.io/klog/v2"

	"github.com/mirrorset/mirrorset/internal/plugin"
)

func main() {
	klog.SetLogger(logr.Discard()) // in which client-go says what it tries again
	os.Exit(plugin.Main(plugin.NewCommand()))
}
