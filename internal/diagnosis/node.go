// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package diagnosis

import (
	"regexp"
	"strings"
)

// What fails on the node, wherever the image comes from.
var (
	nodesOwn = regexp.MustCompile(`no space left on device|pull QPS exceeded|disk quota exceeded|read-only file system|input/output error|dial unix \S+`)
	stored   = regexp.MustCompile(`failed to get reader from content store|(failed|unable) to prepare extraction snapshot|failed to (stat|commit) snapshot`)
	unpacked = regexp.MustCompile(`failed to extract layer|wrong diff id|number of layers and diffIDs don't match|unmarshal image config|adding layer with blob|unpacking failed|invalid tar header`)
	platform = regexp.MustCompile(`no match for platform in manifest|no image found in (image index|manifest list) for architecture`)
)

// nothingToDoWithMirrors is for an attempt that failed by the node, or by what the image is.
func nothingToDoWithMirrors(v *view) (*Finding, bool) {
	trouble := func(what, remedy string) (*Finding, bool) {
		return &Finding{Cause: NodeTrouble, Message: v.when() + what + "; " + noPart + "; " + v.quote(), Remedy: remedy}, true
	}
	own := v.ownWords()
	look := "Look at the node: kubectl describe node " + v.Node.Name
	if found := nodesOwn.FindString(own); found != "" {
		return trouble("the node could not take the image ("+strings.TrimSuffix(found, ":")+")", look+"\n"+v.lookAtRuntime())
	}
	if found := stored.FindString(own); found != "" {
		return trouble("the node's runtime could not handle what it had fetched ("+found+")",
			look+"\n"+v.lookAtRuntime()+"\nIf its store is damaged, take the image out of it: on the node, crictl rmi "+v.Image.String())
	}
	if found := unpacked.FindString(own); found != "" {
		return trouble("the node's runtime could not unpack what it had fetched ("+found+"), which has the digest that it is to have: the image itself is broken, or the node is",
			"Have another node pull it. Where that fails as well, make the image anew. Where it does not: "+v.lookAtRuntime())
	}
	if found := platform.FindString(v.nameless(v.text)); found != "" {
		from := ""
		if served := v.placesIn(has); len(served) > 0 {
			from = ", as " + strings.Join(served, " and ") + " had it,"
		}
		return &Finding{
			Cause: WrongPlatform, Message: v.when() + "the image" + from + " had nothing for the platform of the node (" + found + "); " + v.quote(),
			Remedy: "Where a mirror has a copy for fewer platforms than the source, copy all of them: kubectl mirrors check " + v.Image.String() + " says what each place has.",
		}, true
	}
	return nil, false
}
