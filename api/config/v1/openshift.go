// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package v1

import (
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// KeptByOpenShift reports if OpenShift's version operator manages an object, such as the CRDs of this API on an
// OpenShift cluster. It looks at annotations, because anyone can have put other labels on the object since.
func KeptByOpenShift(object metav1.Object) bool {
	for key := range object.GetAnnotations() {
		if strings.Contains(key, "release.openshift.io/") {
			return true
		}
	}
	return false
}
