// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package controlplane

import (
	"os"
	"path/filepath"

	"sigs.k8s.io/controller-runtime/pkg/envtest"

	"github.com/mirrorset/mirrorset/test/rights"
)

// auditLog is the file with the API server's record.
const auditLog = "audit.log"

// auditPolicy has all that service accounts ask recorded, once it is answered or, of a watch, once that has begun.
const auditPolicy = `
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
- level: Metadata
  userGroups: [system:serviceaccounts]
- level: None
`

func audit(arguments *envtest.Arguments, dir string) error {
	policy := filepath.Join(dir, "audit.yaml")
	arguments.Set("audit-policy-file", policy).Set("audit-log-path", filepath.Join(dir, auditLog))
	return os.WriteFile(policy, []byte(auditPolicy), 0o600)
}

// Requests are all that service accounts have made so far.
func (c *ControlPlane) Requests() ([]rights.Request, error) {
	return rights.Read(filepath.Join(c.dir, auditLog))
}
