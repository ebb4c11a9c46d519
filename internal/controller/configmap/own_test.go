// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package configmap

import (
	"context"
	"encoding/json"
	"errors"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/mirrorset/mirrorset/internal/payload"
)

// changing is a client of an API server in which something changes what is applied, or that refuses it.
type changing struct {
	client.Client
	change func(*corev1.ConfigMap)
	err    error
	during func()
}

func (c changing) Apply(_ context.Context, object runtime.ApplyConfiguration, _ ...client.ApplyOption) error {
	c.during()
	sent, err := json.Marshal(object)
	if err != nil {
		return err
	}
	cm := &corev1.ConfigMap{}
	if err := json.Unmarshal(sent, cm); err != nil {
		return err
	}
	cm.ResourceVersion = "7"
	c.change(cm)
	answer, err := json.Marshal(cm)
	return errors.Join(c.err, err, json.Unmarshal(answer, object))
}

func version(v string) client.Object {
	return &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{ResourceVersion: v}}
}

func TestAVersionIsOwnWhereItSaysWhatWasWritten(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*corev1.ConfigMap)
		err    error
		want   bool
	}{
		"as it was applied":      {change: func(*corev1.ConfigMap) {}, want: true},
		"with more of others":    {change: func(cm *corev1.ConfigMap) { cm.Data["other"], cm.Annotations["example.com/other"] = "x", "x" }, want: true},
		"another text":           {change: func(cm *corev1.ConfigMap) { cm.Data[payload.Key] = "x" }},
		"no text":                {change: func(cm *corev1.ConfigMap) { cm.Data = nil }},
		"an annotation is gone":  {change: func(cm *corev1.ConfigMap) { delete(cm.Annotations, payload.RevisionAnnotation) }},
		"a label is gone":        {change: func(cm *corev1.ConfigMap) { cm.Labels = nil }},
		"something for canaries": {change: func(cm *corev1.ConfigMap) { cm.Data[payload.CanaryKey] = "x" }},
		"what nodes wait with":   {change: func(cm *corev1.ConfigMap) { cm.Annotations[payload.ProvisionalAnnotation] = "true" }},
		"it was refused":         {change: func(*corev1.ConfigMap) {}, err: errors.New("refused")},
		"it has no version":      {change: func(cm *corev1.ConfigMap) { cm.ResourceVersion = "" }},
	} {
		t.Run(name, func(t *testing.T) {
			k := &Keeper{Namespace: "n"}
			told := make(chan bool)
			k.Client = changing{change: c.change, err: c.err, during: func() {
				go func() { told <- k.IsOwn(version("7")) }() // who is told of it before it is answered
			}}
			_, err := k.Write(t.Context(), Current{}, Content{Payload: payload.New(1, []byte("text"))}, nil)
			if !errors.Is(err, c.err) {
				t.Fatalf("error %v", err)
			}
			if got := <-told; got != c.want {
				t.Errorf("own while it was written: %t", got)
			}
			if got := k.IsOwn(version("7")); got != c.want {
				t.Errorf("own: %t", got)
			}
			if k.IsOwn(version("8")) || k.IsOwn(version("")) {
				t.Error("others are own")
			}
		})
	}
}
