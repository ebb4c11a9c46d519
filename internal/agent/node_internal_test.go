// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"errors"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mirrorset/mirrorset/internal/agent/sinktest"
	"github.com/mirrorset/mirrorset/internal/hostfile"
	"github.com/mirrorset/mirrorset/internal/hostfile/hostfiletest"
	"github.com/mirrorset/mirrorset/internal/payload"
	"github.com/mirrorset/mirrorset/internal/registriesconf"
	"github.com/mirrorset/mirrorset/internal/registriesconf/onhost"
)

// took returns a node that has accepted a payload with a rule for old.com.
func took(t *testing.T, have sinktest.Files) (n *host, root string, logged *strings.Builder) {
	t.Helper()
	n, root, logged = newHost(t, have)
	if taken, err := n.take(sinktest.Payload(t, 0, "old.com")); err != nil || !taken {
		t.Fatalf("taken = %t, error %v", taken, err)
	}
	return n, root, logged
}

func TestANewerPayloadIsTaken(t *testing.T) {
	n, root, _ := took(t, nil)
	wantDropIn(t, root, sinktest.Text(t, "old.com"))
	for i, want := range [][]byte{sinktest.Text(t, "new.com"), sinktest.Text(t, "old.com", "*.x.com"), nil, sinktest.Text(t, "!old.com")} {
		published := want
		if want == nil {
			published = []byte(registriesconf.Header) // no rules: no file
		}
		if taken, err := n.take(payload.New(sinktest.First+1+int64(i), published)); err != nil || !taken {
			t.Fatalf("taken = %t, error %v", taken, err)
		}
		wantDropIn(t, root, want)
	}
}

func TestAPayloadThatIsRefusedChangesNothing(t *testing.T) {
	newText := sinktest.Text(t, "new.com")
	for name, tc := range map[string]struct {
		offered payload.Payload
		want    string
	}{
		"an older revision":              {payload.New(sinktest.First-1, newText), "older"},
		"a revision beyond every clock":  {payload.New(1<<43+200*366*24*60*60*1000, newText), "out of range"},
		"the revision with another text": {payload.New(sinktest.First, newText), "published with digest"},
		"what is no registries.conf":     {payload.New(sinktest.First+1, []byte("[[registry")), "registries.conf"},
		"a mirror that would serve tags": {payload.New(sinktest.First+1, []byte(strings.Replace(string(newText), "digest-only", "all", 1))), "pull-from-mirror"},
		"a key that we do not know":      {payload.New(sinktest.First+1, append([]byte("unqualified-search-registries = [\"x.com\"]\n"), newText...)), "unknown key"},
		"a source outside the grammar":   {payload.New(sinktest.First+1, []byte("[[registry]]\nlocation = \"https://x.com\"\n")), "source"},
	} {
		t.Run(name, func(t *testing.T) {
			n, root, _ := took(t, nil)
			taken, err := n.take(tc.offered)
			if taken || err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Fatalf("taken = %t, error %v; want one with %q", taken, err, tc.want)
			}
			wantDropIn(t, root, sinktest.Text(t, "old.com"))
			if err := n.repair(); err != nil {
				t.Fatal(err)
			}
			wantDropIn(t, root, sinktest.Text(t, "old.com"))
			if taken, err := n.take(payload.New(sinktest.First+2, newText)); err != nil || !taken {
				t.Errorf("the next good one: taken = %t, error %v", taken, err)
			}
		})
	}
}

func TestAnOlderRevisionOfTheSameTextIsNoMistake(t *testing.T) {
	n, root, _ := took(t, nil)
	if taken, err := n.take(payload.New(sinktest.First-1, sinktest.Text(t, "old.com"))); taken || err != nil || n.accepted.Revision != sinktest.First {
		t.Errorf("taken = %t, error %v, revision %d", taken, err, n.accepted.Revision)
	}
	wantDropIn(t, root, sinktest.Text(t, "old.com"))
}

func TestAProvisionalPayloadReplacesNoRules(t *testing.T) {
	provisional := payload.New(sinktest.First+1, []byte(registriesconf.Header))
	provisional.Provisional = true
	n, root, _ := took(t, nil)
	if taken, err := n.take(provisional); taken || err != nil {
		t.Errorf("taken = %t, error %v", taken, err)
	}
	wantDropIn(t, root, sinktest.Text(t, "old.com"))
	provisional.Provisional = false
	if taken, err := n.take(provisional); !taken || err != nil {
		t.Errorf("once it is no longer provisional: taken = %t, error %v", taken, err)
	}
	wantDropIn(t, root, nil)
}

func TestTheSamePayloadIsNotTakenTwice(t *testing.T) {
	n, _, _ := took(t, nil)
	if taken, err := n.take(sinktest.Payload(t, 0, "old.com")); taken || err != nil {
		t.Errorf("taken = %t, error %v", taken, err)
	}
}

func TestTheNamesOfTheSetsThatBlockAreTakenForTheSameRules(t *testing.T) {
	n, root, _ := took(t, nil)
	p := sinktest.Payload(t, 0, "old.com")
	p.Blockers = map[string]string{"old.com": "10-a"}
	for _, want := range []bool{true, false} {
		if taken, err := n.take(p); taken != want || err != nil {
			t.Errorf("taken = %t, error %v; want %t", taken, err, want)
		}
	}
	if got := n.accepted.Blockers["old.com"]; got != "10-a" {
		t.Errorf("got %q", got)
	}
	wantDropIn(t, root, sinktest.Text(t, "old.com"))
	if taken, err := n.take(sinktest.Payload(t, 0, "old.com")); taken || err != nil {
		t.Errorf("without names: taken = %t, error %v", taken, err)
	}
}

func TestWhatIsWatchedIsTakenForTheSameRules(t *testing.T) { // V4
	n, root, _ := took(t, nil)
	p := sinktest.Payload(t, 0, "old.com")
	for _, c := range []struct {
		shadow map[string]string
		want   bool
	}{{nil, false}, {map[string]string{"s.com": "a"}, true}, {map[string]string{"s.com": "a"}, false}, {map[string]string{"s.com": "b"}, true}, {nil, true}, {nil, false}} {
		p.Shadow = c.shadow
		if taken, err := n.take(p); taken != c.want || err != nil {
			t.Errorf("%v: taken = %t, error %v; want %t", c.shadow, taken, err, c.want)
		}
		if kept, err := n.state.read(); err != nil || !maps.Equal(n.accepted.Shadow, c.shadow) || !maps.Equal(kept.Shadow, c.shadow) {
			t.Errorf("%v: accepted %v, kept %v, error %v", c.shadow, n.accepted.Shadow, kept, err)
		}
	}
	wantDropIn(t, root, sinktest.Text(t, "old.com"))
	older := sinktest.Payload(t, -1, "old.com")
	if older.Shadow = map[string]string{"s.com": "a"}; older.Revision >= p.Revision {
		t.Fatalf("revision %d is not older", older.Revision)
	}
	if taken, err := n.take(older); taken || err != nil || len(n.accepted.Shadow) > 0 {
		t.Errorf("of an older payload: taken = %t, error %v, watched %v", taken, err, n.accepted.Shadow)
	}
}

func TestAPayloadThatCannotBeTriedIsRefused(t *testing.T) {
	n, root, _ := took(t, sinktest.Files{etc + "10-theirs.conf": table("theirs.com", "")})
	missing := filepath.Join(root, "missing")
	t.Setenv("TMPDIR", missing)
	if taken, err := n.take(payload.New(sinktest.First+1, sinktest.Text(t, "new.com"))); taken || err == nil || !strings.Contains(err.Error(), "cannot test") || !strings.Contains(err.Error(), missing) {
		t.Fatalf("taken = %t, error %v", taken, err)
	}
	if n.accepted.Revision != sinktest.First {
		t.Errorf("revision %d counts as accepted", n.accepted.Revision)
	}
	wantDropIn(t, root, sinktest.Text(t, "old.com"))
}

func TestTheStateOutlivesTheAgent(t *testing.T) {
	n, root, _ := took(t, nil)
	if err := os.Remove(filepath.Join(root, onhost.Path)); err != nil {
		t.Fatal(err)
	}
	successor := n.successor(t)
	successor.restore()
	if err := successor.repair(); err != nil {
		t.Fatal(err)
	}
	wantDropIn(t, root, sinktest.Text(t, "old.com"))
	if _, err := successor.take(payload.New(sinktest.First-1, sinktest.Text(t, "new.com"))); err == nil {
		t.Error("an older revision than the restored one is taken")
	}
}

func TestADamagedStateIsNotUsed(t *testing.T) {
	for name, content := range map[string]string{
		"nothing in it":    "",
		"no JSON":          "{",
		"another's digest": `{"revision":1800000000000,"digest":"sha256:00","text":"eA=="}`,
	} {
		t.Run(name, func(t *testing.T) {
			n, root, logged := newHost(t, sinktest.Files{statePath: content, onhost.Path: string(sinktest.Text(t, "old.com"))})
			n.restore()
			if n.accepted != nil || !strings.Contains(logged.String(), statePath) {
				t.Errorf("accepted %v, logged %q", n.accepted, logged)
			}
			if err := n.repair(); err != nil {
				t.Fatal(err)
			}
			wantDropIn(t, root, sinktest.Text(t, "old.com"))
			if taken, err := n.take(sinktest.Payload(t, 0, "new.com")); !taken || err != nil {
				t.Errorf("taken = %t, error %v", taken, err)
			}
			wantDropIn(t, root, sinktest.Text(t, "new.com"))
		})
	}
}

func TestALostStateIsKeptAgain(t *testing.T) {
	n, root, _ := took(t, nil)
	if err := os.RemoveAll(filepath.Join(root, filepath.Dir(statePath))); err != nil {
		t.Fatal(err)
	}
	if err := n.repair(); err != nil {
		t.Fatal(err)
	}
	successor := n.successor(t)
	successor.restore()
	if successor.accepted == nil || successor.accepted.Revision != sinktest.First {
		t.Errorf("restored %v", successor.accepted)
	}
}

func TestAForeignFileIsNeverOverwritten(t *testing.T) {
	n, root, _ := newHost(t, sinktest.Files{onhost.Path: "# theirs\n"})
	taken, err := n.take(sinktest.Payload(t, 0, "s.com"))
	if !taken || !errors.Is(err, hostfile.ErrForeign) {
		t.Fatalf("taken = %t, error %v", taken, err)
	}
	if err := n.repair(); !errors.Is(err, hostfile.ErrForeign) {
		t.Errorf("error %v", err)
	}
	if _, err := n.take(payload.New(sinktest.First+1, []byte(registriesconf.Header))); !errors.Is(err, hostfile.ErrForeign) {
		t.Errorf("error %v", err)
	}
	wantDropIn(t, root, []byte("# theirs\n"))
	if err := os.Remove(filepath.Join(root, onhost.Path)); err != nil {
		t.Fatal(err)
	}
	if _, err := n.take(payload.New(sinktest.First+2, sinktest.Text(t, "s.com"))); err != nil {
		t.Fatal(err)
	}
	wantDropIn(t, root, sinktest.Text(t, "s.com"))
}

func TestWhereAForeignFileHasThePlaceOfOursNothingIsInForce(t *testing.T) {
	n, root, _ := newHost(t, nil)
	if _, err := n.take(sinktest.Payload(t, 0, "s.com")); err != nil || n.outcome(nil).Revision != sinktest.First {
		t.Fatalf("revision %d, error %v", n.outcome(nil).Revision, err)
	}
	sinktest.Write(t, root, onhost.Path, "# theirs\n")
	_, err := n.take(sinktest.Payload(t, 1, "s.com", "t.com")) // before any repair has seen it
	if o := n.outcome(err); err == nil || !strings.Contains(err.Error(), "/"+onhost.Path+" is not a file of Mirrorset") || o.Revision != 0 {
		t.Errorf("revision %d, error %v", o.Revision, err)
	}
}

func TestABlockThatIsLiftedBringsTheRuleBack(t *testing.T) {
	n, root, logged := took(t, nil)
	sinktest.Write(t, root, etc+"10.conf", blocks("old.com"))
	if err := n.repair(); err != nil {
		t.Fatal(err)
	}
	wantDropIn(t, root, nil)
	if err := n.repair(); err != nil {
		t.Fatal(err)
	}
	if count := strings.Count(logged.String(), "LocalBlock"); count != 1 {
		t.Errorf("the finding was logged %d times", count)
	}
	if err := os.Remove(filepath.Join(root, etc+"10.conf")); err != nil {
		t.Fatal(err)
	}
	if err := n.repair(); err != nil {
		t.Fatal(err)
	}
	wantDropIn(t, root, sinktest.Text(t, "old.com"))
}

// What was accepted is kept again once somebody has changed the file, also where that left its size and its time as they were.
func TestAnEditedStateIsKeptAgain(t *testing.T) {
	n, root, _ := newHost(t, nil)
	offer(t, n, 1, "example.com")
	want, err := os.ReadFile(filepath.Join(root, statePath))
	if err != nil {
		t.Fatal(err)
	}
	for range 2 { // it is read once it tells every change, and then no more
		hostfiletest.Settle(t, n.state.host, statePath)
		if err := n.repair(); err != nil {
			t.Fatal(err)
		}
	}
	wasOpened := hostfiletest.Opens(t, filepath.Join(root, statePath))
	if err := n.repair(); err != nil || wasOpened() {
		t.Errorf("error %v, or it was read", err)
	}
	hostfiletest.Edit(t, filepath.Join(root, statePath))
	hostfiletest.Settle(t, n.state.host, statePath) // so that the stamp alone tells it
	if err := n.repair(); err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(filepath.Join(root, statePath)); err != nil || string(got) != string(want) {
		t.Errorf("it is %q, error %v", got, err)
	}
}
