// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

// Package payload is the contract between the manager and the agents: what the ConfigMap "containers-registries.conf"
// holds. It carries one registries.conf text with a revision that only grows and a digest of the text. The ConfigMap is
// complete in itself, so a Pod that builds images may mount it as a drop-in directory.
package payload

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"strconv"

	corev1 "k8s.io/api/core/v1"
)

const (
	// ConfigMapName is the name of the ConfigMap, in the manager's namespace.
	ConfigMapName = "containers-registries.conf"
	// Key holds the text, in data.
	Key = "registries.conf"
	// CompressedKey holds the gzipped text, in binaryData, where the text alone would be too large for a ConfigMap.
	CompressedKey = "registries.conf.gz"
	// BlockersKey holds, in data, the payload's Blockers in JSON. It is no part of what the digest is of, and may be missing.
	BlockersKey = "blockers.json"
	// ShadowKey holds, in data, the payload's Shadow in JSON (docs/reference/semantics.md V4). It is no part of what the digest is of, and may be missing.
	ShadowKey = "shadow.json"
	// FormatAnnotation holds the format of the ConfigMap, in decimal. Without it the format is 1.
	FormatAnnotation = "mirrorset.io/format"
	// RevisionAnnotation holds the revision, in decimal.
	RevisionAnnotation = "mirrorset.io/revision"
	// FieldManager owns the fields of the ConfigMap, in server-side apply.
	FieldManager = "mirrorset-manager"
	// ProvisionalAnnotation is "true" on a payload without rules that may yet prove to be a mistake, as that of a cluster
	// whose sets are still being brought back. A node with rules in force waits for what follows it.
	ProvisionalAnnotation = "mirrorset.io/provisional"
	// SetsAnnotation holds the digest of the sets that the text is of (see kinds.DigestOf). It can change while the text stays.
	SetsAnnotation = "mirrorset.io/sets"
	// DigestAnnotation holds the digest of the text, as in "sha256:<hex>".
	DigestAnnotation = "mirrorset.io/digest"
)

// The formats of the ConfigMap. There is a new one for each change that an agent which does not know of it would misread, and what is
// published is in the oldest that can say it, so that an upgrade changes no node.
const (
	// FormatDigests has mirrors for digests only.
	FormatDigests = 1
	// FormatTags has mirrors for tags too.
	FormatTags = 2
	// Format is the newest that this program reads.
	Format = FormatTags
)

const (
	// maxPlain is the size in bytes up to which the text is stored as it is; a ConfigMap holds 1 MiB.
	maxPlain = 900 << 10
	// maxText bounds the text in bytes, and so what an agent unpacks into memory (see registriesconf.MaxText).
	maxText = 8 << 20
	// farFuture and century, in Unix milliseconds, bound what is taken for a revision (see Plausible).
	farFuture = 1 << 43
	century   = 100 * 366 * 24 * 60 * 60 * 1000
	// lastPossible is so high that nobody uses up the revisions below it, a century with each write of the ConfigMap.
	lastPossible = 1 << 62
)

// ErrNewer is returned for a payload of a format that a newer version of Mirrorset wrote.
var ErrNewer = errors.New("it was written by a newer version of Mirrorset")

// ErrTooLarge is returned for a text that does not fit a ConfigMap even when it is compressed.
var ErrTooLarge = errors.New("the registries.conf is too large for a ConfigMap")

// Payload is one published state of the rules.
type Payload struct {
	// Format is that of the ConfigMap; 0 stands for 1. What a node keeps has none, so that an agent which was rolled back begins with
	// the rules in force, if it can read them.
	Format int `json:"-"`
	// Revision orders payloads; each is larger than those before it.
	Revision int64 `json:"revision"`
	// Digest is that of the text.
	Digest string `json:"digest"`
	// Text is a registries.conf.
	Text []byte `json:"text"`
	// Blockers name, by blocked source, the sets that block it, for people who are refused an image.
	Blockers map[string]string `json:"blockers,omitempty"`
	// Shadow names, by watched source, the sets in shadow mode that watch it (docs/reference/semantics.md V3).
	Shadow map[string]string `json:"shadow,omitempty"`
	// Sets is the digest of the sets that the text is of; empty where that is not known.
	Sets string `json:"-"`
	// Provisional payloads have no rules and replace none (see ProvisionalAnnotation).
	Provisional bool `json:"-"`
}

// New returns a payload of the text, in the oldest format.
func New(revision int64, text []byte) Payload {
	return Payload{Format: FormatDigests, Revision: revision, Digest: digest(text), Text: text}
}

func digest(text []byte) string {
	sum := sha256.Sum256(text)
	return "sha256:" + hex.EncodeToString(sum[:])
}

// Plausible tells whether a revision may follow one that is in force, or 0. A revision far beyond every clock is a mistake:
// one that was taken would leave no room above it. What was taken may be exceeded, always.
func Plausible(revision, inForce int64) bool {
	return revision > 0 && revision <= max(inForce, farFuture)+century
}

// clockSlip is how far beyond the manager's clock, in milliseconds, a revision that a node reports may be: nodes take what managers publish,
// and those have clocks. One agent that reports anything must not use up the revisions of all.
const clockSlip = 24 * 60 * 60 * 1000

// Believed returns the highest revision of a node that a manager publishes above, by its clock, in Unix milliseconds, and what it has published.
func Believed(unixMilli, published int64) int64 {
	return max(unixMilli+clockSlip, published)
}

// NextRevision returns the revision behind all that are known: one more than the highest of them, or the time in Unix
// milliseconds, so that revisions grow even after the ConfigMap was deleted.
func NextRevision(unixMilli int64, known ...int64) int64 {
	next := unixMilli
	for _, k := range known {
		if k < lastPossible {
			next = max(next, k+1)
		}
	}
	return next
}

// Same reports whether an agent keeps the same of two payloads that passed [Payload.Check].
func (p *Payload) Same(other *Payload) bool {
	return p.Revision == other.Revision && p.Digest == other.Digest && maps.Equal(p.Blockers, other.Blockers) && maps.Equal(p.Shadow, other.Shadow)
}

// Check tells whether the payload is complete: the digest is that of the text, and the revision a possible one. It fails with [ErrNewer]
// where this program cannot tell.
func (p Payload) Check() error {
	if p.Format > Format {
		return fmt.Errorf("format %d is newer than %d, the newest known format: %w", p.Format, Format, ErrNewer)
	}
	if p.Revision <= 0 || p.Revision > lastPossible {
		return fmt.Errorf("revision %d is out of range", p.Revision)
	}
	if got := digest(p.Text); got != p.Digest {
		return fmt.Errorf("the digest of the text is %s, but %q was published", got, p.Digest)
	}
	return nil
}

// Annotations returns what [Read] wants in the ConfigMap's annotations.
func (p Payload) Annotations() map[string]string {
	annotations := map[string]string{
		FormatAnnotation:   strconv.Itoa(max(1, p.Format)),
		RevisionAnnotation: strconv.FormatInt(p.Revision, 10),
		DigestAnnotation:   p.Digest,
	}
	if p.Sets != "" {
		annotations[SetsAnnotation] = p.Sets
	}
	if p.Provisional {
		annotations[ProvisionalAnnotation] = "true"
	}
	return annotations
}

// Data returns what [Read] wants in the ConfigMap's data and binaryData. It fails with [ErrTooLarge].
func (p Payload) Data() (data map[string]string, binaryData map[string][]byte, err error) {
	return p.dataWithin(maxPlain)
}

// dataWithin has the text take so many bytes at most.
func (p Payload) dataWithin(room int) (data map[string]string, binaryData map[string][]byte, err error) {
	data = p.names()
	room -= max(0, len(data[BlockersKey])+len(data[ShadowKey])-roomForNames)
	if len(p.Text) <= room {
		data[Key] = string(p.Text)
		return data, nil, nil
	}
	packed, err := Pack(p.Text)
	if err != nil {
		return nil, nil, err
	}
	if len(p.Text) > maxText || len(packed) > room {
		return nil, nil, fmt.Errorf("%w: %d bytes, compressed %d of at most %d", ErrTooLarge, len(p.Text), len(packed), room)
	}
	return data, map[string][]byte{CompressedKey: packed}, nil
}

// Read returns the payload of a ConfigMap once [Payload.Check] has passed.
func Read(cm *corev1.ConfigMap) (Payload, error) {
	p, err := read(cm)
	if err == nil {
		err = p.Check()
	}
	if err != nil {
		return Payload{}, fmt.Errorf("ConfigMap %s/%s: %w", cm.Namespace, cm.Name, err)
	}
	return p, nil
}

// read takes the text that the digest is about, so that a key which somebody else added does no harm.
func read(cm *corev1.ConfigMap) (p Payload, err error) {
	if format, ok := cm.Annotations[FormatAnnotation]; ok {
		if p.Format, err = strconv.Atoi(format); err != nil {
			return Payload{}, fmt.Errorf("annotation %s: %w", FormatAnnotation, err)
		}
	}
	if p.Format > Format {
		return p, nil // which [Payload.Check] refuses; nothing is known of the rest
	}
	if p.Revision, err = strconv.ParseInt(cm.Annotations[RevisionAnnotation], 10, 64); err != nil {
		return Payload{}, fmt.Errorf("annotation %s: %w", RevisionAnnotation, err)
	}
	p.Digest, p.Sets = cm.Annotations[DigestAnnotation], cm.Annotations[SetsAnnotation]
	p.Provisional = cm.Annotations[ProvisionalAnnotation] == "true"
	p.Blockers, p.Shadow = readNames(cm.Data[BlockersKey]), readNames(cm.Data[ShadowKey])
	if text, ok := cm.Data[Key]; ok {
		if p.Text = []byte(text); digest(p.Text) == p.Digest {
			return p, nil
		}
	}
	if packed, ok := cm.BinaryData[CompressedKey]; ok {
		p.Text, err = unpack(CompressedKey, packed)
	}
	if p.Text == nil && err == nil {
		err = fmt.Errorf("neither key %s nor key %s exists", Key, CompressedKey)
	}
	return p, err
}

func unpack(key string, packed []byte) ([]byte, error) {
	r, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", key, err)
	}
	text, err := io.ReadAll(io.LimitReader(r, maxText+1))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", key, err)
	}
	if len(text) > maxText {
		return nil, fmt.Errorf("%s: %w", key, ErrTooLarge)
	}
	return text, nil
}

// HostPath is where an agent keeps the payload that it accepted last, below the host's root (N6).
const HostPath = "var/lib/mirrorset/payload.json"

// Marshal returns the payload as an agent keeps it on its node.
func (p Payload) Marshal() ([]byte, error) {
	return json.Marshal(p)
}

// Unmarshal reads what [Payload.Marshal] returned once [Payload.Check] has passed.
func Unmarshal(data []byte) (Payload, error) {
	var p Payload
	var wrong *json.UnmarshalTypeError // whose text names types of ours
	switch err := json.Unmarshal(data, &p); {
	case errors.As(err, &wrong):
		return Payload{}, fmt.Errorf("%q is a %s, which is the wrong type", wrong.Field, wrong.Value)
	case err != nil:
		return Payload{}, err
	}
	return p, p.Check()
}
