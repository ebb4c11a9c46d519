// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package olm

import (
	"fmt"
	"strings"
)

// Where the bundle's files are, below the folder that the Dockerfile is in.
const (
	manifestsFolder = "bundle/manifests"
	annotationsFile = "bundle/metadata/annotations.yaml"
	dockerfile      = "bundle.Dockerfile"
)

// facts are what a bundle says about itself, in a file and again as labels of its image. They are in the order in which they are
// written.
var facts = []string{"mediatype.v1", "manifests.v1", "metadata.v1", "package.v1", "channels.v1", "channel.default.v1"}

const factPrefix = "operators.operatorframework.io.bundle."

func values(channels []string, defaultChannel string) map[string]string {
	return map[string]string{
		"mediatype.v1":       "registry+v1",
		"manifests.v1":       "manifests/",
		"metadata.v1":        "metadata/",
		"package.v1":         PackageName,
		"channels.v1":        strings.Join(channels, ","),
		"channel.default.v1": defaultChannel,
	}
}

func annotations(channels []string, defaultChannel string) []byte {
	var text strings.Builder
	text.WriteString("annotations:\n")
	for _, fact := range facts {
		fmt.Fprintf(&text, "  %s%s: %s\n", factPrefix, fact, values(channels, defaultChannel)[fact])
	}
	return []byte(text.String())
}

func bundleDockerfile(channels []string, defaultChannel string) []byte {
	var text strings.Builder
	text.WriteString("# The image with the OLM bundle. `make bundle` writes this file.\nFROM scratch\n")
	for _, fact := range facts {
		fmt.Fprintf(&text, "LABEL %s%s=%s\n", factPrefix, fact, values(channels, defaultChannel)[fact])
	}
	text.WriteString("COPY bundle/manifests /manifests/\nCOPY bundle/metadata /metadata/\n")
	return []byte(text.String())
}
