// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package plugin_test

import (
	"testing"

	"github.com/mirrorset/mirrorset/internal/plugin"
	"github.com/mirrorset/mirrorset/internal/plugin/plugintest"
)

func TestRunsPrintWhatTheirFilesHold(t *testing.T) {
	plugintest.Golden(t, "testdata/cases", plugin.NewCommand)
}
