// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package api

import (
	"bytes"
	"context"
	"encoding/json"
	"os/exec"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	configv1 "github.com/mirrorset/mirrorset/api/config/v1"
	"github.com/mirrorset/mirrorset/internal/kinds"
)

// kind is the one that the running spec is about.
var kind = kinds.Digest

// describe is [Describe] for each kind. What specs send and expect has the kind's names written as $RESOURCE, $KIND, $FIELD and $SHORT.
func describe(text string, args ...any) bool {
	for _, k := range kinds.All {
		Describe(k.Name, func() {
			BeforeEach(func() { kind = k })
			Describe(text, args...)
		})
	}
	return true
}

// fill writes the names of the kind.
func fill(text string) string {
	return strings.NewReplacer("$RESOURCE", kind.Resource, "$KIND", kind.Name, "$FIELD", kind.Field, "$SHORT", kind.ShortName).Replace(text)
}

// fillAll is [fill] for several texts.
func fillAll(texts []string) []string {
	filled := make([]string, len(texts))
	for i, text := range texts {
		filled[i] = fill(text)
	}
	return filled
}

// kubectl is kubectl as an administrator.
func kubectl(ctx context.Context, args ...string) *exec.Cmd {
	return plane.Kubectl(ctx, fillAll(args)...)
}

// set is an object of either kind, in the fields of one for digests.
type set = configv1.ImageDigestMirrorSet

// read reads an object of the kind as a set, strictly or with fields that the kind does not have.
func read(data []byte, strictly bool) (set, error) {
	d := json.NewDecoder(bytes.NewReader(data))
	if strictly {
		d.DisallowUnknownFields()
	}
	if kind == kinds.Digest {
		var s set
		return s, d.Decode(&s)
	}
	var tags configv1.ImageTagMirrorSet
	err := d.Decode(&tags)
	return fromTags(&tags), err
}

// readList is [read] for a list, strictly.
func readList(data []byte) (list configv1.ImageDigestMirrorSetList, err error) {
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if kind == kinds.Digest {
		return list, d.Decode(&list)
	}
	var tags configv1.ImageTagMirrorSetList
	err = d.Decode(&tags)
	list.TypeMeta, list.ListMeta = tags.TypeMeta, tags.ListMeta
	for i := range tags.Items {
		list.Items = append(list.Items, fromTags(&tags.Items[i]))
	}
	return list, err
}

func fromTags(tags *configv1.ImageTagMirrorSet) set {
	s := set{TypeMeta: tags.TypeMeta, ObjectMeta: tags.ObjectMeta, Status: tags.Status}
	for _, entry := range tags.Spec.ImageTagMirrors {
		s.Spec.ImageDigestMirrors = append(s.Spec.ImageDigestMirrors, configv1.ImageDigestMirrors(entry))
	}
	return s
}

// typeMeta is that of an object, or with a suffix of a list.
func typeMeta(suffix string) metav1.TypeMeta {
	return metav1.TypeMeta{APIVersion: "config.openshift.io/v1", Kind: kind.Name + suffix}
}

// specJSON is a spec with these rules.
func specJSON(rules ...configv1.ImageDigestMirrors) string {
	GinkgoHelper()
	text, err := json.Marshal(rules)
	Expect(err).NotTo(HaveOccurred())
	return `{"$FIELD":` + string(text) + `}`
}
