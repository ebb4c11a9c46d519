// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package standing_test

import (
	"slices"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	mirrorsetv1alpha1 "github.com/mirrorset/mirrorset/api/mirrorset/v1alpha1"
	"github.com/mirrorset/mirrorset/internal/controller/fleet/fleettest"
	"github.com/mirrorset/mirrorset/internal/payload"
	"github.com/mirrorset/mirrorset/internal/standing"
)

func TestANodeStandsWhereTheManagerSeesIt(t *testing.T) {
	says := func(is metav1.ConditionStatus, reason, message string) func(*mirrorsetv1alpha1.MirrorNodeStatus) {
		return fleettest.WithCondition(mirrorsetv1alpha1.ConditionApplied, is, reason, message)
	}
	p, provisional := &standing.Published{Revision: 20, Digest: "d"}, &standing.Published{Revision: 20, Digest: "d", Provisional: true}
	slipped := &standing.Published{Revision: 20, Digest: "d", Believed: 30}
	for _, tt := range []struct {
		name   string
		status mirrorsetv1alpha1.MirrorNodeStatus
		p      *standing.Published
		where  standing.Standing
		why    string
	}{
		{"all is in force", fleettest.Reported(20), p, standing.InForce, ""},
		{"no report", mirrorsetv1alpha1.MirrorNodeStatus{}, p, standing.Silent, "no agent has reported"},
		{"it failed with an older one", fleettest.Reported(19, says(metav1.ConditionFalse, mirrorsetv1alpha1.ReasonFailed, "disk full")), p, standing.Failing, "disk full"},
		{"it was marked as silent", fleettest.Reported(19, says(metav1.ConditionUnknown, mirrorsetv1alpha1.ReasonAgentSilent, "its agent has not put revision")), p, standing.Silent, "its agent has not put revision"},
		{"an older one", fleettest.Reported(19), p, standing.Behind, ""},
		{"an older one, not all of it", fleettest.Reported(19, says(metav1.ConditionFalse, mirrorsetv1alpha1.ReasonNotInForce, "x")), p, standing.Behind, ""},
		{"an older one, before what may be a mistake", fleettest.Reported(19), provisional, standing.Behind, "may be a mistake"},
		{"a later one", fleettest.Reported(21), p, standing.Ahead, "will publish again with a higher number"},
		{"a later one that is believed", fleettest.Reported(30), slipped, standing.Ahead, "will publish again with a higher number"},
		{"one that is not", fleettest.Reported(31), slipped, standing.Ahead, "it has revision 31, more than a day ahead of the manager's clock"},
		{"one that is not, and it refuses what is published", fleettest.Reported(31, says(metav1.ConditionFalse, mirrorsetv1alpha1.ReasonFailed, "older")), slipped, standing.Failing, "remove /" + payload.HostPath + " on the node"},
		{"a believed one, and it refuses what is published", fleettest.Reported(30, says(metav1.ConditionFalse, mirrorsetv1alpha1.ReasonFailed, "older")), slipped, standing.Failing, "older"},
		{"another content", fleettest.Reported(20, func(s *mirrorsetv1alpha1.MirrorNodeStatus) { s.Digest = "e" }), p, standing.Behind, "different content"},
		{"not all", fleettest.Reported(20, says(metav1.ConditionFalse, mirrorsetv1alpha1.ReasonNotInForce, "quay.io is foreign")), p, standing.Failing, "quay.io is foreign"},
		{"a doubt about the runtime", fleettest.Reported(20, fleettest.WithCondition(mirrorsetv1alpha1.ConditionRuntimeReady, metav1.ConditionUnknown, mirrorsetv1alpha1.ReasonNotReady, "unseen")), p, standing.InForce, "unseen"},
		{"nothing is published, and something in force", fleettest.Reported(5), nil, standing.InForce, ""},
		{"nothing is published, and nothing in force", fleettest.Reported(0, says(metav1.ConditionFalse, mirrorsetv1alpha1.ReasonNotInForce, "nothing was published")), nil, standing.Failing, "nothing was published"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			where, why := standing.Of(&tt.status, tt.p)
			if where != tt.where || !strings.Contains(why, tt.why) || (why == "") != (tt.why == "") {
				t.Errorf("%s, %q; want %s, %q", where, why, tt.where, tt.why)
			}
		})
	}
}

func TestWhereANodeStandsWithTheSourcesOfASet(t *testing.T) {
	applied := func(is metav1.ConditionStatus, reason string) func(*mirrorsetv1alpha1.MirrorNodeStatus) {
		return fleettest.WithCondition(mirrorsetv1alpha1.ConditionApplied, is, reason, "because")
	}
	for _, c := range []struct {
		name   string
		status mirrorsetv1alpha1.MirrorNodeStatus
		want   standing.Standing
		why    string
	}{
		{"at the first revision", fleettest.Reported(10), standing.InForce, ""},
		{"at a later one", fleettest.Reported(15), standing.InForce, ""},
		{"at what is published", fleettest.Reported(20), standing.InForce, ""},
		{"ahead of it", fleettest.Reported(30), standing.Behind, "it has a later revision than the published revision 20; the manager will publish again with a higher number"},
		{"ahead of it, and refusing it", fleettest.Reported(30, applied(metav1.ConditionFalse, mirrorsetv1alpha1.ReasonFailed)), standing.Failing, "because"},
		{"behind", fleettest.Reported(9), standing.Behind, ""},
		{"never reported", mirrorsetv1alpha1.MirrorNodeStatus{}, standing.Behind, ""},
		{"marked as never reported", mirrorsetv1alpha1.MirrorNodeStatus{Conditions: fleettest.Reported(0, applied(metav1.ConditionUnknown, mirrorsetv1alpha1.ReasonNeverReported)).Conditions}, standing.Behind, "because"},
		{"silent, and behind", fleettest.Reported(9, applied(metav1.ConditionUnknown, mirrorsetv1alpha1.ReasonAgentSilent)), standing.Behind, "because"},
		{"silent since, but far enough", fleettest.Reported(10, applied(metav1.ConditionUnknown, mirrorsetv1alpha1.ReasonAgentSilent)), standing.InForce, ""},
		{"with another digest", fleettest.Reported(20, func(s *mirrorsetv1alpha1.MirrorNodeStatus) { s.Digest = "e" }), standing.Behind, "it has different content under the same revision number"},
		{"failing, and behind", fleettest.Reported(9, applied(metav1.ConditionFalse, mirrorsetv1alpha1.ReasonFailed)), standing.Failing, "because"},
		{"failing with a later one", fleettest.Reported(10, applied(metav1.ConditionFalse, mirrorsetv1alpha1.ReasonFailed)), standing.InForce, ""},
		{"without more sources than there is room for", fleettest.Reported(20, fleettest.Without(slices.Repeat([]string{"a.com"}, mirrorsetv1alpha1.MaxNotInForce)...)), standing.Failing, "because"},
		{"without that many, all behind", fleettest.Reported(20, fleettest.Without(slices.Repeat([]string{"z.com"}, mirrorsetv1alpha1.MaxNotInForce)...)), standing.InForce, ""},
		{"without one of the sources", fleettest.Reported(20, fleettest.Without("a.com", "s.com")), standing.Failing, "because"},
		{"without other sources", fleettest.Reported(20, fleettest.Without("a.com")), standing.InForce, ""},
		{"with a runtime that does not read", fleettest.Reported(20, applied(metav1.ConditionFalse, mirrorsetv1alpha1.ReasonNotInForce),
			fleettest.WithCondition(mirrorsetv1alpha1.ConditionRuntimeReady, metav1.ConditionFalse, mirrorsetv1alpha1.ReasonNotReady, "set config_path")), standing.Failing, "set config_path"},
		{"with a runtime of which that is not known", fleettest.Reported(20, fleettest.WithCondition(mirrorsetv1alpha1.ConditionRuntimeReady, metav1.ConditionUnknown, mirrorsetv1alpha1.ReasonNotReady, "")), standing.InForce, ""},
	} {
		where, why := standing.OfSources(&c.status, 10, map[string]bool{"s.com": true}, &standing.Published{Revision: 20, Digest: "d"})
		if where != c.want || why != c.why {
			t.Errorf("%s: got %s %q", c.name, where, why)
		}
	}
}

func TestARevisionBeyondTheManagersClockIsSaidWithARemedy(t *testing.T) {
	p := &standing.Published{Revision: 20, Digest: "d", Believed: 30}
	refusing := fleettest.WithCondition(mirrorsetv1alpha1.ConditionApplied, metav1.ConditionFalse, mirrorsetv1alpha1.ReasonFailed, "older")
	for name, c := range map[string]struct {
		status mirrorsetv1alpha1.MirrorNodeStatus
		want   standing.Standing
		why    string
	}{
		"believed":              {fleettest.Reported(30, refusing), standing.Failing, "older"},
		"not believed":          {fleettest.Reported(31), standing.Behind, "it has revision 31, more than a day ahead of the manager's clock, and the manager does not publish a revision above that. Correct the manager's clock; if "},
		"not believed, refused": {fleettest.Reported(31, refusing), standing.Failing, "it has revision 31, "},
	} {
		where, why := standing.OfSources(&c.status, 10, nil, p)
		if where != c.want || !strings.HasPrefix(why, c.why) || where == standing.Failing && !standing.Suspect(&c.status) {
			t.Errorf("%s: %s %q", name, where, why)
		}
	}
}

func TestOfSeveralThingsThatANodeSaysTheOneAboutTheSourceCounts(t *testing.T) {
	const message = "/etc/a.conf blocks \"s.com/x\", so source \"s.com/x\" is not in force\n" +
		"registry b.com: /etc/containerd/certs.d/b.com/hosts.toml is not ours\n" +
		"registry c.d.com: /etc/containerd/certs.d/c.d.com is not ours and hides source *.d.com, which is not in force for it\n" +
		"/etc/b.conf blocks \"s.com\", so source \"s.com\" is not in force"
	for source, want := range map[string]string{
		"s.com/x": "/etc/a.conf blocks", "s.com": "/etc/b.conf blocks", "b.com/team/app": "registry b.com: ", "*.d.com": "registry c.d.com: ", "other.com": message,
	} {
		node := fleettest.Reported(20, fleettest.Without("a.com", source), fleettest.WithCondition(mirrorsetv1alpha1.ConditionApplied, metav1.ConditionFalse, mirrorsetv1alpha1.ReasonNotInForce, message))
		where, why := standing.OfSources(&node, 10, map[string]bool{source: true}, &standing.Published{Revision: 20, Digest: "d"})
		if where != standing.Failing || !strings.HasPrefix(why, want) || want != message && strings.Contains(why, "\n") {
			t.Errorf("%s: %s %q", source, where, why)
		}
	}
}

func TestOnlyASuspectCanFail(t *testing.T) {
	for name, node := range map[string]mirrorsetv1alpha1.MirrorNodeStatus{
		"all is in force": fleettest.Reported(20), "it has yet to follow": fleettest.Reported(0), "nobody has reported": {},
		"without a source": fleettest.Reported(20, fleettest.Without("s.com")),
		"it fails":         fleettest.Reported(0, fleettest.WithCondition(mirrorsetv1alpha1.ConditionApplied, metav1.ConditionFalse, mirrorsetv1alpha1.ReasonFailed, "")),
		"it reads nothing": fleettest.Reported(20, fleettest.WithCondition(mirrorsetv1alpha1.ConditionApplied, metav1.ConditionUnknown, mirrorsetv1alpha1.ReasonAgentSilent, ""),
			fleettest.WithCondition(mirrorsetv1alpha1.ConditionRuntimeReady, metav1.ConditionFalse, mirrorsetv1alpha1.ReasonNotReady, "")),
	} {
		where, _ := standing.OfSources(&node, 10, map[string]bool{"s.com": true}, &standing.Published{Revision: 20, Digest: "d"})
		if (where == standing.Failing) != standing.Suspect(&node) {
			t.Errorf("%s: %s, and suspect: %t", name, where, standing.Suspect(&node))
		}
	}
}
