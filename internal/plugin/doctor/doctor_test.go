// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package doctor

import (
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	configv1 "github.com/mirrorset/mirrorset/api/config/v1"
	"github.com/mirrorset/mirrorset/internal/payload"
	"github.com/mirrorset/mirrorset/internal/plugin/plugintest"
)

const (
	deploymentPath = "/apis/apps/v1/namespaces/mirrorset-system/deployments/mirrorset-manager"
	daemonSetPath  = "/apis/apps/v1/namespaces/mirrorset-system/daemonsets/mirrorset-agent"
	podsPath       = "/api/v1/namespaces/mirrorset-system/pods"
)

// healthy are the objects of a cluster that has nothing wrong.
func healthy(t *testing.T) map[string]any {
	t.Helper()
	s := configv1.ImageDigestMirrorSet{ObjectMeta: metav1.ObjectMeta{Name: "a"}}
	s.Spec.ImageDigestMirrors = []configv1.ImageDigestMirrors{{Source: "s.com", Mirrors: []configv1.ImageMirror{"m.local"}, MirrorSourcePolicy: configv1.NeverContactSource}}
	p := rulesAt(plugintest.CurrentRevision, s)
	return map[string]any{
		"/apis/config.openshift.io/v1": apisOf("config.openshift.io/v1", "imagedigestmirrorsets", "imagetagmirrorsets"),
		"/apis/mirrorset.io/v1alpha1":  apisOf("mirrorset.io/v1alpha1", "mirrornodes"),
		deploymentPath: appsv1.Deployment{TypeMeta: metav1.TypeMeta{Kind: "Deployment", APIVersion: "apps/v1"},
			Status: appsv1.DeploymentStatus{AvailableReplicas: 1}},
		daemonSetPath: appsv1.DaemonSet{TypeMeta: metav1.TypeMeta{Kind: "DaemonSet", APIVersion: "apps/v1"},
			Status: appsv1.DaemonSetStatus{DesiredNumberScheduled: 2, UpdatedNumberScheduled: 2, NumberAvailable: 2, NumberReady: 2}},
		plugintest.ConfigMapPath: plugintest.ConfigMapOf(t, p),
		plugintest.NodesPath:     plugintest.NodeList(inForceAt("node-1", p), inForceAt("node-2", p)),
		plugintest.SetsPath:      plugintest.SetList(s),
		plugintest.TagSetsPath:   plugintest.TagSetList(),
	}
}

func TestAHealthyClusterIsFine(t *testing.T) {
	run(t, "", "doctor", "--server", plugintest.Serve(t, healthy(t))).Want(t, 0, `OK       crds: ImageDigestMirrorSets, ImageTagMirrorSets and MirrorNodes are served
OK       deployment/mirrorset-manager: 1 manager is available
OK       daemonset/mirrorset-agent: 2 agents are ready
OK       configmap/containers-registries.conf: revision 1795573438818 is complete, with 0 sources
OK       nodes: 2 nodes have revision 1795573438818 in force
OK       sets: 1 set has no problem
`, "Nothing is wrong.\n")
}

func TestAgentsThatPodSecurityRefusesAreToldWithTheCommandThatLetsThemIn(t *testing.T) {
	objects := healthy(t)
	objects[daemonSetPath] = appsv1.DaemonSet{TypeMeta: metav1.TypeMeta{Kind: "DaemonSet", APIVersion: "apps/v1"}, ObjectMeta: metav1.ObjectMeta{Namespace: "mirrorset-system", UID: "now"},
		Status: appsv1.DaemonSetStatus{DesiredNumberScheduled: 2}}
	objects[podsPath] = corev1.PodList{TypeMeta: metav1.TypeMeta{Kind: "PodList", APIVersion: "v1"}}
	failed := func(uid types.UID, ago time.Duration, message string) corev1.Event {
		return corev1.Event{InvolvedObject: corev1.ObjectReference{UID: uid}, Reason: "FailedCreate", LastTimestamp: metav1.Time{Time: time.Now().Add(-ago)}, Message: message}
	}
	const refused = `Error creating: pods "mirrorset-agent-x" is forbidden: violates PodSecurity "baseline:latest": host namespaces`
	objects["/api/v1/namespaces/mirrorset-system/events"] = corev1.EventList{TypeMeta: metav1.TypeMeta{Kind: "EventList", APIVersion: "v1"}, Items: []corev1.Event{
		failed("now", time.Hour, "exceeded quota"), failed("now", time.Minute, refused), failed("before", time.Second, "exceeded quota"),
	}}
	const want = `PROBLEM  daemonset/mirrorset-agent: 0 of 2 agents are ready in the latest version; Pod Security Admission refuses the agents, because they write files on the host; ` +
		`allow the agents with: kubectl label --overwrite namespace mirrorset-system pod-security.kubernetes.io/enforce=privileged (violates PodSecurity "baseline:latest": host namespaces)`
	r := run(t, "", "doctor", "--server", plugintest.Serve(t, objects))
	if line, _, _ := strings.Cut(r.Stdout, "\n"); line != want || r.Code != 1 {
		t.Errorf("exit code %d:\n%s\nwant\n%s", r.Code, r.Stdout, want)
	}
	delete(objects, "/api/v1/namespaces/mirrorset-system/events") // which not everybody may list
	if r = run(t, "", "doctor", "--server", plugintest.Serve(t, objects)); r.Code != 1 || !strings.HasPrefix(r.Stdout, "PROBLEM  daemonset/mirrorset-agent: 0 of 2 agents are ready in the latest version\n") {
		t.Errorf("exit code %d:\n%s", r.Code, r.Stdout)
	}
}

func TestAllThatIsWrongIsToldAtOnceWithTheWorstFirst(t *testing.T) {
	objects := healthy(t)
	delete(objects, "/apis/mirrorset.io/v1alpha1")
	objects[deploymentPath] = appsv1.Deployment{TypeMeta: metav1.TypeMeta{Kind: "Deployment", APIVersion: "apps/v1"}}
	objects[daemonSetPath] = appsv1.DaemonSet{TypeMeta: metav1.TypeMeta{Kind: "DaemonSet", APIVersion: "apps/v1"},
		Status: appsv1.DaemonSetStatus{DesiredNumberScheduled: 4, CurrentNumberScheduled: 4, UpdatedNumberScheduled: 4, NumberAvailable: 3, NumberReady: 3}}
	objects[podsPath] = corev1.PodList{TypeMeta: metav1.TypeMeta{Kind: "PodList", APIVersion: "v1"}, Items: []corev1.Pod{{Spec: corev1.PodSpec{NodeName: "node-2"}}}}
	p := rulesAt(plugintest.CurrentRevision)
	objects[plugintest.NodesPath] = plugintest.NodeList(
		inForceAt("node-1", p), plugintest.NodeAt("node-2", 0, plugintest.SaysNothing), inForceAt("node-3", rulesAt(plugintest.CurrentRevision-1)),
		inForceAt("node-4", p, plugintest.Says("Applied", "False", "NotInForce", "config.toml sets no config_path: In config.toml set this:\n\n  config_path = \"x\"\n\nThen run: systemctl restart containerd")),
		inForceAt("node-5", p, plugintest.Says("RuntimeReady", "True", "ReadyWithProblems", "the drop-in is late: systemctl reload crio")),
		inForceAt("node-6", p, plugintest.Says("RuntimeReady", "Unknown", "NotReady", "nothing tells: Mend it")),
	)
	s := configv1.ImageDigestMirrorSet{ObjectMeta: metav1.ObjectMeta{Name: "b"}}
	s.Spec.ImageDigestMirrors = []configv1.ImageDigestMirrors{
		{Source: "s.com", MirrorSourcePolicy: configv1.NeverContactSource}, {Source: "//", Mirrors: []configv1.ImageMirror{"m.local"}},
	}
	s.Status.Conditions = []metav1.Condition{{Type: configv1.ConditionApplied, Status: "False", Reason: configv1.ReasonNotPublished, Message: "the rules are too large"}}
	objects[plugintest.SetsPath] = plugintest.SetList(s)

	run(t, "", "doctor", "--server", plugintest.Serve(t, objects)).Want(t, 1, `PROBLEM  crd/mirrornodes.mirrorset.io: the API server does not serve it in version v1alpha1
    Install Mirrorset again. If the CRD exists, check its conditions:
    kubectl get crd mirrornodes.mirrorset.io -o yaml
PROBLEM  deployment/mirrorset-manager: no manager is available, so changes to the sets may not be published
    kubectl -n mirrorset-system describe deployment/mirrorset-manager
    kubectl -n mirrorset-system logs deployment/mirrorset-manager
PROBLEM  daemonset/mirrorset-agent: 3 of 4 agents are ready in the latest version; not ready on node-2
    kubectl -n mirrorset-system get pods -l app.kubernetes.io/component=agent -o wide
    kubectl -n mirrorset-system describe daemonset/mirrorset-agent
PROBLEM  node/node-4: config.toml sets no config_path: In config.toml set this:
      config_path = "x"
    Then run: systemctl restart containerd
PROBLEM  node/node-2: no agent has reported from this node
    Check its agent:
    kubectl -n mirrorset-system get pods -l app.kubernetes.io/component=agent --field-selector spec.nodeName=node-2
PROBLEM  node/node-6: nothing tells: Mend it
PROBLEM  idms/b: the rules are too large
PROBLEM  idms/b: InvalidSource: spec.imageDigestMirrors[1]: source "//" is invalid, so the whole entry is ignored: it begins with a slash, and it has no host; write host[:port][/path] or *.host
    To see what it means: kubectl mirrors explain-finding InvalidSource. To change the sets: kubectl edit idms b
WARNING  node/node-3: it has revision 1795573438817 in force, and has not yet followed to revision 1795573438818
    If this lasts for more than a minute, check its agent:
    kubectl -n mirrorset-system get pods -l app.kubernetes.io/component=agent --field-selector spec.nodeName=node-3
WARNING  node/node-5: the drop-in is late: systemctl reload crio
WARNING  idms/b: PolicyWithoutMirrors: spec.imageDigestMirrors[0]: policy "NeverContactSource" of source "s.com" has no effect, because the entry names no mirror other than the source; to block the source, name a mirror that cannot exist: mirrors: [blocked.invalid]
    To see what it means: kubectl mirrors explain-finding PolicyWithoutMirrors. To change the sets: kubectl edit idms b
OK       configmap/containers-registries.conf: revision 1795573438818 is complete, with 0 sources
OK       nodes: 1 node has revision 1795573438818 in force
`, "8 problems, 3 warnings.\n")
}

func TestWhatIsMissingIsNamed(t *testing.T) {
	damaged := plugintest.ConfigMapOf(t, rulesAt(plugintest.CurrentRevision))
	damaged["data"] = map[string]string{payload.Key: "other"}
	unreadable := plugintest.ConfigMapOf(t, payload.New(plugintest.CurrentRevision, []byte("[[registry")))
	provisional := rulesAt(plugintest.CurrentRevision)
	provisional.Provisional = true
	newer := rulesAt(plugintest.CurrentRevision)
	newer.Format = payload.Format + 1
	for _, tt := range []struct {
		name, path string
		object     any // nil for none
		code       int
		want       string
	}{
		{"no Deployment", deploymentPath, nil, 1, "PROBLEM  deployment/mirrorset-manager: it does not exist in namespace mirrorset-system\n"},
		{"no DaemonSet", daemonSetPath, nil, 1, "PROBLEM  daemonset/mirrorset-agent: it does not exist in namespace mirrorset-system\n"},
		{"no ConfigMap", plugintest.ConfigMapPath, nil, 1, "PROBLEM  configmap/containers-registries.conf: it does not exist in namespace mirrorset-system, so nothing is published\n"},
		{"another digest", plugintest.ConfigMapPath, damaged, 1, "PROBLEM  configmap/containers-registries.conf: ConfigMap mirrorset-system/containers-registries.conf: the digest of the text is "},
		{"a newer format", plugintest.ConfigMapPath, plugintest.ConfigMapOf(t, newer), 1, "it was written by a newer version of Mirrorset, so this plugin cannot read it\n    Upgrade kubectl mirrors"},
		{"no TOML", plugintest.ConfigMapPath, unreadable, 1, "PROBLEM  configmap/containers-registries.conf: revision 1795573438818 cannot be read: "},
		{"a provisional payload", plugintest.ConfigMapPath, plugintest.ConfigMapOf(t, provisional), 0, "WARNING  configmap/containers-registries.conf: revision 1795573438818 has no rules, because there were no sets"},
		{"no nodes", plugintest.NodesPath, plugintest.NodeList(), 1, "PROBLEM  nodes: no node has an agent\n"},
		{"what may not be read", deploymentPath, http.HandlerFunc(plugintest.Refuse), 1, "PROBLEM  access: "},
	} {
		t.Run(tt.name, func(t *testing.T) {
			objects := maps.Clone(healthy(t))
			if objects[tt.path] = tt.object; tt.object == nil {
				delete(objects, tt.path)
			}
			r := run(t, "", "doctor", "--server", plugintest.Serve(t, objects))
			if r.Code != tt.code || !strings.Contains(r.Stdout, tt.want) {
				t.Errorf("exit code %d, stdout:\n%s\nwant %d and %q", r.Code, r.Stdout, tt.code, tt.want)
			}
		})
	}
}

func TestOneNodeIsLookedAt(t *testing.T) {
	objects := healthy(t)
	delete(objects, deploymentPath)
	url := plugintest.Serve(t, objects)
	run(t, "", "doctor", "node-2", "--server", url).Want(t, 0, "OK       node/node-2: all of revision 1795573438818 is in force\n", "Nothing is wrong.\n")
	run(t, "", "doctor", "node-9", "--server", url).Want(t, 2, "", "error: there is no MirrorNode \"node-9\"\n")
	run(t, "", "doctor", "node-2", "--local").Want(t, 2, "", "error: --local checks this machine, so it takes no node; leave out --local or \"node-2\"\n")
	run(t, "", "doctor", "-o", "wide").Want(t, 2, "", "error: --output \"wide\": the value must be one of text, json, yaml\n")
	run(t, "", "doctor", "node-2", "--server", url, "-o", "yaml").Want(t, 0, `checks:
- message: all of revision 1795573438818 is in force
  status: OK
  subject: node/node-2
problems: 0
warnings: 0
`, "")
	if r := run(t, "", "doctor", "--server", "http://127.0.0.1:1"); r.Code != 2 || !strings.HasPrefix(r.Stderr, "error: ") {
		t.Errorf("no cluster: exit code %d, %q", r.Code, r.Stderr)
	}
}

const goodConfig = "version = 3\n[plugins.\"io.containerd.cri.v1.images\".registry]\n  config_path = \"/etc/containerd/certs.d\"\n"

// host writes a machine's files, and the process of a runtime that was started an hour ago.
func host(t *testing.T, process string, files map[string]string) string {
	t.Helper()
	root := t.TempDir()
	files["proc/uptime"] = "7200.00 100.00\n"
	files["proc/1/stat"] = stat("systemd", 1)
	files["proc/42/stat"] = stat("containerd-shim", 4000*100)
	if process != "" {
		files["proc/7/stat"] = stat(process, 3600*100)
	}
	for name, text := range files {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		write := os.WriteFile(path, []byte(text), 0o600)
		old := time.Now().Add(-5 * time.Hour)
		if err := os.Chtimes(path, old, old); write != nil || err != nil {
			t.Fatal(write, err)
		}
	}
	return root
}

func stat(command string, start int) string {
	return fmt.Sprintf("7 (%s) S 1 7 7 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 10 0 %d 1000 100 18446744073709551615\n", command, start)
}

func TestAMachineIsLookedAtByItsOwnFiles(t *testing.T) {
	r := run(t, "", "doctor", "--local", "--host-root", host(t, "containerd", map[string]string{"etc/containerd/config.toml": goodConfig}))
	if want := "OK       containerd: it reads the files that Mirrorset writes; it has run since "; r.Code != 0 || !strings.HasPrefix(r.Stdout, want) || r.Stderr != "Nothing is wrong.\n" {
		t.Errorf("exit code %d, %q, %q", r.Code, r.Stdout, r.Stderr)
	}
	run(t, "", "doctor", "--local", "--host-root", host(t, "", map[string]string{"etc/containerd/config.toml": goodConfig})).
		Want(t, 0, "OK       containerd: it reads the files that Mirrorset writes; its process was not found\n", "Nothing is wrong.\n")

	root := host(t, "", map[string]string{})
	run(t, "", "doctor", "--local", "--host-root", root).Want(t, 1, "PROBLEM  machine: doctor found neither containerd nor CRI-O below "+root+
		"\n    If a runtime runs here, name its configuration with --containerd-config, or run this command as root.\n", "1 problem, 0 warnings.\n")

	r = run(t, "", "doctor", "--local", "--host-root", host(t, "containerd", map[string]string{}))
	if r.Code != 1 || !strings.HasPrefix(r.Stdout, "PROBLEM  containerd: ContainerdConfigMissing: ") {
		t.Errorf("containerd runs, without a configuration: exit code %d, %q", r.Code, r.Stdout)
	}

	root = host(t, "containerd", map[string]string{"etc/containerd/config.toml": goodConfig})
	now := time.Now()
	if err := os.Chtimes(filepath.Join(root, "etc/containerd/config.toml"), now, now); err != nil {
		t.Fatal(err)
	}
	r = run(t, "", "doctor", "--local", "--host-root", root)
	if r.Code != 1 || !strings.HasPrefix(r.Stdout, "PROBLEM  containerd: ContainerdNotRestarted: ") || !strings.Contains(r.Stdout, "\n    ") {
		t.Errorf("exit code %d, %q", r.Code, r.Stdout)
	}

	r = run(t, "", "doctor", "--local", "--host-root", host(t, "crio", map[string]string{"etc/crio/crio.conf": "[crio.image]\n"}))
	if r.Code != 1 || !strings.HasPrefix(r.Stdout, "PROBLEM  CRI-O: CRIOAutoReloadOff: ") {
		t.Errorf("exit code %d, %q", r.Code, r.Stdout)
	}
}

func TestTheStartOfAProcessIsReadWhateverItsName(t *testing.T) {
	for _, tt := range []struct {
		text, command string
		start         time.Duration
		ok            bool
	}{
		{stat("containerd", 250), "containerd", 2500 * time.Millisecond, true},
		{stat("a) S 1 (b", 100), "a) S 1 (b", time.Second, true},
		{"", "", 0, false},
		{"7 (containerd) S 1", "", 0, false},
		{strings.Replace(stat("x", 250), " 250 ", " many ", 1), "x", 0, false},
	} {
		command, start, ok := parseStat(tt.text)
		if command != tt.command || start != tt.start || ok != tt.ok {
			t.Errorf("%q: %q, %s, %t", tt.text, command, start, ok)
		}
	}
}

func TestTheClockOfProcessesIsThatOfThisOne(t *testing.T) {
	text, err := os.ReadFile("/proc/self/stat")
	if err != nil {
		t.Fatal(err) // the tests are for Linux, as the machines are
	}
	_, start, ok := parseStat(string(text))
	age := time.Since(bootTime(os.DirFS("/")).Add(start))
	if !ok || age < -time.Second || age > 10*time.Minute {
		t.Errorf("this test was started %s ago", age)
	}
}

// run runs the verb as the program does.
func run(t *testing.T, stdin string, args ...string) plugintest.Result {
	t.Helper()
	return plugintest.Run(t, plugintest.Program(Command()), stdin, args...)
}
