// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package payload_test

import (
	"bytes"
	"compress/gzip"
	"errors"
	"math"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/mirrorset/mirrorset/internal/payload"
)

const revision = 1_800_000_000_000

var (
	small = []byte("# a registries.conf\n")
	large = bytes.Repeat([]byte("location = \"registry.example.com\"\n"), 100_000) // 3.4 MB
)

// published returns the ConfigMap of a payload.
func published(t *testing.T, p payload.Payload) *corev1.ConfigMap {
	t.Helper()
	data, binaryData, err := p.Data()
	if err != nil {
		t.Fatal(err)
	}
	return &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: payload.ConfigMapName, Annotations: p.Annotations()},
		Data:       data,
		BinaryData: binaryData,
	}
}

func wantSame(t *testing.T, got, want payload.Payload) {
	t.Helper()
	if got.Revision != want.Revision || got.Digest != want.Digest || !bytes.Equal(got.Text, want.Text) {
		t.Errorf("got revision %d, digest %s and %d bytes; want %d, %s and %d", got.Revision, got.Digest, len(got.Text), want.Revision, want.Digest, len(want.Text))
	}
}

func TestAPayloadComesBackOutOfItsConfigMap(t *testing.T) {
	for name, tc := range map[string]struct {
		text       []byte
		compressed bool
	}{
		"an empty text":                          {text: []byte{}},
		"a small text":                           {text: small},
		"the largest text that is stored as is":  {text: bytes.Repeat([]byte("x"), 900<<10)},
		"a text that is one byte larger":         {text: bytes.Repeat([]byte("x"), 900<<10+1), compressed: true},
		"a text larger than a ConfigMap may be":  {text: large, compressed: true},
		"the largest text that may be published": {text: make([]byte, 8<<20), compressed: true},
	} {
		t.Run(name, func(t *testing.T) {
			p := payload.New(revision, tc.text)
			cm := published(t, p)
			if _, ok := cm.BinaryData[payload.CompressedKey]; ok != tc.compressed || len(cm.Data)+len(cm.BinaryData) != 1 {
				t.Errorf("the ConfigMap has %d plain and %d binary keys", len(cm.Data), len(cm.BinaryData))
			}
			got, err := payload.Read(cm)
			if err != nil {
				t.Fatal(err)
			}
			wantSame(t, got, p)
		})
	}
}

func TestATextThatDoesNotFitIsRefused(t *testing.T) {
	noise := make([]byte, 1<<20)
	for i := range noise {
		noise[i] = byte(rand.Uint32()) // which gzip cannot make smaller
	}
	for name, text := range map[string][]byte{
		"a text that compression does not make smaller":  noise,
		"a text that is more than an agent would unpack": make([]byte, 8<<20+1),
	} {
		if _, _, err := payload.New(revision, text).Data(); !errors.Is(err, payload.ErrTooLarge) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAChangedConfigMapIsRefused(t *testing.T) {
	annotate := func(key, value string) func(*corev1.ConfigMap) {
		return func(cm *corev1.ConfigMap) { cm.Annotations[key] = value }
	}
	compressed := func(data []byte) func(*corev1.ConfigMap) {
		return func(cm *corev1.ConfigMap) { cm.BinaryData[payload.CompressedKey] = data }
	}
	const outOfRange, digest = "out of range", "the digest of the text is"
	for name, tc := range map[string]struct {
		text   []byte
		change func(*corev1.ConfigMap)
		want   string
	}{
		"the text has one byte more":        {small, func(cm *corev1.ConfigMap) { cm.Data[payload.Key] += "\n" }, digest},
		"the text is empty":                 {small, func(cm *corev1.ConfigMap) { cm.Data[payload.Key] = "" }, digest},
		"the text is gone":                  {small, func(cm *corev1.ConfigMap) { delete(cm.Data, payload.Key) }, "neither"},
		"the text has another key":          {small, func(cm *corev1.ConfigMap) { cm.Data = map[string]string{"registries.CONF": string(small)} }, "neither"},
		"the digest is another text's":      {small, annotate(payload.DigestAnnotation, payload.New(1, large).Digest), digest},
		"the digest has no algorithm":       {small, annotate(payload.DigestAnnotation, strings.TrimPrefix(payload.New(1, small).Digest, "sha256:")), digest},
		"the digest is in capitals":         {small, annotate(payload.DigestAnnotation, strings.ToUpper(payload.New(1, small).Digest)), digest},
		"the digest is gone":                {small, func(cm *corev1.ConfigMap) { delete(cm.Annotations, payload.DigestAnnotation) }, digest},
		"the revision is gone":              {small, func(cm *corev1.ConfigMap) { delete(cm.Annotations, payload.RevisionAnnotation) }, payload.RevisionAnnotation},
		"the revision is no number":         {small, annotate(payload.RevisionAnnotation, "latest"), payload.RevisionAnnotation},
		"the revision is a fraction":        {small, annotate(payload.RevisionAnnotation, "1.5"), payload.RevisionAnnotation},
		"the revision is more than 64 bits": {small, annotate(payload.RevisionAnnotation, "9223372036854775808"), payload.RevisionAnnotation},
		"the revision is zero":              {small, annotate(payload.RevisionAnnotation, "0"), outOfRange},
		"the revision is negative":          {small, annotate(payload.RevisionAnnotation, "-1"), outOfRange},
		"the revision is absurd":            {small, annotate(payload.RevisionAnnotation, "9223372036854775807"), outOfRange},
		"there are no annotations":          {small, func(cm *corev1.ConfigMap) { cm.Annotations = nil }, payload.RevisionAnnotation},
		"the format is newer":               {small, annotate(payload.FormatAnnotation, strconv.Itoa(payload.Format+1)), payload.ErrNewer.Error()},
		"the format is no number":           {small, annotate(payload.FormatAnnotation, "two"), payload.FormatAnnotation},
		"the compressed text is no gzip":    {large, compressed(small), payload.CompressedKey},
		"the compressed text is empty":      {large, compressed(nil), payload.CompressedKey},
		"the compressed text is another":    {large, compressed(pack(t, small)), digest},
		"the compressed text is cut short":  {large, func(cm *corev1.ConfigMap) { compressed(cm.BinaryData[payload.CompressedKey][:100])(cm) }, payload.CompressedKey},
		"the compressed text is a bomb":     {large, compressed(pack(t, make([]byte, 8<<20+1))), payload.ErrTooLarge.Error()},
		"a plain text replaces the larger":  {large, func(cm *corev1.ConfigMap) { cm.Data, cm.BinaryData = map[string]string{payload.Key: "x"}, nil }, digest},
		"a compressed text replaces the text": {small, func(cm *corev1.ConfigMap) {
			cm.Data = nil
			cm.BinaryData = map[string][]byte{payload.CompressedKey: pack(t, large)}
		}, digest},
	} {
		t.Run(name, func(t *testing.T) {
			cm := published(t, payload.New(revision, tc.text))
			tc.change(cm)
			got, err := payload.Read(cm)
			if err == nil || !strings.Contains(err.Error(), tc.want) || !strings.Contains(err.Error(), "ns/"+payload.ConfigMapName) {
				t.Errorf("error %v, want one with %q and the ConfigMap's name", err, tc.want)
			}
			if got.Text != nil || got.Revision != 0 {
				t.Errorf("the error comes with revision %d and %d bytes", got.Revision, len(got.Text))
			}
		})
	}
}

func pack(t *testing.T, text []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	_, err := w.Write(text)
	if err := errors.Join(err, w.Close()); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func TestWhatOthersAddDoesNoHarm(t *testing.T) {
	for name, tc := range map[string]struct {
		text []byte
		add  func(*corev1.ConfigMap)
	}{
		"another key":                           {small, func(cm *corev1.ConfigMap) { cm.Data["notes"] = "mine" }},
		"another binary key":                    {small, func(cm *corev1.ConfigMap) { cm.BinaryData = map[string][]byte{"x": {0}} }},
		"annotations":                           {small, func(cm *corev1.ConfigMap) { cm.Annotations["x"] = "y" }},
		"a plain text beside the compressed":    {large, func(cm *corev1.ConfigMap) { cm.Data = map[string]string{payload.Key: "mine"} }},
		"a compressed text beside the plain":    {small, func(cm *corev1.ConfigMap) { cm.BinaryData = map[string][]byte{payload.CompressedKey: pack(t, large)} }},
		"what is no gzip beside the plain text": {small, func(cm *corev1.ConfigMap) { cm.BinaryData = map[string][]byte{payload.CompressedKey: {1}} }},
	} {
		t.Run(name, func(t *testing.T) {
			p := payload.New(revision, tc.text)
			cm := published(t, p)
			tc.add(cm)
			got, err := payload.Read(cm)
			if err != nil {
				t.Fatal(err)
			}
			wantSame(t, got, p)
		})
	}
}

func TestRevisionsGrow(t *testing.T) {
	const now = revision
	for name, tc := range map[string]struct {
		known []int64
		want  int64
	}{
		"nothing is known":                          {nil, now},
		"the last one is older than the clock":      {[]int64{now - 5}, now},
		"the last one is of this millisecond":       {[]int64{now}, now + 1},
		"the clock went back":                       {[]int64{now + 1000}, now + 1001},
		"the highest of several counts":             {[]int64{now - 1, now + 7, now + 3}, now + 8},
		"the last one was damaged":                  {[]int64{0}, now},
		"the last one is far ahead but can be real": {[]int64{1 << 43}, 1<<43 + 1},
		"an absurd one is ignored":                  {[]int64{math.MaxInt64, now + 2}, now + 3},
		"one of centuries ahead counts":             {[]int64{15_120_573_022_209, now + 2}, 15_120_573_022_210},
		"one just out of range is ignored":          {[]int64{1 << 62, now + 2}, now + 3},
		"a negative one is ignored":                 {[]int64{math.MinInt64}, now},
	} {
		got := payload.NextRevision(now, tc.known...)
		if got != tc.want {
			t.Errorf("%s: got %d, want %d", name, got, tc.want)
		}
		if err := payload.New(got, small).Check(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestARevisionThatWasTakenCanBeExceeded(t *testing.T) {
	for _, inForce := range []int64{0, revision, 1 << 43, 1<<43 + 1<<40} {
		farthest := max(inForce, 1<<43) + 100*366*24*60*60*1000
		for candidate, want := range map[int64]bool{
			inForce + 1: true, farthest: true, farthest + 1: false, 1<<52 - 1: false, math.MaxInt64: false, 0: false, -1: false,
		} {
			if got := payload.Plausible(candidate, inForce); got != want {
				t.Errorf("%d behind %d: %t, want %t", candidate, inForce, got, want)
			}
		}
	}
}

func TestAnAgentsStateComesBack(t *testing.T) {
	p := payload.New(revision, large)
	data, err := p.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	got, err := payload.Unmarshal(data)
	if err != nil {
		t.Fatal(err)
	}
	wantSame(t, got, p)
}

func TestADamagedStateIsRefused(t *testing.T) {
	good, err := payload.New(revision, small).Marshal()
	if err != nil {
		t.Fatal(err)
	}
	for name, data := range map[string][]byte{
		"nothing":                     nil,
		"cut short":                   good[:len(good)-10],
		"zeros, as after a power cut": make([]byte, len(good)),
		"another digest":              bytes.Replace(good, []byte("sha256:"), []byte("sha256:0"), 1),
		"no revision":                 bytes.Replace(good, []byte(`"revision"`), []byte(`"rev"`), 1),
		"no text":                     bytes.Replace(good, []byte(`"text"`), []byte(`"t"`), 1),
	} {
		if _, err := payload.Unmarshal(data); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestTheFormatBeforeThereWereFormatsIsRead(t *testing.T) {
	want := payload.New(revision, small)
	cm := published(t, want)
	delete(cm.Annotations, payload.FormatAnnotation)
	got, err := payload.Read(cm)
	if err != nil {
		t.Fatal(err)
	}
	wantSame(t, got, want)
}

func TestAnAgentBeginsWithWhatANewerOneKept(t *testing.T) {
	want := payload.New(revision, small)
	want.Format = payload.Format + 1
	state, err := want.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	got, err := payload.Unmarshal(state)
	if err != nil {
		t.Fatal(err)
	}
	wantSame(t, got, want)
}
