// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package controlplane

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"

	"sigs.k8s.io/controller-runtime/pkg/envtest"
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

// Request is one that a service account made.
type Request struct {
	Verb string `json:"verb"`
	URI  string `json:"requestURI"`
	User struct {
		Name string `json:"username"`
	} `json:"user"`
	Object struct {
		Group       string `json:"apiGroup"`
		Resource    string `json:"resource"`
		Subresource string `json:"subresource"`
		Namespace   string `json:"namespace"`
		Name        string `json:"name"`
	} `json:"objectRef"`
	Status struct {
		Code int `json:"code"`
	} `json:"responseStatus"`
}

// Requests are all that service accounts have made so far.
func (c *ControlPlane) Requests() ([]Request, error) {
	record, err := os.ReadFile(filepath.Join(c.dir, auditLog))
	if err != nil {
		return nil, err
	}
	var requests []Request
	for line := range bytes.Lines(record) {
		if !bytes.HasSuffix(line, []byte("\n")) {
			break // it is being written
		}
		var r Request
		if err := json.Unmarshal(line, &r); err != nil {
			return nil, err
		}
		requests = append(requests, r)
	}
	return requests, nil
}
