// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package rights

import (
	"bytes"
	"encoding/json"
	"net/http"
	"os"
	"regexp"
)

// Request is a request that an API server recorded in its audit log.
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
	// Body has what a SubjectAccessReview asks, where the content of requests is recorded.
	Body struct {
		Spec struct {
			User                  string
			NonResourceAttributes struct{ Path, Verb string }
		} `json:"spec"`
	} `json:"requestObject"`
	Status struct {
		Code int `json:"code"`
	} `json:"responseStatus"`
	Annotations map[string]string `json:"annotations"`
}

// Read returns what is in an audit log.
func Read(path string) ([]Request, error) {
	record, err := os.ReadFile(path)
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

// verbs are those that a request takes: none where it is for no object, and two to apply what was not there.
func (r *Request) verbs() []string {
	switch {
	case r.Object.Resource == "":
		return nil
	case r.Verb == "patch" && r.Status.Code == http.StatusCreated:
		return []string{"patch", "create"}
	}
	return []string{r.Verb}
}

// reason is why the API server let a request in.
var reason = regexp.MustCompile(`^RBAC: allowed by .* of (Role|ClusterRole) "([^"]+)" to `)

// role is the role that allowed a request, as [Right] has it.
func (r *Request) role() string {
	match := reason.FindStringSubmatch(r.Annotations["authorization.k8s.io/reason"])
	if match == nil {
		return "none"
	}
	return match[1] + " " + match[2]
}

// reviews reports whether a request asks if a user has this right to a path, as a server of metrics does.
func (r *Request) reviews(user string, right Right) bool {
	asked := r.Body.Spec
	return r.Object.Resource == "subjectaccessreviews" && r.Status.Code < 400 && asked.User == user &&
		asked.NonResourceAttributes.Path == right.Path && asked.NonResourceAttributes.Verb == right.Verb
}
