// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package payload_test

import (
	"reflect"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/mirrorset/mirrorset/internal/payload"
)

func TestOrdersComeBackOutOfTheirAnnotations(t *testing.T) {
	at := metav1.Time{Time: time.Unix(1_800_000_000, 0)}
	by := payload.Order{By: "alice", At: at, Why: "a freeze"}
	for _, r := range []payload.Rollout{
		{},
		{Paused: &by},
		{Paused: &payload.Order{}},
		{Undone: &payload.Undo{Order: by, Revision: 7, Digest: "sha256:1"}, Halted: &payload.Halt{Revision: 8, Digest: "sha256:2", Node: "n", Why: "w", At: at}},
	} {
		annotations := r.Annotations()
		got := payload.ReadRollout(annotations)
		if !reflect.DeepEqual(got.Annotations(), annotations) || (got.Paused == nil) != (r.Paused == nil) || (got.Undone == nil) != (r.Undone == nil) || (got.Halted == nil) != (r.Halted == nil) {
			t.Errorf("%v came back as %v", annotations, got.Annotations())
		}
	}
}

func TestAnOrderThatCannotBeReadPauses(t *testing.T) {
	for _, c := range []struct {
		annotations map[string]string
		paused      string // why; "-" for not at all
	}{
		{map[string]string{payload.PausedAnnotation: "true"}, ""},
		{map[string]string{payload.PausedAnnotation: "until monday"}, "until monday"},
		{map[string]string{payload.PausedAnnotation: ""}, ""},
		{map[string]string{payload.PausedAnnotation: `{"why": "a\u202eb\u0007\nc"}`}, "a b  c"},
		{map[string]string{payload.PausedAnnotation: strings.Repeat("x", 1001)}, strings.Repeat("x", 1000) + "..."},
		{map[string]string{payload.UndoneAnnotation: "7"}, payload.UndoneAnnotation + " cannot be read: 7"},
		{map[string]string{payload.UndoneAnnotation: `{"revision": 7}`}, payload.UndoneAnnotation + ` cannot be read: {"revision": 7}`},
		{map[string]string{payload.UndoneAnnotation: "7", payload.PausedAnnotation: `{"why": "x"}`}, "x"},
		{map[string]string{payload.HaltedAnnotation: "yes"}, "-"},
		{map[string]string{"mirrorset.io/other": "x"}, "-"},
	} {
		r := payload.ReadRollout(c.annotations)
		switch {
		case r.Undone != nil || r.Halted != nil:
			t.Errorf("%v: %+v", c.annotations, r)
		case (r.Paused == nil) != (c.paused == "-"):
			t.Errorf("%v: paused %+v", c.annotations, r.Paused)
		case r.Paused != nil && r.Paused.Why != c.paused && c.annotations[payload.PausedAnnotation] != "true":
			t.Errorf("%v: paused because of %q", c.annotations, r.Paused.Why)
		}
	}
}
