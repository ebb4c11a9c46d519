// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

// Package payload is the contract between the manager and the agents: the content of the ConfigMap "containers-registries.conf". The
// ConfigMap carries one registries.conf text, a revision that only grows and a digest of the text. It is complete in itself, so a Pod that
// builds images may mount it as a drop-in directory.
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
	// BlockersKey holds, in data, the payload's Blockers in JSON. The digest does not cover it, and it may be missing.
	BlockersKey = "blockers.json"
	// ShadowKey holds, in data, the payload's Shadow in JSON (docs/reference/semantics.md V4). The digest does not cover it, and it may be
	// missing.
	ShadowKey = "shadow.json"
	// FormatAnnotation holds the format of the ConfigMap, in decimal. If it is missing, the format is 1.
	FormatAnnotation = "mirrorset.io/format"
	// RevisionAnnotation holds the revision, in decimal.
	RevisionAnnotation = "mirrorset.io/revision"
	// FieldManager owns the fields of the ConfigMap, in server-side apply.
	FieldManager = "mirrorset-manager"
	// ProvisionalAnnotation is "true" on a payload without rules that may turn out to be a mistake, for example while the sets of a cluster
	// are being restored. A node with rules in force waits for the next payload.
	ProvisionalAnnotation = "mirrorset.io/provisional"
	// SetsAnnotation holds the digest of the sets that the text was made from (see kinds.DigestOf). It can change while the text stays.
	SetsAnnotation = "mirrorset.io/sets"
	// DigestAnnotation holds the digest of the text, as in "sha256:<hex>".
	DigestAnnotation = "mirrorset.io/digest"
)

// The formats of the ConfigMap. There is a new format for each change that an agent without that change would misread. The manager
// publishes in the oldest format that can express the content, so that an upgrade changes no node.
const (
	// FormatDigests has only mirrors for digests.
	FormatDigests = 1
	// FormatTags has mirrors for tags too.
	FormatTags = 2
	// Format is the newest format that this program reads.
	Format = FormatTags
)

const (
	// maxPlain is the size in bytes up to which the text is stored uncompressed. A ConfigMap holds 1 MiB.
	maxPlain = 900 << 10
	// maxText bounds the text in bytes, and so the amount that an agent decompresses into memory (see registriesconf.MaxText).
	maxText = 8 << 20
	// farFuture and century, in Unix milliseconds, bound the numbers that count as a revision (see Plausible).
	farFuture = 1 << 43
	century   = 100 * 366 * 24 * 60 * 60 * 1000
	// lastPossible is so high that nobody uses up the revisions below it, even if each write of the ConfigMap skips a century.
	lastPossible = 1 << 62
)

// ErrNewer is returned for a payload in a format of a newer version of Mirrorset.
var ErrNewer = errors.New("it was written by a newer version of Mirrorset")

// ErrTooLarge is returned for a text that does not fit a ConfigMap even when it is compressed.
var ErrTooLarge = errors.New("the registries.conf is too large for a ConfigMap")

// Payload is one published state of the rules.
type Payload struct {
	// Format is the format of the ConfigMap, and 0 means 1. A payload that a node keeps has no format. An agent that was rolled back
	// therefore begins with the rules in force, if it can read them.
	Format int `json:"-"`
	// Revision orders payloads. Each revision is larger than all earlier ones.
	Revision int64 `json:"revision"`
	// Digest is the digest of the text.
	Digest string `json:"digest"`
	// Text is a registries.conf.
	Text []byte `json:"text"`
	// Blockers name, by blocked source, the sets that block it. They are for people whose image pull is refused.
	Blockers map[string]string `json:"blockers,omitempty"`
	// Shadow names, by watched source, the sets in shadow mode that watch it (docs/reference/semantics.md V3).
	Shadow map[string]string `json:"shadow,omitempty"`
	// Sets is the digest of the sets that the text was made from. It is empty where that is not known.
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

// Plausible reports whether a revision may follow the one in force, which may be 0. A revision far beyond every clock is a mistake: if an
// agent took it, no room would be left above it. A revision higher than one that was already taken is always possible.
func Plausible(revision, inForce int64) bool {
	return revision > 0 && revision <= max(inForce, farFuture)+century
}

// clockSlip is how far, in milliseconds, a revision that a node reports may be ahead of the manager's clock. Nodes take revisions from
// managers, whose clocks can differ. A single agent that reports an arbitrary number must not use up the revisions of all.
const clockSlip = 24 * 60 * 60 * 1000

// Believed returns the highest revision of a node that a manager publishes above. It depends on the manager's clock, in Unix milliseconds,
// and on the revision that it has published.
func Believed(unixMilli, published int64) int64 {
	return max(unixMilli+clockSlip, published)
}

// NextRevision returns a revision above all known ones. It is one more than the highest, or the time in Unix milliseconds if that is
// higher, so that revisions grow even after somebody deleted the ConfigMap.
func NextRevision(unixMilli int64, known ...int64) int64 {
	next := unixMilli
	for _, k := range known {
		if k < lastPossible {
			next = max(next, k+1)
		}
	}
	return next
}

// Same reports whether an agent would keep the same content for two payloads that passed [Payload.Check].
func (p *Payload) Same(other *Payload) bool {
	return p.Revision == other.Revision && p.Digest == other.Digest && maps.Equal(p.Blockers, other.Blockers) && maps.Equal(p.Shadow, other.Shadow)
}

// Check verifies that the payload is complete: the digest matches the text, and the revision is a possible one. It fails with [ErrNewer] if
// this program cannot read the format.
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

// Annotations returns the ConfigMap's annotations in the form that [Read] reads.
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

// Data returns the ConfigMap's data and binaryData in the form that [Read] reads. It fails with [ErrTooLarge].
func (p Payload) Data() (data map[string]string, binaryData map[string][]byte, err error) {
	return p.dataWithin(maxPlain)
}

// dataWithin is Data with a limit for the size of the text.
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

// read takes the text that matches the digest, so that a key which somebody else added does no harm.
func read(cm *corev1.ConfigMap) (p Payload, err error) {
	if format, ok := cm.Annotations[FormatAnnotation]; ok {
		if p.Format, err = strconv.Atoi(format); err != nil {
			return Payload{}, fmt.Errorf("annotation %s: %w", FormatAnnotation, err)
		}
	}
	if p.Format > Format {
		return p, nil // [Payload.Check] refuses it; nothing is known of the rest
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

// HostPath is where an agent keeps the last payload that it accepted, below the host's root (N6).
const HostPath = "var/lib/mirrorset/payload.json"

// Marshal returns the payload in the form that an agent keeps on its node.
func (p Payload) Marshal() ([]byte, error) {
	return json.Marshal(p)
}

// Unmarshal reads the output of [Payload.Marshal] once [Payload.Check] has passed.
func Unmarshal(data []byte) (Payload, error) {
	var p Payload
	var wrong *json.UnmarshalTypeError // its message names our internal types
	switch err := json.Unmarshal(data, &p); {
	case errors.As(err, &wrong):
		return Payload{}, fmt.Errorf("%q is a %s, which is the wrong type", wrong.Field, wrong.Value)
	case err != nil:
		return Payload{}, err
	}
	return p, p.Check()
}
