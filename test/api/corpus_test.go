// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package api

import (
	"bytes"
	"context"
	"encoding/json"
	"maps"
	"net/http"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"github.com/spf13/cobra"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/mirrorset/mirrorset/internal/kinds"
	"github.com/mirrorset/mirrorset/internal/mirrors"
	"github.com/mirrorset/mirrorset/internal/plugin"
	"github.com/mirrorset/mirrorset/internal/plugin/command"
	"github.com/mirrorset/mirrorset/internal/plugin/manifests"
)

// corpus has manifests in the style of those that tools and people write, with the mistakes that they make. All were made for this.
const corpus = "testdata/corpus"

// verdict is what becomes of the sets of a file, by their kinds and names: ImageTagMirrorSet/site.
type verdict struct {
	// refused has the fields that are wrong.
	refused map[string][]string
	// warned has the reasons of the findings that the API server has a policy for.
	warned map[string][]string
}

func newVerdict() verdict {
	return verdict{refused: map[string][]string{}, warned: map[string][]string{}}
}

// note adds a text to those of a set, once, in byte order.
func note(to map[string][]string, set, text string) {
	if !slices.Contains(to[set], text) {
		to[set] = append(to[set], text)
		slices.Sort(to[set])
	}
}

// What render says of a set: that it is refused, for a field, or that something is odd about it.
var (
	refusedSet = regexp.MustCompile(`^refused: .*?: line \d+: (Image\w+) "([^"]*)": (?:unknown field "([^"]+)"|([A-Za-z0-9.\[\]]+)[: ])`)
	warnedSet  = regexp.MustCompile(`^warning: (\w+): ((?:itms/)?[A-Za-z0-9-]+): `)
)

// predicted is what kubectl mirrors render says of a file, with its exit code, and the sets that only server-side apply has refused.
func predicted(file string) (v verdict, code int, serverSide []string) {
	GinkgoHelper()
	cmd := plugin.NewCommand()
	var stdout, stderr bytes.Buffer
	cmd.SetArgs([]string{"render", "-f", file})
	cmd.SetOut(&stdout)
	cmd.SetErr(&stderr)
	cmd.SetContext(context.Background())
	code = command.Run(cmd)
	v = newVerdict()
	for line := range strings.Lines(stderr.String()) {
		if found := refusedSet.FindStringSubmatch(line); found != nil {
			note(v.refused, found[1]+"/"+found[2], found[3]+found[4])
		}
		found := warnedSet.FindStringSubmatch(line)
		if found == nil {
			continue
		}
		set := kinds.Digest.Name + "/" + found[2]
		if name, isTag := strings.CutPrefix(found[2], "itms/"); isTag {
			set = kinds.Tag.Name + "/" + name
		}
		if found[1] == "RefusedServerSide" {
			serverSide = append(serverSide, set)
		} else if _, judged := texts[mirrors.Reason(found[1])]; judged {
			note(v.warned, set, found[1])
		}
	}
	return v, code, serverSide
}

// texts are what the API server's policy says for the reasons of internal/mirrors that it knows.
var texts = map[mirrors.Reason][]string{
	mirrors.PolicyWithoutMirrors: {"a mirrorSourcePolicy has no effect"},
	mirrors.InvalidMirror:        {"a mirror whose host is a single label", "a mirror at index.docker.io"},
	mirrors.UnmatchableSource:    {"never matches an image", "compare hosts byte by byte"},
	mirrors.SourceInOwnMirrors:   {"is blocked by NeverContactSource"},
}

// setsIn returns the sets of a file, as they would be sent, in JSON and by their kinds and names.
func setsIn(file string) map[string][]byte {
	GinkgoHelper()
	sets := map[string][]byte{}
	var read func(place string, data []byte) error
	read = func(place string, data []byte) error {
		var object struct {
			metav1.TypeMeta
			Metadata struct{ Name any }
			Items    []map[string]any
		}
		if err := json.Unmarshal(data, &object); err != nil || string(data) == "null" {
			return err
		}
		if object.APIVersion == "config.openshift.io/v1" && kinds.Named(object.Kind) != nil {
			name, _ := object.Metadata.Name.(string)
			sets[object.Kind+"/"+name] = data
		}
		for _, item := range object.Items {
			if item["kind"] == nil {
				item["kind"], item["apiVersion"] = strings.TrimSuffix(object.Kind, "List"), object.APIVersion
			}
			text, err := json.Marshal(item)
			if err != nil {
				return err
			}
			if err := read(place, text); err != nil {
				return err
			}
		}
		return nil
	}
	flags := manifests.Flags{Filenames: []string{file}}
	Expect(flags.EachDocument(&cobra.Command{}, func(place string, data []byte, _ []string) error { return read(place, data) })).To(Succeed())
	return sets
}

// What an API server says of a field outside the causes of its answer.
var saidOfField = regexp.MustCompile(`unknown field "([^"]+)"|Go struct field ObjectMeta\.([a-zA-Z.]+) of type`)

// judge asks the API server about each set, strictly as kubectl does. What is unknown or repeated it says alone, so that it is asked again
// without that.
func judge(sets map[string][]byte) verdict {
	GinkgoHelper()
	v := newVerdict()
	for set, body := range sets {
		kind = kinds.Named(set[:strings.Index(set, "/")])
		for _, validation := range []string{"Strict", "Ignore"} {
			res := send(request{method: http.MethodPost, path: collection, query: "dryRun=All&fieldValidation=" + validation, body: string(body)})
			if res.status == http.StatusCreated {
				for reason, said := range texts {
					if slices.ContainsFunc(said, func(text string) bool { return strings.Contains(strings.Join(res.warnings(), "\n"), text) }) {
						note(v.warned, set, string(reason))
					}
				}
				continue
			}
			answer := decode[metav1.Status](res)
			for _, found := range saidOfField.FindAllStringSubmatch(answer.Message, -1) {
				field := found[1]
				if found[2] != "" {
					field = "metadata." + strings.TrimPrefix(found[2], "metadata.")
				}
				note(v.refused, set, field)
			}
			if answer.Details != nil {
				for _, cause := range answer.Details.Causes {
					note(v.refused, set, cause.Field)
				}
			}
		}
		if v.refused[set] != nil {
			delete(v.warned, set)
		}
	}
	return v
}

var (
	applied = regexp.MustCompile(`(?m)^(image\w+mirrorset)\.config\.openshift\.io/(\S+) `)
	noKind  = regexp.MustCompile(`resource mapping not found for name: "([^"]*)" .* no matches for kind "(Image\w+Set|Image\w+set)"`)
)

// accepted are the sets that kubectl says it would apply, and unmapped what it finds no kind for.
func accepted(ctx context.Context, file string, flags ...string) (names, unmapped []string) {
	GinkgoHelper()
	path, err := filepath.Abs(file)
	Expect(err).NotTo(HaveOccurred())
	cmd := plane.Kubectl(ctx, append([]string{"apply", "--dry-run=server", "-f", path}, flags...)...)
	out, _ := cmd.CombinedOutput() // it fails where it refuses one
	for _, found := range noKind.FindAllStringSubmatch(string(out), -1) {
		unmapped = append(unmapped, found[2]+"/"+found[1])
	}
	for _, found := range applied.FindAllStringSubmatch(string(out), -1) {
		for _, k := range kinds.All {
			if strings.ToLower(k.Name) == found[1] {
				names = append(names, k.Name+"/"+found[2])
			}
		}
	}
	slices.Sort(names)
	return names, unmapped
}

var _ = Describe("a corpus of manifests", Ordered, ContinueOnFailure, func() {
	total := newVerdict()
	files, err := filepath.Glob(corpus + "/*")
	Expect(err).NotTo(HaveOccurred())

	BeforeAll(func() {
		kind = kinds.Digest
		awaitWarnings()
	})

	for _, file := range files {
		It("is taken and refused by the API server as render predicts: "+filepath.Base(file), func(ctx SpecContext) {
			said, code, serverSide := predicted(file)
			sets := setsIn(file)
			truth := judge(sets)
			if said.refused["ImageDigestMirrorSet/"] != nil { // which kubectl refuses by itself, for want of a name
				truth.refused["ImageDigestMirrorSet/"] = []string{"metadata.name"}
			}
			taken, unmapped := accepted(ctx, file)
			for _, object := range unmapped {
				note(truth.refused, object, "apiVersion")
			}
			Expect(said.refused).To(Equal(truth.refused))
			Expect(said.warned).To(Equal(truth.warned))
			want := slices.Sorted(maps.Keys(sets))
			want = slices.DeleteFunc(want, func(set string) bool { return truth.refused[set] != nil })
			Expect(taken).To(ConsistOf(want))
			want = slices.DeleteFunc(want, func(set string) bool { return slices.Contains(serverSide, set) })
			taken, _ = accepted(ctx, file, "--server-side")
			Expect(taken).To(ConsistOf(want))
			if len(truth.refused) > 0 {
				Expect(code).To(Equal(1))
			}
			maps.Copy(total.refused, said.refused)
			maps.Copy(total.warned, said.warned)
		})
	}

	It("has enough of each", func() {
		Expect(len(files)).To(BeNumerically(">=", 40))
		Expect(len(total.refused)).To(BeNumerically(">=", 20))
		Expect(len(total.warned)).To(BeNumerically(">=", 4))
	})
})
