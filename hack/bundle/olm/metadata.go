// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package olm

import (
	"fmt"
	"strings"

	"github.com/blang/semver/v4"
)

// Where the bundle's files are in a checkout.
const (
	manifestsFolder = "bundle/manifests"
	annotationsFile = "bundle/metadata/annotations.yaml"
	scorecardFile   = "bundle/tests/scorecard/config.yaml"
)

const factPrefix = "operators.operatorframework.io.bundle."

// fact is something that a bundle says about itself, in a file whose content hack/image has as labels of its image too.
type fact struct{ key, value string }

// facts are in the order in which they are written.
func facts(channels, defaultChannel, openShifts string) []fact {
	return []fact{
		{factPrefix + "mediatype.v1", "registry+v1"},
		{factPrefix + "manifests.v1", "manifests/"},
		{factPrefix + "metadata.v1", "metadata/"},
		{factPrefix + "package.v1", PackageName},
		{factPrefix + "channels.v1", channels},
		{factPrefix + "channel.default.v1", defaultChannel},
		{"operators.operatorframework.io.test.mediatype.v1", "scorecard+v1"},
		{"operators.operatorframework.io.test.config.v1", "tests/scorecard/"},
		{"com.redhat.openshift.versions", openShifts},
	}
}

// openShiftOffset is between the minor versions of Kubernetes and of the OpenShift that runs it: 4.17 runs 1.30.
const openShiftOffset = 13

// openShifts is the first version of OpenShift that runs a Kubernetes as new as this one. It stands for all later ones too.
func openShifts(minKubeVersion string) (string, error) {
	version, err := semver.Parse(minKubeVersion)
	if err != nil || version.Major != 1 || version.Minor < openShiftOffset {
		return "", fmt.Errorf("spec.minKubeVersion %q: want a version of Kubernetes such as 1.30.0; the bundle derives the oldest supported OpenShift from it", minKubeVersion)
	}
	return fmt.Sprintf("v4.%d", version.Minor-openShiftOffset), nil
}

func annotations(facts []fact) []byte {
	var text strings.Builder
	text.WriteString("annotations:\n")
	for _, f := range facts {
		fmt.Fprintf(&text, "  %s: %s\n", f.key, f.value)
	}
	return []byte(text.String())
}
