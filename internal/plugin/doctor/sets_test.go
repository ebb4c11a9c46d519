// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package doctor

import (
	"fmt"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	configv1 "github.com/mirrorset/mirrorset/api/config/v1"
	"github.com/mirrorset/mirrorset/internal/mirrors"
	"github.com/mirrorset/mirrorset/internal/plugin/plugintest"
)

// apisOf is what discovery says of a version of a group.
func apisOf(version string, names ...string) metav1.APIResourceList {
	list := metav1.APIResourceList{TypeMeta: metav1.TypeMeta{Kind: "APIResourceList", APIVersion: "v1"}, GroupVersion: version}
	for _, name := range names {
		list.APIResources = append(list.APIResources, metav1.APIResource{Name: name})
	}
	return list
}

// A manager of an earlier version is no problem to those who have sets about digests only.
func TestAnOlderManagerIsWorthAWarning(t *testing.T) {
	objects := healthy(t)
	objects["/apis/config.openshift.io/v1"] = apisOf("config.openshift.io/v1", "imagedigestmirrorsets")
	delete(objects, plugintest.TagSetsPath)
	const warning = `WARNING  crd/imagetagmirrorsets.config.openshift.io: the API server does not serve imagetagmirrorsets.config.openshift.io, because the manager is older than this plugin: the cluster has no ImageTagMirrorSets, and you cannot apply any
    To use ImageTagMirrorSets, upgrade Mirrorset. If its version supports them, check the conditions of the CRD:
    kubectl get crd imagetagmirrorsets.config.openshift.io -o yaml
`
	url := plugintest.Serve(t, objects)
	run(t, "", "doctor", "--server", url).Want(t, 0, warning+`OK       deployment/mirrorset-manager: 1 manager is available
OK       daemonset/mirrorset-agent: 2 agents are ready
OK       configmap/containers-registries.conf: revision 1795573438818 is complete, with 0 sources
OK       nodes: 2 nodes have revision 1795573438818 in force
OK       sets: 1 set has no problem
`, "0 problems, 1 warning.\n")
	run(t, "", "doctor", "node-2", "--server", url).Want(t, 0, warning+"OK       node/node-2: all of revision 1795573438818 is in force\n", "0 problems, 1 warning.\n")
}

func TestSetsThatAreTooLargeForAnyRulesAreAProblem(t *testing.T) {
	digests, tags := configv1.ImageDigestMirrorSet{ObjectMeta: metav1.ObjectMeta{Name: "a"}}, configv1.ImageTagMirrorSet{ObjectMeta: metav1.ObjectMeta{Name: "a"}}
	long := configv1.ImageTagMirrors{Source: "s.com"}
	for i := range 600 { // each of the sources inherits each of the mirrors
		digests.Spec.ImageDigestMirrors = append(digests.Spec.ImageDigestMirrors, configv1.ImageDigestMirrors{Source: fmt.Sprintf("s.com/%d", i), Mirrors: []configv1.ImageMirror{"d.net"}})
		long.Mirrors = append(long.Mirrors, configv1.ImageMirror(fmt.Sprintf("t%d.net", i)))
	}
	tags.Spec.ImageTagMirrors = []configv1.ImageTagMirrors{long}
	objects := healthy(t)
	objects[plugintest.SetsPath], objects[plugintest.TagSetsPath] = plugintest.SetList(digests), plugintest.TagSetList(tags)
	r := run(t, "", "doctor", "--server", plugintest.Serve(t, objects))
	if r.Code != 1 || !strings.Contains(r.Stdout, "PROBLEM  sets: "+mirrors.ErrTooLarge.Error()+"\n") || strings.Contains(r.Stdout, "have no problems") {
		t.Errorf("exit code %d:\n%s", r.Code, r.Stdout)
	}
}

func TestWhatIsOddAboutSetsOfBothKindsIsToldWithCommandsThatWork(t *testing.T) {
	objects := healthy(t)
	s := configv1.ImageTagMirrorSet{ObjectMeta: metav1.ObjectMeta{Name: "a"}}
	s.Spec.ImageTagMirrors = []configv1.ImageTagMirrors{{Source: "s.com", Mirrors: []configv1.ImageMirror{"t.local"}}, {Source: "//"}}
	s.Status.Conditions = []metav1.Condition{{Type: configv1.ConditionApplied, Status: "False", Reason: configv1.ReasonNotPublished, Message: "the rules are too large"}}
	objects[plugintest.TagSetsPath] = plugintest.TagSetList(s)
	r := run(t, "", "doctor", "--server", plugintest.Serve(t, objects))
	for _, want := range []string{
		"PROBLEM  itms/a: the rules are too large\n",
		"PROBLEM  itms/a: InvalidSource: spec.imageTagMirrors[1]: source \"//\" is invalid, so the whole entry is ignored: it begins with a slash, and it has no host; write host[:port][/path] or *.host\n    To see what it means: kubectl mirrors explain-finding InvalidSource. To change the sets: kubectl edit itms a\n",
		`WARNING  idms/a: PolicyConflict: source "s.com" is blocked by NeverContactSource in a, although itms/a would allow contacting it` +
			"\n    To see what it means: kubectl mirrors explain-finding PolicyConflict. To change the sets: kubectl edit idms/a itms/a\n",
	} {
		if !strings.Contains(r.Stdout, want) {
			t.Errorf("exit code %d:\n%s\nwant %q", r.Code, r.Stdout, want)
		}
	}
}

func TestAClusterWithoutSetsIsFine(t *testing.T) {
	objects := healthy(t)
	objects[plugintest.SetsPath], objects[plugintest.ConfigMapPath] = plugintest.SetList(), plugintest.ConfigMapOf(t, rulesAt(plugintest.CurrentRevision))
	r := run(t, "", "doctor", "--server", plugintest.Serve(t, objects))
	if want := "OK       sets: there are no sets\n"; r.Code != 0 || !strings.HasSuffix(r.Stdout, want) {
		t.Errorf("exit code %d, stdout:\n%s\nwant 0 and %q in the end", r.Code, r.Stdout, want)
	}
}
