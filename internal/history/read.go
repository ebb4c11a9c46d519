// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package history

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode"

	appsv1 "k8s.io/api/apps/v1"

	"github.com/mirrorset/mirrorset/internal/mirrors"
	"github.com/mirrorset/mirrorset/internal/payload"
	"github.com/mirrorset/mirrorset/internal/registriesconf"
)

// Read returns the record in an object. It fails if the text is not one that the manager would publish. A user who may write
// ControllerRevisions must not be able to make an undo publish anything other than rules.
func Read(object *appsv1.ControllerRevision) (Record, error) {
	r, c, err := glance(object)
	if err == nil {
		err = r.readText(c.Text)
	}
	if err != nil {
		return Record{}, failed(object, err)
	}
	return r, nil
}

// Glance returns the record in an object without its text, and does not check the text.
func Glance(object *appsv1.ControllerRevision) (Record, error) {
	r, _, err := glance(object)
	if err != nil {
		return Record{}, failed(object, err)
	}
	return r, nil
}

func failed(object *appsv1.ControllerRevision, err error) error {
	return fmt.Errorf("ControllerRevision %s/%s is not a record of rules: %w", object.Namespace, object.Name, err)
}

func glance(object *appsv1.ControllerRevision) (r Record, c content, err error) {
	if err := decode(object.Data.Raw, &c); err != nil {
		return r, c, fmt.Errorf("data: %w", err)
	}
	if c.Format > payload.Format {
		return r, c, fmt.Errorf("format %d is newer than %d, the newest known format: %w", c.Format, payload.Format, payload.ErrNewer)
	}
	if c.Format < payload.FormatDigests {
		return r, c, fmt.Errorf("format %d is out of range", c.Format)
	}
	if object.Revision <= 0 {
		return r, c, fmt.Errorf("revision %d is out of range", object.Revision)
	}
	if name := Name(c.Digest, c.SetsDigest); name != object.Name {
		return r, c, fmt.Errorf("by its digests, its name should be %q", name)
	}
	plain, err := unpack(c.Detail, maxDetail)
	if err != nil {
		return r, c, fmt.Errorf("detail: %w", err)
	}
	var d detail
	if err := decode(plain, &d); err != nil {
		return r, c, fmt.Errorf("detail: %w", err)
	}
	r = Record{
		Revision: object.Revision, Published: object.CreationTimestamp, Format: c.Format, Digest: c.Digest, Blockers: d.Blockers, Shadow: d.Shadow,
		SetsDigest: c.SetsDigest, Sets: d.Sets, Changes: d.Changes, Partial: c.Partial,
	}
	slices.SortFunc(r.Sets, compareSets)
	slices.SortFunc(r.Changes, compareChanges)
	return r, c, r.checkWords()
}

func decode(data []byte, into any) error {
	err := json.Unmarshal(data, into)
	var wrong *json.UnmarshalTypeError // its message names our internal types
	if errors.As(err, &wrong) {
		return fmt.Errorf("%q is a %s, which is the wrong type", wrong.Field, wrong.Value)
	}
	return err
}

// checkWords refuses texts that cannot be the name of a set, a source or a field manager, because terminals show them.
func (r *Record) checkWords() error {
	var words []string
	for _, s := range r.Sets {
		words = append(words, s.Kind, s.Name, s.UID, s.Insecure, s.Enforcement)
	}
	for _, c := range r.Changes {
		words = append(words, c.What, c.Kind, c.Name, c.By)
	}
	for _, names := range []map[string]string{r.Blockers, r.Shadow} {
		for source, sets := range names {
			words = append(words, source, sets)
		}
	}
	for _, word := range words {
		if strings.ContainsFunc(word, func(c rune) bool { return !unicode.IsPrint(c) }) {
			return fmt.Errorf("detail: %q is not a name", word)
		}
	}
	return nil
}

// readText adds the text after checking that it matches the digest of the record.
func (r *Record) readText(packed []byte) (err error) {
	if r.Text, err = unpack(packed, registriesconf.MaxText); err != nil {
		return fmt.Errorf("text: %w", err)
	}
	if err := r.Payload(r.Revision).Check(); err != nil {
		return err
	}
	rules, err := registriesconf.Decode(r.Text)
	if err != nil {
		return err
	}
	forTags := func(m mirrors.Mirror) bool { return m.Modes&mirrors.ByTag != 0 }
	for i := range rules {
		if r.Format < payload.FormatTags && slices.ContainsFunc(rules[i].Mirrors, forTags) {
			return fmt.Errorf("format %d, which cannot hold the mirrors for tags of %s", r.Format, rules[i].Source)
		}
	}
	return nil
}

// unpack decompresses gzipped data, and fails if the result is larger than most bytes.
func unpack(packed []byte, most int) ([]byte, error) {
	r, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return nil, err
	}
	plain, err := io.ReadAll(io.LimitReader(r, int64(most)+1))
	if err == nil && len(plain) > most {
		err = errTooMuch
	}
	return plain, err
}
