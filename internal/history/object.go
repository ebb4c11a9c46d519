// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package history

import (
	"encoding/json"
	"errors"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/mirrorset/mirrorset/internal/payload"
)

const (
	// Component is the value of the label app.kubernetes.io/component that selects records.
	Component = "rules-history"
	// maxData bounds the content of an object, in bytes. etcd accepts 1.5 MiB for the complete object.
	maxData = 1_500_000
	// maxDetail bounds what is decompressed into memory in addition to the text, in bytes.
	maxDetail = 16 << 20
	// maxNames bounds the names of the sets that block or watch sources, in bytes, as they are stored in the ConfigMap (N9, V4).
	maxNames = 64 << 10
)

// errTooMuch is the error about an object that decompresses to more than any record has.
var errTooMuch = errors.New("it is larger than a record can be")

// Labels are the labels of every record.
var Labels = map[string]string{
	"app.kubernetes.io/name":       "mirrorset",
	"app.kubernetes.io/component":  Component,
	"app.kubernetes.io/managed-by": payload.FieldManager,
}

// content is the content of a ControllerRevision that stores a record. Its fields are in alphabetical order, which is the order that an API
// server writes when the object is patched. The API server would treat another order as a change of immutable content.
type content struct {
	Detail     []byte `json:"detail"` // a [detail] in JSON, gzipped
	Digest     string `json:"digest"`
	Format     int    `json:"format"`
	Partial    bool   `json:"partial,omitempty"`
	SetsDigest string `json:"setsDigest,omitempty"`
	Text       []byte `json:"text"` // gzipped
}

// detail holds everything that grows with the number of sets.
type detail struct {
	Sets     []Set             `json:"sets,omitempty"`
	Changes  []Change          `json:"changes,omitempty"`
	Blockers map[string]string `json:"blockers,omitempty"`
	Shadow   map[string]string `json:"shadow,omitempty"`
}

// Name is the name of the ControllerRevision of a text that was made from these sets, by their digests. Another text, or the same text made
// from other sets, has another name, because the content of an object cannot be changed.
func Name(digest, setsDigest string) string {
	name := payload.ConfigMapName
	for _, d := range []string{digest, setsDigest} {
		if _, sum, ok := strings.Cut(d, ":"); ok {
			name += "-" + sum[:min(len(sum), 16)]
		}
	}
	return name
}

// Object returns the record as an object in a namespace. If the object has no room for all changes or sets, its record is partial.
func (r *Record) Object(namespace string) (*appsv1.ControllerRevision, error) {
	text, err := payload.Pack(r.Text)
	if err != nil {
		return nil, err
	}
	c := content{Format: r.Format, Digest: r.Digest, SetsDigest: r.SetsDigest, Text: text, Partial: r.Partial}
	d := detail{Sets: r.Sets, Changes: r.Changes, Blockers: fitting(r.Blockers), Shadow: fitting(r.Shadow)}
	for {
		data, err := c.with(d)
		switch {
		case err == nil:
			return &appsv1.ControllerRevision{
				ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: Name(r.Digest, r.SetsDigest), Labels: Labels},
				Revision:   r.Revision,
				Data:       runtime.RawExtension{Raw: data},
			}, nil
		case !errors.Is(err, errTooMuch):
			return nil, err
		case len(d.Changes) > 0: // changes are for people only
			d.Changes = d.Changes[:len(d.Changes)/2]
		case len(d.Sets) > 0:
			d.Sets = d.Sets[:len(d.Sets)/2]
		default:
			return nil, err
		}
		c.Partial = true
	}
}

// fitting returns the names, or nil if there are too many.
func fitting(names map[string]string) map[string]string {
	if text, err := json.Marshal(names); err != nil || len(text) > maxNames {
		return nil
	}
	return names
}

// with returns the content with this detail in the form that an object stores. It fails with [errTooMuch].
func (c content) with(d detail) ([]byte, error) {
	plain, err := json.Marshal(d)
	if err == nil && len(plain) > maxDetail {
		err = errTooMuch
	}
	if err != nil {
		return nil, err
	}
	if c.Detail, err = payload.Pack(plain); err != nil {
		return nil, err
	}
	data, err := json.Marshal(c)
	if err == nil && len(data) > maxData {
		err = errTooMuch
	}
	return data, err
}
