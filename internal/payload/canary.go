// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package payload

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

const (
	// CanaryKey holds, in data, all of a [Canary] but its text, in JSON.
	CanaryKey = "canary.json"
	// CanaryTextKey holds that text, in binaryData, gzipped. Its name does not end in .conf, because a Pod that mounts the ConfigMap as a
	// drop-in directory would load it.
	CanaryTextKey = "canary.gz"
)

// Canary is a payload that some nodes try before all others get it (docs/reference/semantics.md C1). Its revision is larger than the
// revision of the payload for all nodes.
type Canary struct {
	Payload
	// Nodes are the names of the nodes that take it, in byte order.
	Nodes []string
	// Until is when all nodes get it if no canary reports trouble, by the manager's clock. It is zero while a canary has not followed yet.
	// It is for people only.
	Until metav1.Time
}

// canaryJSON is the form in which the ConfigMap stores a Canary.
type canaryJSON struct {
	Format   int               `json:"format"`
	Revision int64             `json:"revision"`
	Digest   string            `json:"digest"`
	Nodes    []string          `json:"nodes"`
	Until    *metav1.Time      `json:"until,omitempty"`
	Blockers map[string]string `json:"blockers,omitempty"`
	Shadow   map[string]string `json:"shadow,omitempty"`
}

// Takes reports whether a node takes this payload.
func (c *Canary) Takes(node string) bool {
	return c != nil && slices.Contains(c.Nodes, node)
}

// ReadCanary returns the second payload of a ConfigMap once [Payload.Check] has passed, or nil where there is none.
func ReadCanary(cm *corev1.ConfigMap) (*Canary, error) {
	c, err := readHead(cm)
	if c == nil || err != nil {
		return nil, err
	}
	if c.Format <= Format { // otherwise Check refuses it, and nothing is known of the rest
		c.Text, err = unpack(CanaryTextKey, cm.BinaryData[CanaryTextKey])
	}
	if err == nil {
		err = c.Check()
	}
	if err != nil {
		return nil, canaryError(cm, err)
	}
	return c, nil
}

// readHead returns the second payload without its text, or nil where there is none.
func readHead(cm *corev1.ConfigMap) (*Canary, error) {
	head, ok := cm.Data[CanaryKey]
	if !ok {
		return nil, nil
	}
	var said canaryJSON
	if err := json.Unmarshal([]byte(head), &said); err != nil {
		return nil, canaryError(cm, err)
	}
	c := &Canary{Payload: Payload{Format: said.Format, Revision: said.Revision, Digest: said.Digest, Blockers: said.Blockers, Shadow: said.Shadow}, Nodes: said.Nodes}
	if said.Until != nil {
		c.Until = *said.Until
	}
	return c, nil
}

func canaryError(cm *corev1.ConfigMap, err error) error {
	return fmt.Errorf("ConfigMap %s/%s: %s: %w", cm.Namespace, cm.Name, CanaryKey, err)
}

// For returns the payload of a ConfigMap that is meant for a node. It fails where [Read] does, and for a canary where [ReadCanary] does. It
// ignores a second payload that does not name its canaries.
func For(cm *corev1.ConfigMap, node string) (Payload, error) {
	if head, err := readHead(cm); err != nil || !head.Takes(node) {
		return Read(cm)
	}
	c, err := ReadCanary(cm)
	if err != nil {
		return Payload{}, err
	}
	return c.Payload, nil
}

// DataBeside returns the ConfigMap's data and binaryData in the form that [Read] and [ReadCanary] read. The canary is nil where there is
// none. It fails with [ErrTooLarge].
func (p Payload) DataBeside(canary *Canary) (data map[string]string, binaryData map[string][]byte, err error) {
	if canary == nil {
		return p.Data()
	}
	said := canaryJSON{Format: max(1, canary.Format), Revision: canary.Revision, Digest: canary.Digest, Nodes: canary.Nodes, Blockers: fitting(canary.Blockers), Shadow: fitting(canary.Shadow)}
	if !canary.Until.IsZero() {
		said.Until = &canary.Until
	}
	head, err := json.Marshal(said)
	if err != nil {
		return nil, nil, err
	}
	packed, err := Pack(canary.Text)
	if err != nil {
		return nil, nil, err
	}
	room := maxPlain - len(head) - len(packed)
	if len(canary.Text) > maxText || room < 0 {
		return nil, nil, fmt.Errorf("%w: %d bytes for the canaries, compressed %d", ErrTooLarge, len(canary.Text), len(packed))
	}
	if data, binaryData, err = p.dataWithin(room); err != nil {
		return nil, nil, fmt.Errorf("the rules of all nodes and the rules of the canaries do not fit into one ConfigMap: %w", err)
	}
	if binaryData == nil {
		binaryData = make(map[string][]byte)
	}
	data[CanaryKey], binaryData[CanaryTextKey] = string(head), packed
	return data, binaryData, nil
}

// Pack compresses a text with gzip, for places where it must be small.
func Pack(text []byte) ([]byte, error) {
	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	if _, err := w.Write(text); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return packed.Bytes(), nil
}
