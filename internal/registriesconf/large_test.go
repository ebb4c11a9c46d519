// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package registriesconf_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/mirrorset/mirrorset/internal/mirrors"
	"github.com/mirrorset/mirrorset/internal/registriesconf"
)

func TestRulesThatNoAgentWouldUnpackAreRefusedEarly(t *testing.T) {
	long := mirrors.Scope("m.com/" + strings.Repeat("x", 200) + "/")
	many := make([]mirrors.Mirror, 1000)
	for i := range many {
		many[i] = mirrors.Mirror{Location: long + mirrors.Scope(fmt.Sprint(i)), Modes: mirrors.ByTag}
	}
	rules := make([]mirrors.Rule, 50)
	for i := range rules {
		rules[i] = mirrors.Rule{Source: mirrors.Scope(fmt.Sprintf("s%03d.com", i)), Mirrors: many}
	}
	if text, err := registriesconf.Encode(rules[:25]); err != nil || len(text) > registriesconf.MaxText {
		t.Errorf("%d bytes, %v", len(text), err)
	}
	rules[49].Mirrors = []mirrors.Mirror{{Location: "m.com", Modes: 7}} // which is an error of its own, and is not reached
	if _, err := registriesconf.Encode(rules); !errors.Is(err, mirrors.ErrTooLarge) {
		t.Errorf("got %v", err)
	}
}
