// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package olm

import (
	"fmt"
	"maps"
	"slices"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
)

// grant turns roles that are bound to our accounts into permissions, from which OLM makes accounts, roles and bindings for
// whatever namespace it installs into. Roles that nobody is bound to are for people, and stay as they are.
func (g *generator) grant() error {
	bound := map[*unstructured.Unstructured]bool{}
	for _, object := range g.bindings {
		var binding rbacv1.RoleBinding // a ClusterRoleBinding has the same fields
		if err := runtime.DefaultUnstructuredConverter.FromUnstructured(object.Object, &binding); err != nil {
			return fmt.Errorf("%s %s: %w", object.GetKind(), object.GetName(), err)
		}
		role := g.role(binding.RoleRef, binding.Namespace)
		if role == nil {
			return fmt.Errorf("%s %s: there is no %s %s for it", binding.Kind, binding.Name, binding.RoleRef.Kind, binding.RoleRef.Name)
		}
		if binding.Namespace != "" && (binding.Namespace != g.namespace.GetName() || role.GetKind() != "Role") {
			return fmt.Errorf("%s %s: OLM can give rights by a Role of its own namespace, and in the cluster, and no others", binding.Kind, binding.Name)
		}
		rules, _, err := unstructured.NestedSlice(role.Object, "rules")
		if err != nil {
			return fmt.Errorf("%s %s: %w", role.GetKind(), role.GetName(), err)
		}
		to := g.clusterPermissions
		if binding.Namespace != "" {
			to = g.permissions
		}
		for _, subject := range binding.Subjects {
			if subject.Kind != rbacv1.ServiceAccountKind || subject.Namespace != g.namespace.GetName() || !slices.Contains(g.accounts, subject.Name) {
				return fmt.Errorf("%s %s: %s %s is no account of this installation, and OLM can give rights to no others", binding.Kind, binding.Name, subject.Kind, subject.Name)
			}
			to[subject.Name] = append(to[subject.Name], rules...)
		}
		bound[role] = true
	}
	for _, role := range g.roles {
		if !bound[role] {
			g.manifests = append(g.manifests, role)
		}
	}
	return nil
}

func (g *generator) role(ref rbacv1.RoleRef, namespace string) *unstructured.Unstructured {
	i := slices.IndexFunc(g.roles, func(role *unstructured.Unstructured) bool {
		return role.GetKind() == ref.Kind && role.GetName() == ref.Name && (ref.Kind == "ClusterRole" || role.GetNamespace() == namespace)
	})
	if i < 0 {
		return nil
	}
	return g.roles[i]
}

func permissionsOf(rules map[string][]any) []any {
	var permissions []any
	for _, account := range slices.Sorted(maps.Keys(rules)) {
		permissions = append(permissions, map[string]any{"serviceAccountName": account, "rules": rules[account]})
	}
	return permissions
}
