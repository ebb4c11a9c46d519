// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package certsd

// Render is for the fuzz test.
var Render = render
