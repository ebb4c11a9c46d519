// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package rights

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const manifests = `
kind: Role
metadata: {name: a, namespace: ns}
rules:
- {apiGroups: [""], resources: [secrets], resourceNames: [one], verbs: [list, watch]}
---
kind: ClusterRole
metadata: {name: b}
rules:
- {apiGroups: [x.io], resources: [things, things/status], verbs: [patch, create]}
- {nonResourceURLs: [/metrics], verbs: [get]}
---
kind: RoleBinding
metadata: {name: a, namespace: ns}
roleRef: {kind: Role, name: a}
subjects: [{kind: ServiceAccount, name: acc, namespace: ns}]
---
kind: ClusterRoleBinding
metadata: {name: b}
roleRef: {kind: ClusterRole, name: b}
subjects: [{kind: ServiceAccount, name: acc, namespace: ns}]
`

// request is a line of an audit log.
func request(account, verb, object, role string, code int) string {
	return fmt.Sprintf(`{"verb":%q,"requestURI":"/uri","user":{"username":"system:serviceaccount:%s"},"objectRef":{%s},"responseStatus":{"code":%d},`+
		`"annotations":{"authorization.k8s.io/reason":"RBAC: allowed by SomeBinding \"z\" of %s to ServiceAccount \"acc/ns\""}}`+"\n", verb, account, object, code, role)
}

func TestWhatIsGrantedIsComparedWithWhatIsRecorded(t *testing.T) {
	const (
		secret = `"resource":"secrets","name":"one","namespace":"ns"`
		status = `"apiGroup":"x.io","resource":"things","subresource":"status","name":"t"`
		a, b   = `Role \"a\"`, `ClusterRole \"b\"`
		review = `{"verb":"create","user":{"username":"system:serviceaccount:ns:other"},"objectRef":{"resource":"subjectaccessreviews"},"responseStatus":{"code":201},` +
			`"requestObject":{"spec":{"user":"system:serviceaccount:ns:acc","nonResourceAttributes":{"path":"/metrics","verb":"get"}}}}` + "\n"
	)
	all := []string{
		"acc by ClusterRole b: create things.x.io", "acc by ClusterRole b: create things/status.x.io", "acc by ClusterRole b: get /metrics",
		"acc by ClusterRole b: patch things.x.io", "acc by ClusterRole b: patch things/status.x.io", "acc by Role a: list secrets/one", "acc by Role a: watch secrets/one",
	}
	for name, c := range map[string]struct {
		record string
		used   []string // of all
		lacks  []string
	}{
		"nothing":                             {"", nil, nil},
		"a right":                             {request("ns:acc", "list", secret, a, 200), all[5:6], nil},
		"by another role":                     {request("ns:acc", "list", secret, `ClusterRole \"a\"`, 200), nil, nil},
		"without success":                     {request("ns:acc", "list", secret, a, 403), nil, nil},
		"somebody else":                       {request("other:acc", "get", secret, a, 200), nil, nil},
		"no object":                           {request("ns:acc", "get", "", a, 200), nil, nil},
		"another verb":                        {request("ns:acc", "get", secret, a, 403), nil, []string{"acc: get /uri"}},
		"another name":                        {request("ns:acc", "list", `"resource":"secrets","name":"two","namespace":"ns"`, a, 403), nil, []string{"acc: list /uri"}},
		"another namespace":                   {request("ns:acc", "list", `"resource":"secrets","name":"one","namespace":"elsewhere"`, a, 403), nil, []string{"acc: list /uri"}},
		"another group":                       {request("ns:acc", "patch", `"resource":"things"`, b, 403), nil, []string{"acc: patch /uri"}},
		"a subresource that is there":         {request("ns:acc", "patch", status, b, 200), all[4:5], nil},
		"a subresource that is not there yet": {request("ns:acc", "patch", status, b, 201), []string{all[1], all[4]}, nil},
		"a path":                              {review, all[2:3], []string{"other: create "}},
		"a path, for another account":         {strings.Replace(review, "ns:acc", "ns:others", 1), nil, []string{"other: create "}},
		"a line that is being written":        {request("ns:acc", "get", secret, a, 403)[:80], nil, nil},
	} {
		folder := t.TempDir()
		for file, text := range map[string]string{"manifests": manifests, "record": c.record} {
			if err := os.WriteFile(filepath.Join(folder, file), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		granted, err := Granted(filepath.Join(folder, "manifests"))
		if err != nil {
			t.Fatal(err)
		}
		requests, err := Read(filepath.Join(folder, "record"))
		if err != nil {
			t.Fatal(err)
		}
		idle, lacking := Compare(granted, "ns", requests)
		want := slices.DeleteFunc(slices.Clone(all), func(right string) bool { return slices.Contains(c.used, right) })
		if !slices.Equal(idle, want) || !slices.Equal(lacking, c.lacks) {
			t.Errorf("%s: idle %q, want %q; lacking %q, want %q", name, idle, want, lacking, c.lacks)
		}
	}
}
