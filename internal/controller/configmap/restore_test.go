// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package configmap

import (
	"testing"
	"time"
)

func TestWhatOthersKeepChangingIsRestoredLessAndLessOften(t *testing.T) {
	var r restores
	now := time.Now()
	const content, other = "a", "b"
	if left := r.left(content, now); left != 0 {
		t.Errorf("the first write waits %s", left)
	}
	r.done(content, now)
	writes := 0
	for end := now.Add(time.Hour); now.Before(end); now = now.Add(100 * time.Millisecond) { // somebody changes it ten times a second
		if r.left(content, now) == 0 {
			r.done(content, now)
			writes++
		}
	}
	if writes < 60 || writes > 66 {
		t.Errorf("%d restorations in an hour", writes)
	}
	if left := r.left(other, now); left != 0 {
		t.Errorf("other content waits %s", left)
	}
	if left := r.left(content, now); left <= 0 || left > time.Minute {
		t.Errorf("the same waits %s", left)
	}
	if left := r.left(content, now.Add(time.Minute)); left != 0 {
		t.Errorf("a minute later it waits %s", left)
	}
	now = now.Add(11 * time.Minute)
	r.done(content, now)
	if left := r.left(content, now); left != time.Second {
		t.Errorf("after ten calm minutes the second one waits %s", left)
	}
}
