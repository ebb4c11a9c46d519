// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package why

import (
	"net/http"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"

	configv1 "github.com/mirrorset/mirrorset/api/config/v1"
	mirrorsetv1alpha1 "github.com/mirrorset/mirrorset/api/mirrorset/v1alpha1"
	"github.com/mirrorset/mirrorset/internal/payload"
	"github.com/mirrorset/mirrorset/internal/plugin/plugintest"
)

func wantIn(t *testing.T, r plugintest.Result, texts ...string) {
	t.Helper()
	for _, text := range texts {
		if without, ok := strings.CutPrefix(text, "!"); ok == strings.Contains(r.Stdout, without) {
			t.Errorf("%q: %s%s", text, r.Stdout, r.Stderr)
		}
	}
}

// A canary is judged by what it tries, and another node by what all have (C1).
func TestTheRulesAreThoseOfTheNode(t *testing.T) {
	_, open := payloadOf(t, plugintest.CurrentRevision-1, configv1.ImageDigestMirrors{Source: "other.example", Mirrors: []configv1.ImageMirror{"m.example"}})
	set, tried := payloadOf(t, plugintest.CurrentRevision, closed)
	for node, tt := range map[string]struct {
		has   payload.Payload
		texts []string
	}{
		"node-1": {tried, []string{"Cause:      BlockedTag: ", "blocked by 30-airgap", "!HeldBack"}},
		"node-2": {open, []string{"Cause:      HeldBack: the sets have changed, but node node-1 should not have the change yet: 1 canary tries revision 1795573438818 first", "Cause:      NoRule: the node should have no rule for the image"}},
	} {
		steered := plugintest.NewSteered(t, open, &payload.Canary{Payload: tried, Nodes: []string{node}}, payload.Rollout{})
		at := nodeAt(tt.has)
		wantIn(t, ask(t, with(world(t, pod("ImagePullBackOff", ""), failed(image)), map[string]any{
			plugintest.SetsPath: plugintest.SetList(set), plugintest.ConfigMapPath: http.HandlerFunc(steered.Serve), nodePath: at, plugintest.NodesPath: plugintest.NodeList(at),
		})), tt.texts...)
	}
}

// CRI-O cannot make a bare host of a repository (Q3); containerd through the redirector can.
func TestTheRulesAreReadAsTheRuntimeReadsThem(t *testing.T) {
	entry := configv1.ImageDigestMirrors{Source: "ghcr.io/example/app", Mirrors: []configv1.ImageMirror{"m.example:5000"}, MirrorSourcePolicy: configv1.NeverContactSource}
	byDigest := func(p *corev1.Pod) {
		p.Spec.Containers[0].Image = "ghcr.io/example/app@sha256:" + strings.Repeat("0", 64)
	}
	for runtime, want := range map[string]string{"CRI-O": "Cause:      InvalidRewrite: ", "containerd": "!InvalidRewrite"} {
		objects := worldOf(t, entry, pod("ImagePullBackOff", "", byDigest))
		_, published := payloadOf(t, plugintest.CurrentRevision, entry)
		node := nodeAt(published, func(n *mirrorsetv1alpha1.MirrorNode) { n.Status.Runtimes = []string{runtime} })
		wantIn(t, ask(t, with(objects, map[string]any{nodePath: node})), "("+runtime+")", want)
	}
}

// containerd asks the redirector for all images of a registry with rules, and then does not say whether the source lacks an image.
func TestARegistryWithRulesForOtherImagesIsNotSaidToLackOne(t *testing.T) {
	lost := func(name string) map[string]any {
		text := "failed to pull and unpack image \"" + name + "\": failed to resolve image: " + name + ": not found"
		return world(t, pod("ImagePullBackOff", "", func(p *corev1.Pod) { p.Spec.Containers[0].Image = name }), event("app", "Failed", "Failed to pull image \""+name+"\": "+text, failedAt))
	}
	wantIn(t, ask(t, lost("ghcr.io/other/app:1")), "Cause:      NoRule: ", "not found", "!did not have it")
	wantIn(t, ask(t, lost("other.example/app:1")), "Cause:      NoRule: ", "the source did not have it")
}

// What stands behind the redirector in hosts.toml stands in while the agent is away; then that it was away does not tell why nobody gave the image.
func TestWhatStandsBehindAnAgentThatIsAwayIsNamed(t *testing.T) {
	const mirror, source = "mirror registry.site.example:5000/copy/example/app", "source ghcr.io/example/app"
	entry := func(source string, policy configv1.MirrorSourcePolicy) configv1.ImageDigestMirrors {
		return configv1.ImageDigestMirrors{Source: source, Mirrors: []configv1.ImageMirror{"registry.site.example:5000/copy"}, MirrorSourcePolicy: policy}
	}
	const digest = "@sha256:0000000000000000000000000000000000000000000000000000000000000000"
	for name, tt := range map[string]struct {
		entry  configv1.ImageDigestMirrors
		image  string
		behind string
	}{
		"a registry":                   {entry("ghcr.io", ""), "ghcr.io/example/app" + digest, mirror + ", " + source},
		"a tag of it, without mirrors": {entry("ghcr.io", ""), "ghcr.io/example/app:1", source},
		"a registry that is blocked":   {entry("ghcr.io", configv1.NeverContactSource), "ghcr.io/example/app" + digest, mirror},
		"a registry among its mirrors": {
			configv1.ImageDigestMirrors{Source: "ghcr.io", Mirrors: []configv1.ImageMirror{"ghcr.io", "registry.site.example:5000/copy"}}, "ghcr.io/example/app" + digest, source + ", " + mirror,
		},
		"a part of one":                 {entry("ghcr.io/example", ""), "ghcr.io/example/app" + digest, source},
		"a part that is blocked":        {entry("ghcr.io/example", configv1.NeverContactSource), "ghcr.io/example/app" + digest, ""},
		"beside a part":                 {entry("ghcr.io/other", ""), "ghcr.io/example/app" + digest, source},
		"beside a part that is blocked": {entry("ghcr.io/other", configv1.NeverContactSource), "ghcr.io/example/app" + digest, ""},
		"a wildcard":                    {entry("*.io", ""), "ghcr.io/example/app" + digest, source},
		"a wildcard that is blocked":    {entry("*.io", configv1.NeverContactSource), "ghcr.io/example/app" + digest, ""},
		"Docker Hub":                    {entry("docker.io", ""), "docker.io/example/app" + digest, mirror + ", source docker.io/example/app"},
	} {
		t.Run(name, func(t *testing.T) {
			text := `Failed to pull image "` + tt.image + `": failed to do request: Head "http://127.0.0.1:289/v2/_mirrorset/00112233445566778899aabbccddeeff/0/example/app/manifests/x?ns=ghcr.io": dial tcp 127.0.0.1:289: connect: connection refused`
			r := ask(t, worldOf(t, tt.entry, pod("ImagePullBackOff", "", func(p *corev1.Pod) { p.Spec.Containers[0].Image = tt.image }), event("app", "Failed", text, failedAt)))
			if tt.behind == "" {
				wantIn(t, r, "Cause:      AgentAway: ", "!meanwhile", "!mirrors check")
				return
			}
			wantIn(t, r, "Cause:      AgentAway: ", "the places that it contacts without the agent ("+tt.behind+") did not provide the image either", "kubectl mirrors check --source "+tt.image+"\n")
		})
	}
}

// Whether a login was granted since matters to a mirror that the runtime came back from.
func TestItIsNamedThatNobodyMaySeeTheLogins(t *testing.T) {
	digest := "ghcr.io/example/app@sha256:" + strings.Repeat("0", 64)
	text := `Failed to pull image "` + digest + `": denied: source ghcr.io/example is blocked by policy NeverContactSource of set 30-airgap; mirror registry.site.example:5000/example/app: it answered 401 Unauthorized`
	r := ask(t, with(world(t, pod("ImagePullBackOff", "", func(p *corev1.Pod) { p.Spec.Containers[0].Image = digest }), event("app", "Failed", text, failedAt)),
		map[string]any{"/api/v1/namespaces/mirrorset-system/secrets/mirror-credentials": http.HandlerFunc(plugintest.Refuse)}))
	wantIn(t, r, "Cause:      CameBack: ", "registry.site.example:5000/example/app refused the runtime or did not have it", "!LoginWanted")
	if !strings.Contains(r.Stderr, "note: unknown: the times of the last changes to the logins and authorities for mirrors: ") {
		t.Error(r.Stderr)
	}
}

// The kubelet names the image that it waits for, which can be that of a volume.
func TestTheImageIsTheOneThatTheKubeletNames(t *testing.T) {
	message := func(name string) string { return `Back-off pulling image "` + name + `": ErrImagePull: denied` }
	wantIn(t, ask(t, world(t, pod("ImagePullBackOff", message("other.example/volume:1")))), "Image:      other.example/volume:1\n", "Cause:      NoRule: ")
	wantIn(t, ask(t, world(t, pod("ImagePullBackOff", message(image)))), "Image:      "+image+"\n", "Cause:      BlockedTag: ")
}

func TestTheImageOfThePodsSandboxIsJudgedToo(t *testing.T) {
	refused := `Failed to create pod sandbox: rpc error: code = Unknown desc = failed to start sandbox "1": failed to get sandbox image "ghcr.io/example/pause:3": failed to pull image "ghcr.io/example/pause:3": denied: source ghcr.io/example is blocked by policy NeverContactSource`
	r := ask(t, world(t, pod("ContainerCreating", ""), event("", "FailedCreatePodSandBox", refused, failedAt)))
	wantIn(t, r, "Container:  the Pod's sandbox\n", "Image:      ghcr.io/example/pause:3\n", "Cause:      BlockedTag: ", "!NotTheImage")
	if r.Code != 1 {
		t.Errorf("exit code %d", r.Code)
	}
}
