// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package docs

import (
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"sigs.k8s.io/yaml"

	mirrorsetv1alpha1 "github.com/mirrorset/mirrorset/api/mirrorset/v1alpha1"
	"github.com/mirrorset/mirrorset/internal/grants"
	"github.com/mirrorset/mirrorset/internal/mirrors"
	"github.com/mirrorset/mirrorset/internal/payload"
)

// sections returns the text below each heading of a reference page, up to the next heading.
func sections(t *testing.T, page string) map[string]string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, "docs/reference", page))
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]string{}
	name := ""
	for line := range strings.Lines(code.ReplaceAllString(string(text), "")) {
		if is := heading.FindStringSubmatch(line); is != nil {
			name = is[1]
		} else {
			found[name] += line
		}
	}
	return found
}

func TestTheReferenceHasEachFieldOfTheAPI(t *testing.T) {
	files, err := filepath.Glob(root + "/config/crd/bases/*.yaml")
	if err != nil || len(files) != 3 {
		t.Fatalf("found %q, error %v; want three CRDs", files, err)
	}
	page := sections(t, "api.md")
	fields := 0
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var crd apiextensionsv1.CustomResourceDefinition
		if err := yaml.Unmarshal(text, &crd); err != nil {
			t.Fatal(err)
		}
		if page[crd.Spec.Names.Kind] == "" {
			t.Errorf("api.md has no section %s", crd.Spec.Names.Kind)
		}
		schema := crd.Spec.Versions[0].Schema.OpenAPIV3Schema
		for _, top := range []string{"spec", "status"} {
			if property, ok := schema.Properties[top]; ok {
				fields += look(t, page, crd.Spec.Names.ShortNames[0]+"."+top, property)
			}
		}
	}
	if fields < 60 {
		t.Errorf("the CRDs have %d fields; they had more", fields)
	}
}

// look wants a section for a field and for each field below it, with all that its description and its limits say. It returns their number.
func look(t *testing.T, page map[string]string, path string, schema apiextensionsv1.JSONSchemaProps) int {
	t.Helper()
	section := page[path]
	if parent, name, _ := cutLast(path, ".conditions."); parent != "" {
		section = page["Conditions"]
		if !strings.Contains(section, "| `conditions."+name+"` |") {
			t.Errorf("api.md does not list %s among the fields of conditions", path)
		}
		return 1
	}
	plain := func(text string) string {
		return strings.Join(strings.Fields(strings.NewReplacer("`", "", `\`, "").Replace(text)), " ")
	}
	if got, want := plain(section), plain(strings.ReplaceAll(schema.Description, "  - ", "- ")); want == "" || !strings.Contains(got, want) {
		t.Errorf("the section %s of api.md is %q; want the description %q", path, got, want)
	}
	for _, value := range schema.Enum {
		if !strings.Contains(section, "\n- `"+strings.Trim(string(value.Raw), `"`)+"` ") {
			t.Errorf("the section %s of api.md does not explain the value %s", path, value.Raw)
		}
	}
	fields := 1
	if schema.Items != nil && schema.Items.Schema != nil {
		schema = *schema.Items.Schema
	}
	for _, name := range slices.Sorted(maps.Keys(schema.Properties)) {
		fields += look(t, page, path+"."+name, schema.Properties[name])
	}
	return fields
}

// cutLast cuts a text at the last separator in it.
func cutLast(text, separator string) (before, after string, found bool) {
	if i := strings.LastIndex(text, separator); i >= 0 {
		return text[:i], text[i+len(separator):], true
	}
	return "", text, false
}

func TestTheReferenceHasEachAnnotationAndObject(t *testing.T) {
	page, err := os.ReadFile(root + "/docs/reference/api.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{
		mirrors.InsecureAnnotation, mirrors.EnforcementAnnotation, mirrorsetv1alpha1.RuntimeAnnotation,
		payload.ConfigMapName, payload.Key, payload.CompressedKey, payload.BlockersKey, payload.ShadowKey, payload.CanaryKey, payload.CanaryTextKey,
		payload.FormatAnnotation, payload.RevisionAnnotation, payload.DigestAnnotation, payload.SetsAnnotation, payload.ProvisionalAnnotation,
		payload.PausedAnnotation, payload.UndoneAnnotation, payload.HaltedAnnotation,
		grants.CredentialsName, grants.AuthoritiesName,
	} {
		if !strings.Contains(string(page), "`"+name+"`") && !strings.Contains(string(page), "### "+name+"\n") {
			t.Errorf("api.md does not name %s", name)
		}
	}
}

func TestTheExamplesOfTheReferenceAreValid(t *testing.T) {
	text, err := os.ReadFile(root + "/docs/reference/api.md")
	if err != nil {
		t.Fatal(err)
	}
	examples := regexp.MustCompile("(?ms)^```yaml\n(.*?)^```$").FindAllStringSubmatch(string(text), -1)
	if len(examples) != 2 {
		t.Errorf("api.md has %d examples; want one for each kind of set", len(examples))
	}
	for _, example := range examples {
		render := exec.Command(root+"/bin/kubectl-mirrors", "render", "-f", "-")
		render.Stdin = strings.NewReader(example[1])
		if out, err := render.CombinedOutput(); err != nil || !strings.Contains(string(out), "[[registry]]") {
			t.Errorf("%s\n%v\n%s", example[1], err, out)
		}
	}
}

// complete returns what the plugin completes after the arguments: verbs or flags.
func complete(t *testing.T, args ...string) []string {
	t.Helper()
	out, err := exec.Command(root+"/bin/kubectl-mirrors", append([]string{"__complete"}, args...)...).Output()
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for line := range strings.Lines(string(out)) {
		if name, _, described := strings.Cut(strings.TrimSuffix(line, "\n"), "\t"); described {
			names = append(names, name)
		}
	}
	return names
}

func TestTheReferenceHasEachVerbAndFlag(t *testing.T) {
	page := sections(t, "kubectl-mirrors.md")
	verbs, flags := 0, 0
	var walk func(verb []string)
	walk = func(verb []string) {
		name := strings.Join(append([]string{"kubectl mirrors"}, verb...), " ")
		section, ok := page[name]
		if !ok {
			t.Errorf("kubectl-mirrors.md has no section %s", name)
		}
		verbs++
		if strings.Contains(section, "(#flags-that-find-a-cluster)") {
			section += page["Flags that find a cluster"]
		}
		for _, flag := range complete(t, append(slices.Clone(verb), "--")...) {
			flags++
			if flag = strings.TrimSuffix(flag, "="); flag != "--help" && !strings.Contains(section, "`"+flag+"`") {
				t.Errorf("the section %s of kubectl-mirrors.md has no flag %s", name, flag)
			}
		}
		if name == "kubectl mirrors completion" || name == "kubectl mirrors rollout" {
			for _, nested := range complete(t, append(slices.Clone(verb), "")...) {
				walk(append(slices.Clone(verb), nested))
			}
		}
	}
	for _, verb := range complete(t, "") {
		walk([]string{verb})
	}
	if verbs < 20 || flags < 250 {
		t.Errorf("the plugin has %d verbs and %d flags; it had more", verbs, flags)
	}
}

var helpFlag = regexp.MustCompile(`(?m)^  -(\S+)`)

func TestTheReferenceHasEachFlagOfThePrograms(t *testing.T) {
	page := sections(t, "flags.md")
	for program, atLeast := range map[string]int{"manager": 20, "agent": 20, "agent pulls": 3} {
		words := strings.Fields(program + " --help")
		out, err := exec.Command(root+"/bin/"+words[0], words[1:]...).CombinedOutput()
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		flags := helpFlag.FindAllStringSubmatch(string(out), -1)
		for _, flag := range flags {
			if _, ok := page[program+" --"+flag[1]]; !ok {
				t.Errorf("flags.md has no section %s --%s", program, flag[1])
			}
		}
		if len(flags) < atLeast {
			t.Errorf("%s has %d flags; it had more", program, len(flags))
		}
	}
}

// The manager names each variable that is no setting, and goes no further. An empty variable sets nothing.
func TestTheManagerKnowsEachVariableOfTheReference(t *testing.T) {
	manager := exec.Command(root + "/bin/manager")
	manager.Env = []string{"MIRRORSET_NO_SUCH_SETTING="}
	for name, section := range sections(t, "flags.md") {
		if variable := regexp.MustCompile("Variable: `(\\w+)`").FindStringSubmatch(section); variable != nil {
			manager.Env = append(manager.Env, variable[1]+"=")
		} else if strings.HasPrefix(name, "manager --") && name != "manager --version" {
			t.Errorf("flags.md has no variable for %s", name)
		}
	}
	out, err := manager.CombinedOutput()
	if unknown := regexp.MustCompile(`MIRRORSET_\w+=`).FindAllString(string(out), -1); err == nil || !slices.Equal(unknown, []string{"MIRRORSET_NO_SUCH_SETTING="}) {
		t.Errorf("error %v; the manager does not know %q:\n%s", err, unknown, out)
	}
	if len(manager.Env) < 20 {
		t.Errorf("flags.md has %d variables; it had more", len(manager.Env)-1)
	}
}

// The index of the reference has each page once.
func TestTheReferenceHasAnIndex(t *testing.T) {
	files, err := filepath.Glob(root + "/docs/reference/*.md")
	if err != nil {
		t.Fatal(err)
	}
	index, err := os.ReadFile(root + "/docs/reference/README.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		name := filepath.Base(file)
		if name != "README.md" && strings.Count(string(index), "| ["+name+"]("+name+") |") != 1 {
			t.Errorf("docs/reference/README.md does not list %s once", name)
		}
	}
}

// The list of all flags would hide an error above it in the end of a log.
func TestAWrongFlagIsAnsweredWithoutTheListOfFlags(t *testing.T) {
	out, err := exec.Command(root+"/bin/manager", "--agent-resorces={}").CombinedOutput()
	if want := "flag provided but not defined: -agent-resorces\nRun manager --help to see every flag.\n"; err == nil || string(out) != want {
		t.Errorf("error %v, output:\n%s", err, out)
	}
}
