// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package docs

import (
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var (
	manifest = regexp.MustCompile("(?ms)^( *)```yaml\n(.*?)^ *```$")
	setKind  = regexp.MustCompile(`(?m)^kind: Image(Digest|Tag)MirrorSet$`)
	warning  = regexp.MustCompile(`(?m)^(?:warning: (\w+)|(refused|error)): .*$`)
)

// expected are the findings that a document may have on purpose: it shows a source that is blocked for one kind of pulls.
var expected = []string{"BlocksTagPulls", "BlocksDigestPulls"}

// What people copy from a page is a set that the API server takes, and that says what they read there.
func TestSetsInTheDocumentsAreValid(t *testing.T) {
	sets := 0
	for document, text := range documents(t) {
		for _, block := range manifest.FindAllStringSubmatch(text, -1) {
			var found []string
			for _, object := range strings.Split(strings.ReplaceAll("\n"+block[2], "\n"+block[1], "\n"), "\n---\n") {
				if setKind.MatchString(object) {
					found = append(found, object)
				}
			}
			if len(found) == 0 {
				continue
			}
			sets += len(found)
			manifests := strings.Join(found, "\n---\n")
			for _, problem := range judge(t, manifests) {
				t.Errorf("%s: %s, of\n%s", document, problem, manifests)
			}
		}
	}
	if sets < 20 {
		t.Errorf("found only %d sets", sets)
	}
}

// judge returns what kubectl mirrors holds against manifests.
func judge(t *testing.T, manifests string) (problems []string) {
	t.Helper()
	cmd := exec.Command(root+"/bin/kubectl-mirrors", "render", "-f", "-")
	cmd.Stdin = strings.NewReader(manifests)
	out, err := cmd.CombinedOutput()
	for _, line := range warning.FindAllStringSubmatch(string(out), -1) {
		if !slices.Contains(expected, line[1]) {
			problems = append(problems, line[0])
		}
	}
	if err != nil && len(problems) == 0 {
		t.Fatalf("%v: %s", err, out)
	}
	return problems
}

func TestABadSetInADocumentIsNoticed(t *testing.T) {
	const set = "apiVersion: config.openshift.io/v1\nkind: ImageDigestMirrorSet\nmetadata:\n  name: a\nspec:\n  imageDigestMirrors:\n"
	for want, entry := range map[string]string{
		"refused":              "  - source: quay.io/a:v1\n    mirrors: [mirror.example]\n",
		"InvalidMirror":        "  - source: quay.io\n    mirrors: [mirror]\n",
		"PolicyWithoutMirrors": "  - source: quay.io\n    mirrorSourcePolicy: NeverContactSource\n",
	} {
		if got := strings.Join(judge(t, set+entry), "\n"); !strings.Contains(got, want) {
			t.Errorf("got %q, want %s", got, want)
		}
	}
	if got := judge(t, set+"  - source: quay.io\n    mirrors: [mirror.example]\n    mirrorSourcePolicy: NeverContactSource\n"); len(got) > 0 {
		t.Errorf("got %q of a set that blocks pulls by tag", got)
	}
}
