// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package rollout

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/mirrorset/mirrorset/internal/payload"
	"github.com/mirrorset/mirrorset/internal/plugin/plugintest"
)

const (
	first  = 1_790_000_000_001
	second = 1_790_000_000_002
	third  = 1_790_000_000_003
)

var byJane = payload.Order{By: "jane", At: at, Why: "no changes before Monday"}

const janeSaid = " by jane at 2026-11-29T16:40:05Z (no changes before Monday)"

func TestAPauseSaysWhoWhenAndWhy(t *testing.T) {
	for name, review := range map[string]any{"jane": plugintest.ReviewOf("jane"), "": http.HandlerFunc(plugintest.Refuse), "-": nil} {
		good := aSet(1, "m.example/quay", "")
		f := fixture{configMap: plugintest.NewSteered(t, payloadOf(t, first, good), nil, payload.Rollout{})}
		objects := f.serve(t)
		if objects[plugintest.ReviewsPath] = review; review == nil {
			delete(objects, plugintest.ReviewsPath)
		}
		run(t, objects, "pause", "--reason", "maintenance").Want(t, 0, "configmap/containers-registries.conf paused\n", "")
		paused := f.configMap.Rollout().Paused
		if paused == nil || paused.By != strings.Trim(name, "-") || paused.Why != "maintenance" || time.Since(paused.At.Time) > time.Minute {
			t.Errorf("%q: %+v", name, paused)
		}
		if patches := f.configMap.Patches; len(patches) != 1 || patches[0].Get("fieldManager") != "kubectl-mirrors" {
			t.Errorf("%v", patches)
		}
		if r := run(t, objects, "pause"); r.Code != 1 || !strings.HasPrefix(r.Stderr, "error: configmap/containers-registries.conf is already paused") {
			t.Errorf("exit code %d: %s", r.Code, r.Stderr)
		}
	}
}

// Whoever was faster is not written over, and what he did counts.
func TestAnOrderThatMeetsAnotherIsGivenAnew(t *testing.T) {
	good := aSet(1, "m.example/quay", "")
	f := fixture{configMap: plugintest.NewSteered(t, payloadOf(t, first, good), nil, payload.Rollout{})}
	f.configMap.Meanwhile = func(annotations map[string]string) { annotations["by"] = "somebody else" }
	run(t, f.serve(t), "pause").Want(t, 0, "configmap/containers-registries.conf paused\n", "")
	if len(f.configMap.Patches) != 1 || f.configMap.Rollout().Paused == nil {
		t.Errorf("%v", f.configMap.Patches)
	}

	f = fixture{configMap: plugintest.NewSteered(t, payloadOf(t, first, good), nil, payload.Rollout{})}
	f.configMap.Meanwhile = func(annotations map[string]string) {
		annotations[payload.PausedAnnotation] = payload.Rollout{Paused: &byJane}.Annotations()[payload.PausedAnnotation]
	}
	run(t, f.serve(t), "pause").WantError(t, "is already paused"+janeSaid)
	if len(f.configMap.Patches) > 0 {
		t.Errorf("%v", f.configMap.Patches)
	}
}

func TestRightsThatAreMissingAreNamedWithTheRole(t *testing.T) {
	configMap := plugintest.ConfigMapOf(t, payloadOf(t, first))
	objects := (&fixture{}).serve(t)
	objects[plugintest.ConfigMapPath] = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPatch {
			plugintest.Refuse(w, r)
			return
		}
		plugintest.Lists(t, configMap, func() any { return configMap })(w, r)
	})
	run(t, objects, "pause").WantError(t, "you need the rights of ClusterRole mirrorset-rollout-editor in namespace mirrorset-system: ")
}

func TestAClusterWithoutWhatIsSteeredIsNamed(t *testing.T) {
	for _, verb := range []string{"pause", "resume"} {
		run(t, (&fixture{}).serve(t), verb).WantError(t, "there is no ConfigMap containers-registries.conf in namespace mirrorset-system")
	}
	run(t, (&fixture{}).serve(t), "undo").WantError(t, "there is nothing to undo")
	plugintest.Run(t, plugintest.Program(Command()), "", "rollout", "stop").WantError(t, `unknown command "stop" for "kubectl-mirrors rollout"`)
}
