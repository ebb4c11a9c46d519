// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package manifests

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding/unicode"
	"golang.org/x/text/transform"

	yamlv2 "go.yaml.in/yaml/v2"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/yaml"
)

// document is one of those in a stream.
type document struct {
	// place names it, as in "sets.yaml: document 2".
	place string
	// line is where its text begins in the stream, counted from 1.
	line int
	// text is YAML, which includes JSON.
	text []byte
	json []byte
	// plain is what reading the JSON would give, of a document that has each key of each mapping once; nil where that is not known.
	plain any
}

// eachInStream reads a stream as kubectl does: UTF-8 or UTF-16, YAML documents behind each other, or JSON values.
func eachInStream(name string, in io.Reader, read func(document) error) error {
	text, err := io.ReadAll(transform.NewReader(in, unicode.BOMOverride(unicode.UTF8.NewDecoder())))
	if err != nil {
		return fmt.Errorf("%s: document 1: %w", name, err)
	}
	s := stream{name: name, text: text, line: 1, read: read}
	const enoughToGuess = 4096
	if _, _, isJSON := utilyaml.GuessJSONStream(bytes.NewReader(text), enoughToGuess); isJSON {
		if done, err := s.readJSON(); done || err != nil {
			return err
		}
	}
	return s.readYAML()
}

// stream is what has not been read yet of one.
type stream struct {
	name string
	text []byte
	line int // where the text begins
	read func(document) error

	documents int
}

// pass gives the next document to the reader.
func (s *stream) pass(line int, text []byte, toJSON func([]byte) (data []byte, plain any, err error)) error {
	s.documents++
	d := document{place: fmt.Sprintf("%s: document %d", s.name, s.documents), line: line, text: text}
	var err error
	if d.json, d.plain, err = toJSON(text); err != nil {
		return fmt.Errorf("%s: %w", d.place, atLine(err, line, text))
	}
	if err := s.read(d); err != nil {
		return fmt.Errorf("%s: %w", d.place, err)
	}
	return nil
}

// readJSON reads JSON values. It returns false where the rest must be read as YAML: from two values on, kubectl takes a stream for JSON
// to its end.
func (s *stream) readJSON() (done bool, err error) {
	decoder := json.NewDecoder(bytes.NewReader(s.text))
	for at := 0; ; {
		var value json.RawMessage
		err := decoder.Decode(&value)
		if errors.Is(err, io.EOF) {
			return true, nil
		}
		begin := at + len(s.text[at:]) - len(bytes.TrimLeft(s.text[at:], " \t\r\n"))
		if err != nil {
			if s.documents <= 1 {
				s.line += bytes.Count(s.text[:begin], []byte("\n"))
				s.text = s.text[begin:]
				return false, nil
			}
			return true, fmt.Errorf("%s: document %d: line %d: %w", s.name, s.documents+1, s.line+bytes.Count(s.text[:begin], []byte("\n")), err)
		}
		at = int(decoder.InputOffset())
		asIs := func(text []byte) ([]byte, any, error) { return text, nil, nil }
		if err := s.pass(s.line+bytes.Count(s.text[:begin], []byte("\n")), value, asIs); err != nil {
			return true, err
		}
	}
}

// readYAML reads documents.
func (s *stream) readYAML() error {
	lines := &lineReader{text: s.text}
	reader := utilyaml.NewYAMLReader(bufio.NewReader(lines))
	for {
		text, err := reader.Read()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("%s: document %d: line %d: %w", s.name, s.documents+1, s.line+lines.count-1, err)
		}
		begin := lines.count - bytes.Count(text, []byte("\n"))
		if !lines.atEnd() || bytes.HasPrefix(lines.last, []byte("---")) {
			begin-- // for the line that separates it from the next one
		}
		if err := s.pass(s.line+begin, text, yamlToJSON); err != nil {
			return err
		}
	}
}

// lineReader passes on one line at a time, so that a reader of documents has read no further than to the end of one.
type lineReader struct {
	text  []byte
	last  []byte
	count int
}

// Read returns the rest of a line.
func (r *lineReader) Read(into []byte) (int, error) {
	if len(r.text) == 0 {
		return 0, io.EOF
	}
	line, _, ended := bytes.Cut(r.text, []byte("\n"))
	if ended {
		line = r.text[:len(line)+1]
	}
	n := copy(into, line)
	r.text = r.text[n:]
	if n == len(line) {
		r.last = line
		r.count++
	}
	return n, nil
}

func (r *lineReader) atEnd() bool {
	return len(r.text) == 0
}

// yamlToJSON converts a document as kubectl does, which keeps the last of several values of a key, and returns what it has as it is in a plain
// document. It fails where more follows the first object of what was cut off as one document: after "..." or an unusual line break. The
// conversion of kubectl does not look at that.
func yamlToJSON(text []byte) (data []byte, plain any, err error) {
	decoder := yamlv2.NewDecoder(bytes.NewReader(text))
	decoder.SetStrict(true)
	var content any
	refusal := decoder.Decode(&content)
	if content, ok := asJSON(content); ok && refusal == nil {
		plain = content
		data, err = json.Marshal(plain)
	} else {
		data, err = asKubectl(text)
	}
	if err != nil {
		return nil, nil, err
	}
	var repeats *yamlv2.TypeError
	if refusal != nil && !errors.As(refusal, &repeats) && !errors.Is(refusal, io.EOF) {
		return nil, nil, refusal
	}
	if err := decoder.Decode(&ignored{}); !errors.Is(err, io.EOF) {
		return nil, nil, errors.New("more text follows the first object of this document, and kubectl would ignore it; separate objects with a line \"---\"")
	}
	return data, plain, nil
}

// asKubectl converts any document, in twice the time.
func asKubectl(text []byte) ([]byte, error) {
	data, err := yaml.YAMLToJSON(text)
	if err != nil && strings.Contains(err.Error(), "map key") {
		return nil, errors.New("a key of a mapping is a list, a mapping or empty, and JSON allows only text as a key; write it in quotes")
	}
	return data, err
}

// asJSON returns what was read of YAML as JSON has it. It is false of what the two have in several ways, such as keys that are numbers (1 and
// "1" are two keys of YAML, and one of JSON), fractions and times.
func asJSON(value any) (_ any, ok bool) {
	switch value := value.(type) {
	case nil, bool, int64:
		return value, true
	case int:
		return int64(value), true
	case string:
		return value, utf8.ValidString(value)
	case map[any]any:
		object := make(map[string]any, len(value))
		for key, value := range value {
			name, isText := key.(string)
			if object[name], ok = asJSON(value); !ok || !isText || !utf8.ValidString(name) {
				return nil, false
			}
		}
		return object, true
	case []any:
		list := make([]any, len(value))
		for i := range value {
			if list[i], ok = asJSON(value[i]); !ok {
				return nil, false
			}
		}
		return list, true
	}
	return nil, false
}

// ignored takes any YAML.
type ignored struct{}

// UnmarshalYAML keeps nothing.
func (*ignored) UnmarshalYAML(func(any) error) error {
	return nil
}

var lineInError = regexp.MustCompile(`\bline (\d+)\b`)

// atLine has an error about a document name the line of the stream, and says what to do about a template.
func atLine(err error, line int, text []byte) error {
	said := err.Error()
	if lineInError.MatchString(said) {
		said = lineInError.ReplaceAllStringFunc(said, func(found string) string {
			inDocument, _ := strconv.Atoi(strings.TrimPrefix(found, "line ")) // digits
			return fmt.Sprintf("line %d", line+inDocument-1)
		})
	} else {
		said = fmt.Sprintf("line %d: %s", line, said)
	}
	if bytes.Contains(text, []byte("{{")) {
		said += "; this looks like a template: render it with its tool, such as helm template, and give the result"
	}
	return errors.New(said)
}
