// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package diagnosis

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// What is read of a message, and what is quoted of it, in bytes: its beginning and its end, where runtimes put what matters.
const (
	longest = 16 << 10
	quoted  = 500
)

// clean takes out of what the kubelet says what only root of the node is to know, so that nothing that is made of it can have that, and keeps it short enough
// to be searched: registries have a say in how long it is.
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

// hashes are digests, of which the beginning does for people.
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

// sayText says what the runtime said, and first what that tells of the source.
func (v *view) sayText() string {
	said := v.quote()
	if said == "" {
		return ""
	}
	for _, a := range v.answers {
		if a.isSource && a.state < blocked {
			return fmt.Sprintf("; %sthe source %s; %s", v.when(), a.saidOfSource(), said)
		}
	}
	return fmt.Sprintf("; %s%s", v.when(), said)
}

func oneLine(text string) string {
	return strings.Join(strings.Fields(text), " ")
}

// registrys begins what a registry, or the way to it, says in a runtime's message: containerd puts the status and the body there, and CRI-O's library what
// came of a manifest or blob that it read.
var registrys = regexp.MustCompile(`unexpected status |server message: |\(Mirrors also failed: |initializing source |pinging container registry |(reading|fetching) (manifest|blob) |happened during read: `)

// ownWords is what a runtime says of itself, in which no name of an image is.
func (v *view) ownWords() string {
	text := v.text
	if at := registrys.FindStringIndex(text); at != nil {
		text = text[:at[0]]
	}
	return v.nameless(text)
}
