// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package manifests

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	configv1 "github.com/mirrorset/mirrorset/api/config/v1"
	"github.com/mirrorset/mirrorset/internal/kinds"
)

// PolicyKind is what OpenShift had before sets.
const PolicyKind = "ImageContentSourcePolicy"

// Foreign is what an object of another kind has to do with sets.
type Foreign struct {
	// Meant says what it was to be, where it was to be a set; it is refused then.
	Meant string
	// PassedOver says what to do about an object that has, names or was before sets, which are passed over with it.
	PassedOver string
}

// JudgeForeign judges an object that is not a set.
func JudgeForeign(of metav1.TypeMeta, content map[string]any) Foreign {
	if meant := meantKind(of.APIVersion, of.Kind); meant != nil {
		return Foreign{Meant: fmt.Sprintf("apiVersion %q does not have kind %s; write %s, kind %s", of.APIVersion, of.Kind, configv1.GroupVersion, meant.Name)}
	}
	return Foreign{PassedOver: whyPassedOver(object{TypeMeta: of, content: content})}
}

// readForeign passes over an object of another kind. It refuses what was to be a set, and says where an object has or names sets that
// are passed over with it.
func (m *Manifests) readForeign(o object) {
	foreign := JudgeForeign(o.TypeMeta, o.content)
	if foreign.Meant != "" {
		m.refuse(o, fmt.Sprintf("%s %q: %s", o.Kind, o.name(), foreign.Meant))
		return
	}
	m.passedOver++
	if foreign.PassedOver != "" {
		m.note("warning: PassedOver: %s %q: %s: %s", o.Kind, o.name(), o.place, foreign.PassedOver)
	}
}

// readUntyped says what an object without a type is.
func (m *Manifests) readUntyped(o object) {
	file, _, _ := strings.Cut(o.place, ": document ")
	if base := filepath.Base(strings.Trim(file, `"`)); strings.TrimSuffix(strings.TrimSuffix(base, ".yaml"), ".yml") == "kustomization" {
		m.passedOver++
		m.note("warning: PassedOver: Kustomization: %s: %s", o.place, useKustomize)
		return
	}
	for _, key := range []string{"apiVersion", "kind"} {
		if value, there := o.content[key]; there && value != nil {
			if _, isText := value.(string); !isText {
				m.refuse(o, fmt.Sprintf("%s: %v is not text", key, value))
				return
			}
		}
	}
	m.refuse(o, "not a Kubernetes object: apiVersion and kind are required")
}

const useKustomize = "-f does not build a kustomization, and neither does kubectl apply -f; give its directory with -k"

// whyPassedOver returns what to do about an object that has, names or was before sets; "" for one that has nothing to do with them.
func whyPassedOver(o object) string {
	group, _, _ := strings.Cut(o.APIVersion, "/")
	switch {
	case o.Kind == PolicyKind || o.Kind == PolicyKind+"List":
		return "it is not a set, so its mirrors are ignored; to make a set of it, use kubectl mirrors convert"
	case o.Kind == "ImageContentPolicy" && group == configv1.GroupVersion.Group:
		return "it is not a set, so its mirrors are ignored; write an ImageDigestMirrorSet, whose entries have the same source and mirrors"
	case o.Kind == "Kustomization" && group == "kustomize.config.k8s.io":
		return useKustomize
	case o.Kind == "Kustomization" && group == "kustomize.toolkit.fluxcd.io":
		return "the manifests are in its source, which this command does not read; give that directory with -k"
	}
	at, kind := setWithin(o.content, "")
	switch {
	case kind == "":
		return ""
	case o.Kind == "Template":
		return fmt.Sprintf("the %s at %s is ignored; give the output of oc process -f instead", kind, at)
	}
	return fmt.Sprintf("the %s at %s is ignored, because kubectl apply does not apply it from here; give it in a file of its own", kind, at)
}

// setWithin returns the path and the kind of the first set that stands in an object, or of what was to be one, or was before there were
// any.
func setWithin(value any, at string) (where, kind string) {
	switch value := value.(type) {
	case map[string]any:
		name, _ := value["kind"].(string)
		if at != "" && (name == PolicyKind || kinds.Named(name) != nil || meantKind("", name) != nil) {
			return strings.TrimPrefix(at, "."), name
		}
		fields := make([]string, 0, len(value))
		for field := range value {
			fields = append(fields, field)
		}
		slices.Sort(fields)
		for _, field := range fields {
			if where, kind := setWithin(value[field], at+"."+field); kind != "" {
				return where, kind
			}
		}
	case []any:
		for i, item := range value {
			if where, kind := setWithin(item, fmt.Sprintf("%s[%d]", at, i)); kind != "" {
				return where, kind
			}
		}
	}
	return "", ""
}

// meantKind returns the kind of sets that somebody meant who wrote another kind or apiVersion; nil where it is a kind of its own.
func meantKind(apiVersion, name string) *kinds.Kind {
	lower := strings.ToLower(strings.TrimSuffix(strings.TrimSuffix(strings.TrimSpace(name), "List"), "s"))
	for _, kind := range kinds.All {
		short := strings.ToLower(strings.TrimSuffix(kind.Name, "Set"))
		if lower == kind.ShortName || lower == strings.TrimSuffix(kind.ShortName, "s") || lower == short || IsNear(lower, kind.Name) {
			return kind
		}
	}
	if group, _, _ := strings.Cut(apiVersion, "/"); group == configv1.GroupVersion.Group && strings.Contains(lower, "mirror") {
		return kinds.Digest
	}
	return nil
}

// IsNear reports whether a word is another one but for a slip or two.
func IsNear(word, other string) bool {
	const typos = 2
	return distance(strings.ToLower(word), strings.ToLower(other)) <= typos
}

// distance is how many letters one must add, remove or change to make one word of another (Levenshtein).
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		before := row[0]
		row[0] = i + 1
		for j := range len(b) {
			above := row[j+1]
			change := before
			if a[i] != b[j] {
				change++
			}
			row[j+1] = min(row[j]+1, above+1, change)
			before = above
		}
	}
	return row[len(b)]
}
