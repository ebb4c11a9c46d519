// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package bundle_test

import (
	"maps"
	"net/http"
	"slices"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/mirrorset/mirrorset/hack/bundle/olm"
	"github.com/mirrorset/mirrorset/test/controlplane"
)

// right is one verb on one kind of objects, or on one object by its name.
func right(account, verb, group, resource, name string) string {
	resource = strings.TrimSuffix(resource+"."+group, ".")
	if name != "" {
		resource += "/" + name
	}
	return account + ": " + verb + " " + resource
}

// unused are rights that the test does not come to take, with what takes them.
var unused = map[string]string{
	"mirrorset-manager: create customresourcedefinitions.apiextensions.k8s.io/mirrornodes.mirrorset.io": "OLM brings this CRD; where others install, the manager does",
	"mirrorset-manager: patch events":               "takes the same event of the leader election twice within minutes",
	"mirrorset-manager: patch events.events.k8s.io": "takes the same event of a set or a node twice within minutes",
}

// perhaps is a right that the test takes or not: the manager says of a new node that no agent has reported from it, unless the agent is faster.
const perhaps = "mirrorset-manager: patch mirrornodes/status.mirrorset.io"

// ours are the requests of the accounts of the installation, by the account's name.
func ours() map[string][]controlplane.Request {
	GinkgoHelper()
	requests, err := plane.Requests()
	Expect(err).NotTo(HaveOccurred())
	by := map[string][]controlplane.Request{}
	for _, r := range requests {
		if account, ok := strings.CutPrefix(r.User.Name, "system:serviceaccount:"+namespace+":"); ok {
			by[account] = append(by[account], r)
		}
	}
	return by
}

// expectNothingForbidden looks at what the API server answered, and at what the programs said of it.
func expectNothingForbidden(processes ...*controlplane.Process) {
	GinkgoHelper()
	for account, requests := range ours() {
		for _, r := range requests {
			Expect(r.Status.Code).NotTo(Equal(http.StatusForbidden), "%s: %s %s", account, r.Verb, r.URI)
		}
	}
	for _, p := range processes {
		Expect(p.Log()).NotTo(ContainSubstring("forbidden"))
	}
}

// expectRights compares what the accounts may do with what they did.
func expectRights(bundle *olm.Bundle) {
	GinkgoHelper()
	may := granted(bundle)
	used := map[string]bool{}
	for account, requests := range ours() {
		for _, r := range requests {
			for _, verb := range verbs(r) {
				resource := strings.TrimSuffix(r.Object.Resource+"/"+r.Object.Subresource, "/")
				of := right(account, verb, r.Object.Group, resource, "")
				one := right(account, verb, r.Object.Group, resource, r.Object.Name)
				used[of], used[one] = true, true
				Expect(may[of] || may[one]).To(BeTrue(), "%s is not granted by the bundle", one)
			}
		}
	}
	var idle []string
	for name := range may {
		if !used[name] {
			idle = append(idle, name)
		}
	}
	idle = slices.DeleteFunc(idle, func(right string) bool { return right == perhaps })
	Expect(idle).To(ConsistOf(slices.Collect(maps.Keys(unused))), "what is granted and not used; unused has the exceptions")
}

// verbs are those that a request takes: none where it is for no object, and two to apply what is not there yet.
func verbs(r controlplane.Request) []string {
	switch {
	case r.Object.Resource == "":
		return nil
	case r.Verb == "patch" && r.Status.Code == http.StatusCreated:
		return []string{"patch", "create"}
	}
	return []string{r.Verb}
}

// granted are the rights of the accounts, one by one.
func granted(bundle *olm.Bundle) map[string]bool {
	all := map[string]bool{}
	install := bundle.CSV.Spec.Install.Spec
	for _, p := range slices.Concat(install.Permissions, install.ClusterPermissions) {
		for _, rule := range p.Rules {
			names := rule.ResourceNames
			if len(names) == 0 {
				names = []string{""}
			}
			for _, group := range rule.APIGroups {
				for _, resource := range rule.Resources {
					for _, name := range names {
						for _, verb := range rule.Verbs {
							all[right(p.ServiceAccountName, verb, group, resource, name)] = true
						}
					}
				}
			}
		}
	}
	return all
}
