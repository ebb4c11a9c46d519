// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package redirect

import (
	"fmt"
	"strings"
	"testing"

	"github.com/mirrorset/mirrorset/internal/route"
)

func TestAnEntranceIsOpenedByItsOwnElementHoweverOftenItWasOpened(t *testing.T) {
	const key, next = route.Key("now"), route.Key("next")
	element := func(k route.Key, registry string, e route.Entry) string {
		return strings.Split(strings.TrimPrefix(k.Path(registry, e), route.RedirectorPath), "/")[0]
	}
	e := entrances{known: make(map[entrance]string)}
	at := entrance{key, "s.com", "0"}
	right := element(key, "s.com", "0")
	for i := range 3 {
		for name, wrong := range map[string]string{
			"none": "", "another registry's": element(key, "t.com", "0"), "another entry's": element(key, "s.com", "1"), "another key's": element(next, "s.com", "0"),
		} {
			if e.opens(at, wrong) {
				t.Errorf("round %d: the element is %s, and opens", i, name)
			}
		}
		if !e.opens(at, right) {
			t.Errorf("round %d: the right element does not open", i)
		}
		if n := len(e.known); n != 1 {
			t.Errorf("round %d: %d are remembered", i, n)
		}
	}
	for i := range maxEntrances + 10 {
		host := fmt.Sprint(i, ".com")
		if !e.opens(entrance{key, host, "0"}, element(key, host, "0")) {
			t.Fatalf("the element of %s does not open", host)
		}
	}
	if n := len(e.known); n > maxEntrances {
		t.Errorf("%d are remembered", n)
	}
}
