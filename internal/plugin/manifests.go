// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package plugin

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	yamlv2 "go.yaml.in/yaml/v2"
	"k8s.io/apimachinery/pkg/api/validation"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	kjson "sigs.k8s.io/json"
	"sigs.k8s.io/yaml"

	configv1 "github.com/mirrorset/mirrorset/api/config/v1"
	"github.com/mirrorset/mirrorset/internal/plugin/output"
)

const setKind = configv1.KindImageDigestMirrorSet

// manifests are the sets read from files, as an API server would hold them once the files were applied in order.
type manifests struct {
	sets  []configv1.ImageDigestMirrorSet
	notes []string // for stderr, one a line

	passedOver int               // objects of other kinds
	policies   bool              // some of these are what OpenShift had before sets
	places     map[string]string // where each set was read, by its name
}

// readManifests reads the sets of files. Every error names the file and the document.
func readManifests(paths []string, stdin io.Reader) (*manifests, error) {
	m := &manifests{places: make(map[string]string)}
	if err := eachDocument(paths, stdin, m.readObject); err != nil {
		return nil, err
	}
	if len(m.sets) == 0 {
		note := fmt.Sprintf("note: no %s in %s; objects of other kinds passed over: %d", setKind, output.Printable(strings.Join(paths, ", ")), m.passedOver)
		if m.policies {
			note += "; kubectl mirrors convert makes sets of each " + policyKind
		}
		m.notes = append(m.notes, note)
	}
	return m, nil
}

// eachDocument reads files, directories (as kubectl does: *.yaml, *.yml and *.json, not what is below) and "-" for
// standard input, and passes on each document in JSON, with its place. Errors come to name the place.
func eachDocument(paths []string, stdin io.Reader, read func(place string, data []byte) error) error {
	for _, path := range paths {
		if path == "-" {
			if err := eachInStream("standard input", stdin, read); err != nil {
				return err
			}
			continue
		}
		files, err := filesOf(path)
		if err != nil {
			return err
		}
		for _, file := range files {
			data, err := os.ReadFile(file)
			if err != nil {
				return output.PrintablePath(err)
			}
			if err := eachInStream(output.Printable(file), bytes.NewReader(data), read); err != nil {
				return err
			}
		}
	}
	return nil
}

// filesOf returns the path itself, or the manifests in it.
func filesOf(path string) ([]string, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, output.PrintablePath(err)
	}
	if !info.IsDir() {
		return []string{path}, nil
	}
	entries, err := os.ReadDir(path)
	if err != nil {
		return nil, output.PrintablePath(err)
	}
	var files []string
	for _, entry := range entries {
		file := filepath.Join(path, entry.Name())
		if !slices.Contains([]string{".json", ".yaml", ".yml"}, filepath.Ext(file)) {
			continue
		}
		target, err := os.Stat(file)
		if err != nil {
			return nil, output.PrintablePath(err)
		}
		if target.Mode()&fs.ModeType == 0 {
			files = append(files, file)
		}
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("%s: no file in this directory ends in .yaml, .yml or .json", output.Printable(path))
	}
	return files, nil
}

func eachInStream(name string, in io.Reader, read func(place string, data []byte) error) error {
	reader := utilyaml.NewYAMLReader(bufio.NewReader(in))
	for number := 1; ; number++ {
		document, err := reader.Read()
		if errors.Is(err, io.EOF) {
			return nil
		}
		place := fmt.Sprintf("%s: document %d", name, number)
		if err == nil {
			err = readDocument(place, document, read)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", place, err)
		}
	}
}

func readDocument(place string, document []byte, read func(place string, data []byte) error) error {
	data, err := yaml.YAMLToJSONStrict(document)
	if err != nil {
		return err
	}
	if err := onlyDocument(document); err != nil {
		return err
	}
	return read(place, data)
}

// onlyDocument fails where more follows the first object of what was cut off as one document: after "..." or an unusual
// line break, in UTF-16, or in JSON without separators. The conversion to JSON does not look at it.
func onlyDocument(document []byte) error {
	decoder := yamlv2.NewDecoder(bytes.NewReader(document))
	if err := decoder.Decode(&ignored{}); err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	if err := decoder.Decode(&ignored{}); !errors.Is(err, io.EOF) {
		return errors.New("more follows the first object of this document; separate objects by a line \"---\"")
	}
	return nil
}

// ignored takes any YAML.
type ignored struct{}

// UnmarshalYAML keeps nothing.
func (*ignored) UnmarshalYAML(func(any) error) error {
	return nil
}

// readObject takes one object, or those of a list, in JSON.
func (m *manifests) readObject(place string, data []byte) error {
	if string(data) == "null" {
		return nil // nothing but comments
	}
	if !bytes.HasPrefix(data, []byte("{")) {
		return errors.New("not a Kubernetes object, which is a mapping with apiVersion and kind")
	}
	var object metav1.TypeMeta
	if err := json.Unmarshal(data, &object); err != nil {
		return err
	}
	ours := configv1.GroupVersion.String()
	switch {
	case object.Kind == "" || object.APIVersion == "":
		return errors.New("not a Kubernetes object: apiVersion and kind are required")
	case (object.Kind == setKind || object.Kind == setKind+"List") && object.APIVersion != ours:
		return fmt.Errorf("apiVersion %q does not have kind %s; want %s", object.APIVersion, object.Kind, ours)
	case object.Kind == setKind:
		return m.readSet(place, data)
	case object.Kind == setKind+"List", object.Kind == "List" && object.APIVersion == "v1":
		return m.readList(place, data, object)
	}
	m.passedOver++
	m.policies = m.policies || object.Kind == policyKind
	return nil
}

// readList takes the items of a list. Those of a typed list may go without apiVersion and kind.
func (m *manifests) readList(place string, data []byte, list metav1.TypeMeta) error {
	var content struct {
		metav1.TypeMeta `json:",inline"`
		Metadata        metav1.ListMeta   `json:"metadata"`
		Items           []json.RawMessage `json:"items"`
	}
	if err := unmarshalStrict(data, &content); err != nil {
		return err
	}
	for i, item := range content.Items {
		at := fmt.Sprintf("items[%d]", i)
		var object metav1.TypeMeta
		if err := json.Unmarshal(item, &object); err != nil {
			return fmt.Errorf("%s: %w", at, err)
		}
		read := m.readObject
		if list.Kind != "List" && object == (metav1.TypeMeta{}) {
			read = m.readSet
		}
		if err := read(place+", "+at, item); err != nil {
			return fmt.Errorf("%s: %w", at, err)
		}
	}
	return nil
}

func (m *manifests) readSet(place string, data []byte) error {
	var set configv1.ImageDigestMirrorSet
	if err := unmarshalStrict(data, &set); err != nil {
		return fmt.Errorf("%s %q: %w", setKind, set.Name, err)
	}
	var required struct {
		Spec *json.RawMessage `json:"spec"`
	}
	if err := kjson.UnmarshalCaseSensitivePreserveInts(data, &required); err != nil {
		return err
	}
	if set.Name == "" {
		return fmt.Errorf("%s: metadata.name: required", setKind)
	}
	if reasons := validation.NameIsDNSSubdomain(set.Name, false); len(reasons) > 0 {
		return fmt.Errorf("%s: metadata.name %q: %s", setKind, set.Name, strings.Join(reasons, "; "))
	}
	if required.Spec == nil {
		return fmt.Errorf("%s %q: spec: required", setKind, set.Name)
	}
	m.add(place, set)
	return nil
}

// add takes the later one of two sets with one name, as applying both would.
func (m *manifests) add(place string, set configv1.ImageDigestMirrorSet) {
	earlier, again := m.places[set.Name]
	m.places[set.Name] = place
	if !again {
		m.sets = append(m.sets, set)
		return
	}
	m.notes = append(m.notes, fmt.Sprintf("warning: DuplicateObject: %s: %s replaces %s", set.Name, place, earlier))
	at := slices.IndexFunc(m.sets, func(s configv1.ImageDigestMirrorSet) bool { return s.Name == set.Name })
	m.sets[at] = set
}

// unmarshalStrict refuses unknown and repeated fields, as the API server does with fieldValidation=Strict.
func unmarshalStrict(data []byte, into any) error {
	strictErrs, err := kjson.UnmarshalStrict(data, into)
	if err != nil {
		return err
	}
	if len(strictErrs) == 0 {
		return nil
	}
	reasons := make([]string, 0, len(strictErrs))
	for _, e := range strictErrs {
		reasons = append(reasons, e.Error())
	}
	return errors.New(strings.Join(reasons, "; "))
}
