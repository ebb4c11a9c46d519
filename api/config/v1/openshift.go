// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package v1

import (
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// KeptByOpenShift tells whether OpenShift's version operator keeps an object, as the CRD of this API on such a cluster, whatever
// labels others have put on it since.
func KeptByOpenShift(object metav1.Object) bool {
	for key := range object.GetAnnotations() {
		if strings.Contains(key, "release.openshift.io/") {
			return true
		}
	}
	return false
}
