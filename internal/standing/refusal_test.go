// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package standing_test

import (
	"testing"

	"github.com/mirrorset/mirrorset/internal/standing"
)

func TestARefusalNamesWhatHelps(t *testing.T) {
	for _, tt := range []struct{ message, why, remedy string }{
		{
			`Error creating: pods "mirrorset-agent-x7v2p" is forbidden: violates PodSecurity "baseline:latest": host namespaces (hostNetwork=true)`,
			`violates PodSecurity "baseline:latest": host namespaces (hostNetwork=true)`,
			"kubectl label --overwrite namespace operators pod-security.kubernetes.io/enforce=privileged",
		},
		{`Error creating: pods "mirrorset-agent-x7v2p" is forbidden: exceeded quota: pods, requested: pods=1`, "exceeded quota: pods, requested: pods=1", ""},
		{`Error creating: admission webhook "policy.example" denied the request: no hostPath`, `Error creating: admission webhook "policy.example" denied the request: no hostPath`, ""},
	} {
		if got := standing.RefusalOf(tt.message, "operators"); got.Why != tt.why || got.Remedy != tt.remedy {
			t.Errorf("%s: %+v", tt.message, got)
		}
	}
}
