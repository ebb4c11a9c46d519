// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

// Package rights compares what service accounts may do with what an API server has recorded that they did.
package rights

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/util/yaml"
)

// Right is one verb that a role grants to an account, on one kind of objects, on one object by its name, or on a path.
type Right struct {
	Account string
	Role    string // its kind and its name, as in "Role mirrorset-agent"; empty for whatever role
	// Namespace is the one in which it counts; it is empty for all of them, and for objects that are in none.
	Namespace             string
	Verb, Group, Resource string // with the subresource, as roles have it
	Name                  string // empty for all objects
	Path                  string // in the place of these three
}

func (r Right) String() string {
	who := r.Account
	if r.Role != "" {
		who += " by " + r.Role
	}
	object := strings.TrimSuffix(r.Resource+"."+r.Group, ".") + r.Path
	if r.Name != "" {
		object += "/" + r.Name
	}
	return fmt.Sprintf("%s: %s %s", who, r.Verb, object)
}

// Of returns what rules grant, one by one. The base has all that does not stand in rules.
func Of(base Right, rules []rbacv1.PolicyRule) (all []Right) {
	for _, rule := range rules {
		names := rule.ResourceNames
		if len(names) == 0 {
			names = []string{""}
		}
		for _, verb := range rule.Verbs {
			right := base
			right.Verb = verb
			for _, right.Path = range rule.NonResourceURLs {
				all = append(all, right)
			}
			right.Path = ""
			for _, right.Group = range rule.APIGroups {
				for _, right.Resource = range rule.Resources {
					for _, right.Name = range names {
						all = append(all, right)
					}
				}
			}
		}
	}
	return all
}

// Granted returns what the roles and bindings in files of manifests grant.
func Granted(files ...string) (all []Right, err error) {
	type object struct {
		rbacv1.RoleBinding `json:",inline"` // a ClusterRoleBinding has the same fields
		Rules              []rbacv1.PolicyRule
	}
	var bindings []object
	rules := map[string][]rbacv1.PolicyRule{}
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			return nil, err
		}
		for decoder := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(text), 4096); ; {
			var o object
			if err := decoder.Decode(&o); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				return nil, fmt.Errorf("%s: %w", name, err)
			}
			switch o.Kind {
			case "Role", "ClusterRole":
				rules[o.Kind+" "+o.Name] = o.Rules
			case "RoleBinding", "ClusterRoleBinding":
				bindings = append(bindings, o)
			}
		}
	}
	for _, binding := range bindings {
		role := binding.RoleRef.Kind + " " + binding.RoleRef.Name
		if rules[role] == nil {
			return nil, fmt.Errorf("%s %s: no file has the %s", binding.Kind, binding.Name, role)
		}
		for _, subject := range binding.Subjects {
			all = append(all, Of(Right{Account: subject.Name, Role: role, Namespace: binding.Namespace}, rules[role])...)
		}
	}
	return all, nil
}

// Compare returns the rights that no request took with success, and what the accounts of a namespace asked for that no right is for. The
// API server may have refused what a right is for, as while an installation is taken away.
func Compare(granted []Right, namespace string, requests []Request) (idle, lacking []string) {
	used := make([]bool, len(granted))
	for i := range requests {
		r := &requests[i]
		account, ours := strings.CutPrefix(r.User.Name, accounts(namespace))
		if !ours {
			continue
		}
		for _, verb := range r.verbs() {
			covered := false
			for n, right := range granted {
				if right.Account != account || !right.covers(r, verb) {
					continue
				}
				covered = true
				used[n] = used[n] || r.Status.Code < 400 && (right.Role == "" || right.Role == r.role())
			}
			if !covered {
				lacking = append(lacking, fmt.Sprintf("%s: %s %s", account, verb, r.URI))
			}
		}
		for n, right := range granted {
			used[n] = used[n] || right.Path != "" && r.reviews(accounts(namespace)+right.Account, right)
		}
	}
	for n, right := range granted {
		if !used[n] {
			idle = append(idle, right.String())
		}
	}
	for _, list := range []*[]string{&idle, &lacking} {
		slices.Sort(*list)
		*list = slices.Compact(*list)
	}
	return idle, lacking
}

func accounts(namespace string) string { return "system:serviceaccount:" + namespace + ":" }

// covers reports whether a right allows this verb on the object of a request.
func (r Right) covers(request *Request, verb string) bool {
	o := &request.Object
	return r.Verb == verb && r.Group == o.Group && r.Resource == strings.TrimSuffix(o.Resource+"/"+o.Subresource, "/") &&
		(r.Name == "" || r.Name == o.Name) && (r.Namespace == "" || r.Namespace == o.Namespace)
}
