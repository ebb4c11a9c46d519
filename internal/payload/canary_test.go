// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package payload_test

import (
	"errors"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"github.com/mirrorset/mirrorset/internal/payload"
)

// staged returns a ConfigMap in which all nodes have revision 1000, and the canary c revision 2000.
func staged(t *testing.T, change func(*payload.Canary, *corev1.ConfigMap)) *corev1.ConfigMap {
	t.Helper()
	fleet, canary := payload.New(1000, []byte("fleet\n")), &payload.Canary{Payload: payload.New(2000, []byte("canary\n")), Nodes: []string{"c"}}
	cm := &corev1.ConfigMap{}
	if change == nil {
		change = func(*payload.Canary, *corev1.ConfigMap) {}
	}
	change(canary, nil)
	var err error
	if cm.Data, cm.BinaryData, err = fleet.DataBeside(canary); err != nil {
		t.Fatal(err)
	}
	cm.Annotations = fleet.Annotations()
	change(nil, cm)
	return cm
}

func TestEachNodeGetsThePayloadThatIsForIt(t *testing.T) { // C1
	inConfigMap := func(damage func(*corev1.ConfigMap)) func(*payload.Canary, *corev1.ConfigMap) {
		return func(_ *payload.Canary, cm *corev1.ConfigMap) {
			if cm != nil {
				damage(cm)
			}
		}
	}
	for name, c := range map[string]struct {
		change func(*payload.Canary, *corev1.ConfigMap)
		// canary and other are the revisions that the two get; 0 for an error with the text.
		canary, other int64
		want          string
		newer         bool
	}{
		"two good payloads": {canary: 2000, other: 1000},
		"no canary any more": {inConfigMap(func(cm *corev1.ConfigMap) {
			delete(cm.Data, payload.CanaryKey)
			delete(cm.BinaryData, payload.CanaryTextKey)
		}), 1000, 1000, "", false},
		"a second payload without its text": {inConfigMap(func(cm *corev1.ConfigMap) { delete(cm.BinaryData, payload.CanaryTextKey) }), 0, 1000, payload.CanaryTextKey, false},
		"a second payload with another text": {inConfigMap(func(cm *corev1.ConfigMap) {
			cm.Data[payload.CanaryKey] = strings.Replace(cm.Data[payload.CanaryKey], "sha256:", "sha256:0", 1)
		}), 0, 1000, "digest", false},
		"a second payload that names nobody":    {inConfigMap(func(cm *corev1.ConfigMap) { cm.Data[payload.CanaryKey] = "{" }), 1000, 1000, "", false},
		"a second payload of a newer format":    {func(p *payload.Canary, _ *corev1.ConfigMap) { setFormat(p, payload.Format+1) }, 0, 1000, "newer version", true},
		"a first payload that is damaged alone": {inConfigMap(func(cm *corev1.ConfigMap) { cm.Data[payload.Key] = "x" }), 2000, 0, "digest", false},
	} {
		cm := staged(t, c.change)
		for node, want := range map[string]int64{"c": c.canary, "other": c.other} {
			p, err := payload.For(cm, node)
			if p.Revision != want || (err != nil) != (want == 0) || err != nil && !strings.Contains(err.Error(), c.want) || errors.Is(err, payload.ErrNewer) != (err != nil && c.newer) {
				t.Errorf("%s: %s gets revision %d (error %v), want %d", name, node, p.Revision, err, want)
			}
		}
	}
}

func setFormat(p *payload.Canary, format int) {
	if p != nil {
		p.Format = format
	}
}
