// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package configmap

import (
	"context"
	"encoding/json"
	"sync"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	corev1ac "k8s.io/client-go/applyconfigurations/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/mirrorset/mirrorset/internal/payload"
)

// own is the version of the ConfigMap that a keeper wrote last, which those who watch it are told of as of any other.
type own struct {
	writing sync.Mutex // which is held until that is known
	version string
}

// IsOwn reports whether an object is what this keeper made of the ConfigMap, so that there is nothing to check. It waits for a write in
// progress, and may be called at any time.
func (k *Keeper) IsOwn(object client.Object) bool {
	k.own.writing.Lock()
	defer k.own.writing.Unlock()
	return k.own.version != "" && k.own.version == object.GetResourceVersion()
}

// Applied is the ConfigMap as it should be, and after the request, as the API server returns it.
type Applied struct {
	*corev1ac.ConfigMapApplyConfiguration
}

// UnmarshalJSON takes what the API server answered, and keeps nothing of what was asked for.
func (a *Applied) UnmarshalJSON(answer []byte) error {
	a.ConfigMapApplyConfiguration = &corev1ac.ConfigMapApplyConfiguration{}
	return json.Unmarshal(answer, a.ConfigMapApplyConfiguration)
}

// apply applies the ConfigMap, and takes note of the version that this made of it where it is as it is to be: something in the API server may
// have changed it on the way.
func (k *Keeper) apply(ctx context.Context, wanted *corev1ac.ConfigMapApplyConfiguration) error {
	k.own.writing.Lock()
	defer k.own.writing.Unlock()
	answer := &Applied{wanted}
	if err := k.Client.Apply(ctx, answer, client.FieldOwner(payload.FieldManager), client.ForceOwnership); err != nil {
		return err
	}
	is := Current{configMap: &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Labels: answer.Labels, Annotations: answer.Annotations}, Data: answer.Data, BinaryData: answer.BinaryData,
	}}
	if answer.ResourceVersion != nil && is.says(wanted.Annotations, wanted.Data, wanted.BinaryData) && len(is.leftovers(wanted.Annotations, wanted.Data)) == 0 {
		k.own.version = *answer.ResourceVersion
	}
	return nil
}
