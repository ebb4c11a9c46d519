// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package payload_test

import (
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/mirrorset/mirrorset/internal/payload"
)

// staged returns the ConfigMap of a payload for all nodes and one for canaries.
func staged(t *testing.T, all payload.Payload, canary *payload.Canary) *corev1.ConfigMap {
	t.Helper()
	data, binaryData, err := all.DataBeside(canary)
	if err != nil {
		t.Fatal(err)
	}
	return &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: payload.ConfigMapName, Annotations: all.Annotations()},
		Data:       data,
		BinaryData: binaryData,
	}
}

func canaryOf(text []byte, nodes ...string) *payload.Canary {
	c := &payload.Canary{Payload: payload.New(revision+1, text), Nodes: nodes, Until: metav1.Time{Time: time.Unix(1_800_000_060, 0)}}
	c.Format, c.Blockers, c.Shadow = payload.FormatTags, map[string]string{"quay.io": "a"}, map[string]string{"s.com": "b"}
	return c
}

func TestANodeTakesThePayloadThatIsForIt(t *testing.T) {
	for name, text := range map[string][]byte{"a small text for all": small, "a large text for all": large} {
		t.Run(name, func(t *testing.T) {
			all, canary := payload.New(revision, text), canaryOf([]byte("# another\n"), "a", "b")
			cm := staged(t, all, canary)
			for node, want := range map[string]payload.Payload{"a": canary.Payload, "b": canary.Payload, "c": all, "": all} {
				got, err := payload.For(cm, node)
				if err != nil {
					t.Fatal(err)
				}
				wantSame(t, got, want)
			}
			got, err := payload.ReadCanary(cm)
			if err != nil || !slices.Equal(got.Nodes, canary.Nodes) || !got.Until.Equal(&canary.Until) || got.Format != canary.Format || got.Blockers["quay.io"] != "a" || got.Shadow["s.com"] != "b" {
				t.Errorf("%+v, %v", got, err)
			}
			for key := range cm.BinaryData {
				if strings.HasSuffix(key, ".conf") {
					t.Errorf("a Pod that mounts the ConfigMap would load %s", key)
				}
			}
		})
	}
}

func TestWithoutCanariesTheConfigMapIsAsEver(t *testing.T) {
	all := payload.New(revision, small)
	cm := staged(t, all, nil)
	if len(cm.Data) != 1 || len(cm.BinaryData) != 0 {
		t.Errorf("data %v, binaryData %v", cm.Data, cm.BinaryData)
	}
	if c, err := payload.ReadCanary(cm); c != nil || err != nil {
		t.Errorf("%+v, %v", c, err)
	}
}

func TestADamagedSecondPayloadIsTakenByNobody(t *testing.T) {
	for name, damage := range map[string]func(*corev1.ConfigMap){
		"it is no JSON":       func(cm *corev1.ConfigMap) { cm.Data[payload.CanaryKey] = "{" },
		"its text is gone":    func(cm *corev1.ConfigMap) { delete(cm.BinaryData, payload.CanaryTextKey) },
		"its text is another": func(cm *corev1.ConfigMap) { cm.BinaryData[payload.CanaryTextKey] = pack(t, small) },
		"its text is a bomb":  func(cm *corev1.ConfigMap) { cm.BinaryData[payload.CanaryTextKey] = pack(t, make([]byte, 8<<20+1)) },
		"its format is newer": func(cm *corev1.ConfigMap) {
			cm.Data[payload.CanaryKey] = strings.Replace(cm.Data[payload.CanaryKey], `"format":2`, `"format":99`, 1)
		},
		"its revision is absurd": func(cm *corev1.ConfigMap) {
			cm.Data[payload.CanaryKey] = strings.Replace(cm.Data[payload.CanaryKey], `"revision":1800000000001`, `"revision":-1`, 1)
		},
	} {
		all := payload.New(revision, large)
		cm := staged(t, all, canaryOf([]byte("# another\n"), "a"))
		damage(cm)
		if c, err := payload.ReadCanary(cm); c != nil || err == nil || !strings.Contains(err.Error(), "ConfigMap ns/"+payload.ConfigMapName+": "+payload.CanaryKey) {
			t.Errorf("%s: %+v, %v", name, c, err)
		}
		got, err := payload.For(cm, "b")
		if err != nil {
			t.Fatal(err)
		}
		wantSame(t, got, all)
		switch got, err = payload.For(cm, "a"); name {
		case "it is no JSON":
			wantSame(t, got, all)
		case "its format is newer":
			if !errors.Is(err, payload.ErrNewer) {
				t.Errorf("%s: %v", name, err)
			}
		default:
			if err == nil || got.Text != nil {
				t.Errorf("%s: the canary takes %+v, %v", name, got, err)
			}
		}
	}
}

func TestTwoPayloadsHaveToFitOneConfigMap(t *testing.T) {
	noise := make([]byte, 600<<10)
	for i := range noise {
		noise[i] = byte(rand.Uint32()) // which gzip cannot make smaller
	}
	if _, _, err := payload.New(revision, noise).DataBeside(canaryOf(noise, "a")); !errors.Is(err, payload.ErrTooLarge) {
		t.Errorf("both are large: %v", err)
	}
	if _, _, err := payload.New(revision, small).DataBeside(canaryOf(make([]byte, 8<<20+1), "a")); !errors.Is(err, payload.ErrTooLarge) {
		t.Errorf("that of the canaries is larger than an agent takes: %v", err)
	}
	data, binaryData, err := payload.New(revision, slices.Repeat([]byte("x"), 899<<10)).DataBeside(canaryOf(noise, "a"))
	if err != nil || data[payload.Key] != "" || len(binaryData) != 2 {
		t.Errorf("a text that would fit alone is not compressed beside another: %d and %d keys, %v", len(data), len(binaryData), err)
	}
}
