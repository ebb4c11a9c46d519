// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

// Package conformance has the cases that hold all readers of mirror rules to try the same places in the same order
// (N5 of docs/reference/semantics.md): our own explain, the library of CRI-O and Podman, and containerd with the files of the agent.
// Each file in cases is one.
package conformance

import (
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strings"

	"sigs.k8s.io/yaml"

	"github.com/mirrorset/mirrorset/internal/kinds"
	"github.com/mirrorset/mirrorset/internal/mirrors"
	"github.com/mirrorset/mirrorset/internal/mirrors/mirrorstest"
	"github.com/mirrorset/mirrorset/internal/registriesconf"
)

//go:embed cases
var files embed.FS

// Case is one image under some sets.
type Case struct {
	// Name is that of the file, without its end.
	Name string `json:"-"`
	// Description is a sentence, with the rule that the case shows.
	Description string `json:"description"`
	// Sets are in the notation of mirrorstest.
	Sets string `json:"sets"`
	// Refused says that an API server with our CRDs refuses one of the sets: they are there where a CRD is older, or relaxed (E1).
	Refused bool `json:"refused,omitempty"`
	// Insecure are the scopes that are reached without TLS.
	Insecure []string `json:"insecure,omitempty"`
	// Image is what is pulled. One by digest ends in "@digest", because each run has other digests.
	Image string `json:"image"`
	// Pull are the places, host/repository, that are tried in this order when none of them has the image. Empty, the pull is
	// refused.
	Pull []string `json:"pull"`
	// Content are the places that have by digest what a tag of the image names, in order; by default Pull. containerd tries these for
	// what it found by tag (N5), and behind those that are mirrors the one where it found the tag (T10).
	Content []string `json:"content,omitempty"`
	// CRIO says what CRI-O and Podman do otherwise, and Containerd what containerd does.
	CRIO       *Deviation `json:"crio,omitempty"`
	Containerd *Deviation `json:"containerd,omitempty"`
}

// Deviation is what some runtimes do otherwise, and why that is allowed.
type Deviation struct {
	// Quirk is the paragraph of docs/reference/semantics.md that says so.
	Quirk string `json:"quirk"`
	// Why is for people.
	Why string `json:"why"`
	// Pull is as in a case.
	Pull []string `json:"pull"`
	// Fails says that the pull fails before any place is tried. Then there is no Pull.
	Fails bool `json:"fails,omitempty"`
}

// Load reads all cases, in the order of their names.
func Load() ([]Case, error) {
	entries, err := fs.ReadDir(files, "cases")
	if err != nil {
		return nil, err
	}
	cases := make([]Case, 0, len(entries))
	for _, entry := range entries {
		c, err := read(entry.Name())
		if err != nil {
			return nil, fmt.Errorf("cases/%s: %w", entry.Name(), err)
		}
		cases = append(cases, c)
	}
	return cases, nil
}

func read(file string) (Case, error) {
	name, isYAML := strings.CutSuffix(file, ".yaml")
	if !isYAML {
		return Case{}, errors.New("the name does not end in .yaml")
	}
	data, err := fs.ReadFile(files, path.Join("cases", file))
	if err != nil {
		return Case{}, err
	}
	c, err := Parse(data)
	c.Name = name
	return c, err
}

// Parse reads one case, strictly.
func Parse(data []byte) (c Case, err error) {
	if err := yaml.UnmarshalStrict(data, &c); err != nil {
		return c, err
	}
	return c, c.validate()
}

// digestSuffix stands for a digest in an image.
const digestSuffix = "@digest"

var quirk = regexp.MustCompile(`^(?:Q[1-6]|N4)$`)

// validate finds what would make a case say less than its author thinks.
func (c *Case) validate() error {
	switch {
	case !strings.HasSuffix(c.Description, "."):
		return errors.New("the description is no sentence")
	case c.Pull == nil:
		return errors.New("pull is required; an empty list means that the pull is refused")
	case strings.Contains(c.Image, "@") && !c.ByDigest():
		return fmt.Errorf("image %s: write a digest as %s", c.Image, digestSuffix)
	case c.Content != nil && (c.ByDigest() || slices.Equal(c.Content, c.Pull)):
		return errors.New("content is for an image by tag, where it is not the same as pull")
	}
	if _, err := mirrors.ParseScopes(c.Insecure); err != nil {
		return err
	}
	if _, err := mirrorstest.Parse(c.Sets); err != nil {
		return err
	}
	if err := validatePlaces(c.Pull, c.Content); err != nil {
		return err
	}
	return errors.Join(c.CRIO.validate(c.Pull), c.Containerd.validate(c.Pull))
}

func (d *Deviation) validate(pull []string) error {
	switch {
	case d == nil:
		return nil
	case !quirk.MatchString(d.Quirk), d.Why == "":
		return errors.New("a deviation wants a quirk, Q1 to Q6 or N4, and a reason")
	case d.Fails == (d.Pull != nil):
		return errors.New("a deviation wants either fails or pull")
	case !d.Fails && slices.Equal(d.Pull, pull):
		return errors.New("a deviation is none")
	}
	return validatePlaces(d.Pull)
}

// validatePlaces requires names of repositories, with their registry and without a tag or a digest.
func validatePlaces(lists ...[]string) error {
	for _, place := range slices.Concat(lists...) {
		ref, err := mirrors.ParseReference(place)
		if err != nil {
			return err
		}
		if ref.Name != place {
			return fmt.Errorf("%s is not the name of a repository in full", place)
		}
	}
	return nil
}

// ByDigest reports whether the reference names the image by digest.
func (c *Case) ByDigest() bool {
	return strings.HasSuffix(c.Image, digestSuffix)
}

// Reference returns the image with its digest, as in "sha256:...".
func (c *Case) Reference(digest string) string {
	if name, ok := strings.CutSuffix(c.Image, digestSuffix); ok {
		return name + "@" + digest
	}
	return c.Image
}

// Manifests returns the sets in YAML.
func (c *Case) Manifests() (string, error) {
	sets, err := mirrorstest.Parse(c.Sets)
	if err != nil {
		return "", err
	}
	var all strings.Builder
	for i := range sets {
		sets[i].GetObjectKind().SetGroupVersionKind(sets[i].Kind.GroupVersionKind())
		text, err := yaml.Marshal(sets[i].Object)
		if err != nil {
			return "", err
		}
		all.WriteString("---\n" + string(text))
	}
	return all.String(), nil
}

// Rules returns what the manager makes of the sets, whatever an API server says of them: a CRD may be older, or relaxed (E1).
func (c *Case) Rules() ([]mirrors.Rule, error) {
	sets, err := mirrorstest.Parse(c.Sets)
	if err != nil {
		return nil, err
	}
	insecure, err := mirrors.ParseScopes(c.Insecure)
	return kinds.Merge(sets, insecure).Rules, err
}

// Text returns the rules as the manager publishes them.
func (c *Case) Text() (string, error) {
	rules, err := c.Rules()
	if err != nil {
		return "", err
	}
	text, err := registriesconf.Encode(rules)
	return string(text), err
}

// Repository returns the full name of the image, without what names it in its repository.
func (c *Case) Repository() (string, error) {
	ref, err := mirrors.ParseReference(strings.TrimSuffix(c.Image, digestSuffix))
	return ref.Name, err
}

var host = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9.-]*(?::[0-9]+)?`)

// Hosts returns the registries that the case names, with their ports. They include registries that nothing may contact.
func (c *Case) Hosts() ([]string, error) {
	sets, err := mirrorstest.Parse(c.Sets)
	if err != nil {
		return nil, err
	}
	repository, err := c.Repository()
	if err != nil {
		return nil, err
	}
	names := append([]string{repository}, slices.Concat(c.Pull, c.Content)...)
	for _, set := range sets {
		for _, entry := range set.Entries {
			names = append(append(names, entry.Source), entry.Mirrors...)
		}
	}
	var hosts []string
	for _, name := range names {
		if h := host.FindString(name); h != "" {
			hosts = append(hosts, h)
		}
	}
	slices.Sort(hosts)
	return slices.Compact(hosts), nil
}
