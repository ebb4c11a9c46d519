// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package rollout

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	configv1 "github.com/mirrorset/mirrorset/api/config/v1"
	"github.com/mirrorset/mirrorset/internal/history"
	"github.com/mirrorset/mirrorset/internal/payload"
	"github.com/mirrorset/mirrorset/internal/plugin/plugintest"
)

// longAgo is the time of a revision as people are told of it.
func longAgo(age time.Duration) metav1.Time {
	return metav1.Time{Time: time.Now().Add(-age).Truncate(time.Second)}
}

// agedRecords are three that were published so long ago, and two to whom sets changed a minute before.
func agedRecords(t *testing.T) []history.Record {
	t.Helper()
	records := threeRecords(t)
	for i, age := range map[int]time.Duration{0: 3 * time.Hour, 2: 2*time.Hour + 30*time.Second, 1: 3*time.Minute + 30*time.Second} {
		records[i].Published = longAgo(age)
		for j := range records[i].Changes {
			records[i].Changes[j].At = longAgo(age + time.Hour)
		}
	}
	records[1].Changes = append(records[1].Changes, history.Change{What: history.Deleted, Kind: "ImageDigestMirrorSet", Name: "x"}, history.Change{What: history.Deleted, Kind: "ImageTagMirrorSet", Name: "tags"})
	return records
}

func TestTheHistoryIsListedWithTheLatestLast(t *testing.T) {
	canary := &payload.Canary{Payload: payloadOf(t, third+1, aSet(4, "c.example/quay", "")), Nodes: []string{"node-1"}}
	records := agedRecords(t)
	undone := payload.Rollout{Undone: &payload.Undo{Order: byJane, Revision: second, Digest: records[2].Digest}}
	for _, tt := range []struct {
		name    string
		canary  *payload.Canary
		rollout payload.Rollout
		args    []string
		want    string
	}{
		{"while canaries try another", canary, payload.Rollout{}, nil, `REVISION        AGE         SOURCES   STATE      CHANGES
1790000000001   3h          1         <none>     quay created by kubectl-edit 4h ago
1790000000002   120m        1         <none>     quay changed by kubectl-edit 3h ago
1790000000003   3m30s       1         AllNodes   quay changed by kubectl-edit 63m ago, x deleted and 1 more
1790000000004   <unknown>   1         Canaries   <none>
`},
		{"with all changes", nil, undone, []string{"-o", "wide", "--no-headers"}, `1790000000001   3h      1     <none>     quay created by kubectl-edit 4h ago
1790000000002   120m    1     UndoneTo   quay changed by kubectl-edit 3h ago
1790000000003   3m30s   1     AllNodes   quay changed by kubectl-edit 63m ago, x deleted, itms/tags deleted
`},
		{"by name", nil, payload.Rollout{}, []string{"-o", "name"}, "controllerrevision.apps/" + history.Name(records[0].Digest, records[0].SetsDigest) + "\ncontrollerrevision.apps/" +
			history.Name(records[2].Digest, records[2].SetsDigest) + "\ncontrollerrevision.apps/" + history.Name(records[1].Digest, records[1].SetsDigest) + "\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := fixture{records: records, configMap: plugintest.NewSteered(t, payloadOf(t, third, later), tt.canary, tt.rollout)}
			run(t, f.serve(t), append([]string{"history"}, tt.args...)...).Want(t, 0, tt.want, "")
		})
	}
	run(t, (&fixture{}).serve(t), "history").Want(t, 0, "", "There is no history in namespace mirrorset-system: Mirrorset has published nothing there.\n")
}

func TestARevisionIsPrintedWithItsSetsAndItsText(t *testing.T) {
	records := threeRecords(t)
	f := fixture{records: records, configMap: plugintest.NewSteered(t, payloadOf(t, third, later), nil, payload.Rollout{})}
	objects := f.serve(t)
	r := run(t, objects, "history", "--revision=1790000000002").MustSucceed(t)
	want := `Revision:         1790000000002
First published:  2026-09-21T14:13:20Z
Digest:           ` + records[2].Digest + `
State:            <none>
Sources:          1
Changes:          quay changed by kubectl-edit at 2026-11-29T16:40:05Z
Sets:             quay, generation 2

registries.conf:
`
	if head, text, _ := strings.Cut(r.Stdout, "registries.conf:\n"); head+"registries.conf:\n" != want || !strings.Contains(text, "\n  blocked = true\n") || r.Stderr != "" {
		t.Errorf("%s%s\nwant\n%s", r.Stdout, r.Stderr, want)
	}
	for format, read := range map[string]func([]byte, any) error{"json": json.Unmarshal, "yaml": func(text []byte, into any) error { return yaml.Unmarshal(text, into) }} {
		var one entry
		if err := read([]byte(run(t, objects, "history", "--revision=1790000000002", "-o", format).Stdout), &one); err != nil || one.Digest != records[2].Digest || one.Text != string(records[2].Text) || len(one.Sets) != 1 || one.Changes[0].By != "kubectl-edit" {
			t.Errorf("%s: %v, %+v", format, err, one)
		}
		var all struct{ Revisions []entry }
		if err := read([]byte(run(t, objects, "history", "-o", format).Stdout), &all); err != nil || len(all.Revisions) != 3 || all.Revisions[2].States[0] != "AllNodes" || all.Revisions[0].Text != "" {
			t.Errorf("%s: %v, %+v", format, err, all)
		}
	}
	run(t, objects, "history", "--revision=7").WantError(t, "revision 7 is not in the history; choose one of 1790000000003, 1790000000002, 1790000000001")
	run(t, objects, "history", "-o", "xml").WantError(t, `--output "xml": the value must be one of table, wide, json, yaml, name`)
}

// Somebody who may write ControllerRevisions can have one that is no record. The others can be used all the same.
func TestARecordThatCannotBeReadIsNamed(t *testing.T) {
	records := threeRecords(t)
	list := plugintest.RecordList(t, records...)
	list.Items[0].Data.Raw = []byte(`{"text":"\u202e"}`)
	f := fixture{configMap: plugintest.NewSteered(t, payloadOf(t, third, later), nil, payload.Rollout{})}
	objects := f.serve(t)
	objects[plugintest.RecordsPath] = list
	r := run(t, objects, "history", "-o", "name")
	if r.Code != 0 || strings.Count(r.Stdout, "\n") != 2 || !strings.HasPrefix(r.Stderr, "warning: UnreadableRecord: ControllerRevision mirrorset-system/"+list.Items[0].Name+" is not a record of rules: ") {
		t.Errorf("exit code %d: %s%s", r.Code, r.Stdout, r.Stderr)
	}
}

// The manager publishes before it records, and a revision grows where the same text is published again.
func TestWhatIsPublishedIsListedBeforeItsRecord(t *testing.T) {
	f := fixture{configMap: plugintest.NewSteered(t, payloadOf(t, third, later), nil, payload.Rollout{}), sets: []configv1.ImageDigestMirrorSet{later}}
	run(t, f.serve(t), "history", "--no-headers").Want(t, 0, "1790000000003   <unknown>   1     AllNodes   <none>\n", "")
	f.records = []history.Record{recordOf(t, first, nil, later)}
	if r := run(t, f.serve(t), "history", "--no-headers").MustSucceed(t); !strings.HasPrefix(r.Stdout, "1790000000001 ") || strings.Count(r.Stdout, "\n") != 1 {
		t.Error(r.Stdout)
	}
	run(t, f.serve(t), "history", "--revision=1790000000003").MustSucceed(t)
}

func TestTheShellIsOfferedTheRevisions(t *testing.T) {
	f := fixture{records: threeRecords(t), configMap: plugintest.NewSteered(t, payloadOf(t, third, later), nil, payload.Rollout{})}
	url := plugintest.Serve(t, f.serve(t))
	r := plugintest.Run(t, plugintest.Program(Command()), "", "__complete", "rollout", "undo", "--server", url, "--to-revision", "")
	if want := "1790000000003\tAllNodes\n1790000000002\n1790000000001\n:36\n"; r.Stdout != want {
		t.Errorf("%q, want %q", r.Stdout, want)
	}
}
