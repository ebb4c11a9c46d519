// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package diff

import (
	"net/http"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/mirrorset/mirrorset/internal/history"
	"github.com/mirrorset/mirrorset/internal/kinds"
	"github.com/mirrorset/mirrorset/internal/mirrors/mirrorstest"
	"github.com/mirrorset/mirrorset/internal/payload"
	"github.com/mirrorset/mirrorset/internal/plugin/plugintest"
	"github.com/mirrorset/mirrorset/internal/registriesconf"
)

func published(t *testing.T, revision int64, text string) (payload.Payload, history.Record) {
	t.Helper()
	sets, err := mirrorstest.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	written, err := registriesconf.Encode(kinds.Merge(sets, nil).Rules)
	if err != nil {
		t.Fatal(err)
	}
	p := payload.New(revision, written)
	p.Sets = kinds.DigestOf(sets)
	r := history.Of(p, sets, nil)
	r.Published = metav1.Time{Time: time.Now()}
	return p, r
}

func TestRevisionsAreComparedByWhatNodesPull(t *testing.T) {
	_, one := published(t, 1, "a: s.com -> m.com/1\nb: t.com -> m.com/2")
	now, two := published(t, 2, "a: s.com -> n.com/1\nb: t.com -> m.com/2")
	three, record := published(t, 3, "a: s.com -> n.com/1 [Never]")
	configMap := plugintest.NewSteered(t, now, &payload.Canary{Payload: three, Nodes: []string{"node-1"}}, payload.Rollout{})
	objects := map[string]any{plugintest.ConfigMapPath: http.HandlerFunc(configMap.Serve), plugintest.RecordsPath: plugintest.RecordList(t, one, two)}
	const change = `SOURCE   CHANGE                   BEFORE    AFTER
s.com    mirrors added, removed   m.com/1   n.com/1
                                  s.com     s.com
`
	url := plugintest.Serve(t, objects)
	diff := func(args ...string) plugintest.Result {
		return plugintest.Run(t, plugintest.Program(Command()), "", append([]string{"diff", "--server", url}, args...)...)
	}
	diff("--revision", "1", "--revision", "2").Want(t, 1, change, "")
	diff("--revision=1,2").Want(t, 1, change, "")
	diff("--revision=1").Want(t, 1, change, "")
	diff("--revision=2").Want(t, 0, "", "")
	diff("--revision=2", "--revision=3", "-o", "yaml").Want(t, 1, diffOfTheCanary, "") // which no record is of yet
	for _, tt := range []struct {
		args []string
		want string
	}{
		{[]string{"--revision=7"}, "revision 7 is not in the history; choose one of 3, 2, 1"},
		{[]string{"--revision=1", "--revision=2", "--revision=3"}, "give --revision once or twice, not 3 times"},
		{[]string{"--revision=1", "-f", "x.yaml"}, "--revision compares what nodes were given; -f, -k, --from and --prune are about manifests"},
		{[]string{"--revision=1", "--prune"}, "--revision compares what nodes were given; -f, -k, --from and --prune are about manifests"},
		{[]string{"--revision=x"}, "x"},
	} {
		if r := diff(tt.args...); r.Code != 2 || !strings.HasPrefix(r.Stderr, "error: ") || !strings.Contains(r.Stderr, tt.want) {
			t.Errorf("%q: exit code %d: %s", tt.args, r.Code, r.Stderr)
		}
	}

	// Of records, the sets are known.
	objects[plugintest.RecordsPath] = plugintest.RecordList(t, one, two, record)
	url = plugintest.Serve(t, objects)
	if r := diff("--revision=2", "--revision=3"); r.Code != 1 || !strings.HasPrefix(r.Stdout, "SET   CHANGE\nb     deleted\n\nSOURCE ") {
		t.Errorf("exit code %d:\n%s%s", r.Code, r.Stdout, r.Stderr)
	}
	delete(objects, plugintest.ConfigMapPath)
	url = plugintest.Serve(t, objects)
	diff("--revision=1", "--revision=2").Want(t, 1, change, "")
	if r := diff("--revision=1"); r.Code != 2 || !strings.Contains(r.Stderr, "nothing is published to compare the revision with; name a second revision with --revision") {
		t.Errorf("exit code %d: %s", r.Code, r.Stderr)
	}
}

const diffOfTheCanary = `deleted: []
findings: []
sources:
- after:
    blocked: true
    by: s.com
    pullSources:
    - n.com/1
    sets: []
  before:
    blocked: false
    by: s.com
    pullSources:
    - n.com/1
    - s.com
    sets: []
  changes:
  - Blocked
  source: s.com
- after:
    blocked: false
    by: ""
    pullSources:
    - t.com
    sets: []
  before:
    blocked: false
    by: t.com
    pullSources:
    - m.com/2
    - t.com
    sets: []
  changes:
  - Lost
  - MirrorsRemoved
  source: t.com
`
