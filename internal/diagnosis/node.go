// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package diagnosis

import (
	"regexp"
	"strings"
)

// These match failures of the node itself, which do not depend on the place that the image comes from.
var (
	nodesOwn = regexp.MustCompile(`no space left on device|pull QPS exceeded|disk quota exceeded|read-only file system|input/output error|dial unix \S+`)
	stored   = regexp.MustCompile(`failed to get reader from content store|(failed|unable) to prepare extraction snapshot|failed to (stat|commit) snapshot`)
	unpacked = regexp.MustCompile(`failed to extract layer|wrong diff id|number of layers and diffIDs don't match|unmarshal image config|adding layer with blob|unpacking failed|invalid tar header`)
	platform = regexp.MustCompile(`no match for platform in manifest|no image found in (image index|manifest list) for architecture`)
)

// nothingToDoWithMirrors is for an attempt that failed because of the node, or because of the content of the image.
func nothingToDoWithMirrors(v *view) (*Finding, bool) {
	trouble := func(what, remedy string) (*Finding, bool) {
		return &Finding{Cause: NodeTrouble, Message: v.when() + what + ", and " + noPart + "; " + v.quote(), Remedy: remedy}, true
	}
	own := v.ownWords()
	look := "Look at the node: kubectl describe node " + v.Node.Name
	if found := nodesOwn.FindString(own); found != "" {
		return trouble("the node could not store the image ("+strings.TrimSuffix(found, ":")+")", look+"\n"+v.lookAtRuntime())
	}
	if found := stored.FindString(own); found != "" {
		return trouble("the node's runtime could not process the content that it had pulled ("+found+")",
			look+"\n"+v.lookAtRuntime()+"\nIf its store is damaged, remove the image from it: on the node, run crictl rmi "+v.Image.String())
	}
	if found := unpacked.FindString(own); found != "" {
		return trouble("the node's runtime could not unpack the content that it had pulled ("+found+"), and the content matches its digest: either the image or the node is broken",
			"Pull the image on another node. If that fails as well, build the image again. If it succeeds: "+v.lookAtRuntime())
	}
	if found := platform.FindString(v.nameless(v.text)); found != "" {
		from := ""
		if served := v.placesIn(has); len(served) > 0 {
			from = ", as " + strings.Join(served, " and ") + " had it,"
		}
		return &Finding{
			Cause: WrongPlatform, Message: v.when() + "the image" + from + " has no content for the platform of the node (" + found + "); " + v.quote(),
			Remedy: "If a mirror has a copy for fewer platforms than the source, copy all platforms. To see what each place has, run: kubectl mirrors check " + v.Image.String(),
		}, true
	}
	return nil, false
}
