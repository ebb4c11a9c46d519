// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package plugintest

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Set is the manifest of a set with one entry.
func Set(name, source string, mirrors ...string) string {
	return "apiVersion: config.openshift.io/v1\nkind: ImageDigestMirrorSet\nmetadata:\n  name: " + name +
		"\nspec:\n  imageDigestMirrors:\n  - source: '" + source + "'\n    mirrors: [" + strings.Join(mirrors, ", ") + "]\n"
}

// TagSet is an ImageTagMirrorSet of one entry.
func TagSet(name, source string, mirrors ...string) string {
	return strings.NewReplacer("ImageDigestMirrorSet", "ImageTagMirrorSet", "imageDigestMirrors", "imageTagMirrors").Replace(Set(name, source, mirrors...))
}

// Never is [Set] with the policy NeverContactSource.
func Never(name, source string, mirrors ...string) string {
	return Set(name, source, mirrors...) + "    mirrorSourcePolicy: NeverContactSource\n"
}

// Documents joins manifests into one file.
func Documents(manifests ...string) string {
	return strings.Join(manifests, "---\n")
}

// WriteFile makes the folders above the file too.
func WriteFile(t *testing.T, path, text string, mode os.FileMode) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
}
