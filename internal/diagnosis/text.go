// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package diagnosis

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// How much of a message is read, and how much is quoted, in bytes. The beginning and the end are kept, because runtimes put the important
// parts there.
const (
	longest = 16 << 10
	quoted  = 500
)

// clean removes from the kubelet's messages what only root on the node may know, so that nothing made from them contains it. It also
// shortens the messages so that they can be searched, because registries influence their length.
func (c *Case) clean() {
	c.Container.Message = cut(harmless(c.Container.Message), longest)
	c.Events = slices.Clone(c.Events)
	for i := range c.Events {
		c.Events[i].Message = cut(harmless(c.Events[i].Message), longest)
	}
}

// cut takes the middle out of a text that is too long.
func cut(text string, most int) string {
	if len(text) <= most {
		return text
	}
	head := most * 3 / 5
	return strings.ToValidUTF8(text[:head], "") + " ... " + strings.ToValidUTF8(text[len(text)-(most-head):], "")
}

// begins is what containerd puts before each failure of a pull. It says no more than the image's name.
var begins = regexp.MustCompile(`^(rpc error: code = \w+ desc = )?(failed to pull and unpack image "[^"]*": )?(failed to resolve reference "[^"]*": )?`)

// hashes are digests. Their beginning is enough for people.
var hashes = regexp.MustCompile(`\b(sha256:[0-9a-f]{8})[0-9a-f]{56}\b`)

// quote says what the runtime said, cut to what can be read.
func (v *view) quote() string {
	said := oneLine(v.text)
	said = strings.TrimPrefix(said, begins.FindString(said))
	said = cut(hashes.ReplaceAllString(said, "$1.."), quoted)
	if said == "" {
		return ""
	}
	return "the runtime said: " + said
}

// sayText quotes the runtime, after the conclusion about the source.
func (v *view) sayText() string {
	said := v.quote()
	if said == "" {
		return ""
	}
	for _, a := range v.answers {
		if a.isSource && a.state < blocked {
			return fmt.Sprintf("; %sthe source %s, and %s", v.when(), a.saidOfSource(), said)
		}
	}
	return fmt.Sprintf("; %s%s", v.when(), said)
}

func oneLine(text string) string {
	return strings.Join(strings.Fields(text), " ")
}

// registrys matches the beginning of a text from a registry, or from the connection to it, in a runtime's message. containerd puts the
// status and the body there. CRI-O's library puts the result of reading a manifest or a blob there.
var registrys = regexp.MustCompile(`unexpected status |server message: |\(Mirrors also failed: |initializing source |pinging container registry |(reading|fetching) (manifest|blob) |happened during read: `)

// ownWords is the runtime's own part of the message, without names of images.
func (v *view) ownWords() string {
	text := v.text
	if at := registrys.FindStringIndex(text); at != nil {
		text = text[:at[0]]
	}
	return v.nameless(text)
}
