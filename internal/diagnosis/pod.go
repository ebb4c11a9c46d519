// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package diagnosis

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
)

// The reasons of a container that waits for its image.
const (
	reasonErrImagePull     = "ErrImagePull"
	reasonImagePullBackOff = "ImagePullBackOff"
	reasonNeverPull        = "ErrImageNeverPull"
	reasonInvalidName      = "InvalidImageName"
	reasonInspect          = "ImageInspectError"
	reasonSignature        = "SignatureValidationFailed"
	reasonUnavailable      = "RegistryUnavailable"
)

// WaitsForImage reports whether a container's waiting reason is about its image.
func WaitsForImage(reason string) bool {
	return slices.Contains([]string{reasonErrImagePull, reasonImagePullBackOff, reasonNeverPull, reasonInvalidName, reasonInspect, reasonSignature, reasonUnavailable}, reason)
}

const noPart = "mirrors are not involved"

// unscheduled is for a Pod that no kubelet has taken.
func unscheduled(v *view) (*Finding, bool) {
	if v.Node.Name != "" {
		return nil, false
	}
	message := "the Pod is not scheduled to a node, so nothing is pulled; " + noPart
	if v.Node.Unscheduled != "" {
		message = fmt.Sprintf("the Pod is not scheduled to a node (%s), so nothing is pulled; %s", v.Node.Unscheduled, noPart)
	}
	return &Finding{Cause: NotScheduled, Message: message}, true
}

// notTheImage is for a container that waits for something else. It already has its image, or the kubelet has not reached it yet.
func notTheImage(v *view) (*Finding, bool) {
	if WaitsForImage(v.Container.Reason) || v.isPulling() {
		return nil, false
	}
	what := cmp.Or(v.Container.Reason, "the kubelet has not reported the reason")
	if v.Container.Message != "" {
		what += ": " + v.Container.Message
	} else if e := v.lastWarning(); e != nil && isBeforeImages(v.Container.Reason) {
		what += ", and the last warning is " + e.Reason + ": " + e.Message
	}
	if e := v.lastWarning(); e != nil && e.Reason == eventNoSandbox && isBeforeImages(v.Container.Reason) { // for which the runtime pulls an image too
		return &Finding{Cause: NotTheImage, Message: "the runtime cannot create the Pod's sandbox, which comes before the container's image: " + e.Message}, true
	}
	return &Finding{Cause: NotTheImage, Message: fmt.Sprintf("the container does not wait for its image (%s); %s", what, noPart)}, true
}

const eventNoSandbox = "FailedCreatePodSandBox"

// sandboxImage is what containerd says where it cannot get the image of the sandboxes.
var sandboxImage = regexp.MustCompile(`failed to get sandbox image "([^"]+)": (.*)`)

// Sandbox returns what stands for a container where the runtime cannot get the image that every Pod's sandbox has, by the events about the Pod, the
// oldest first.
func Sandbox(events []Event) (c Container, waits bool) {
	for i := len(events) - 1; i >= 0; i-- {
		if e := events[i]; e.OfPod && e.Warns {
			found := sandboxImage.FindStringSubmatch(cut(e.Message, longest))
			if e.Reason != eventNoSandbox || found == nil {
				return c, false
			}
			return Container{Name: "the Pod's sandbox", Image: found[1], Reason: reasonErrImagePull, Message: found[2]}, true
		}
	}
	return c, false
}

// isBeforeImages reports whether a reason means that the kubelet is still preparing the container.
func isBeforeImages(reason string) bool {
	return slices.Contains([]string{"", "ContainerCreating", "PodInitializing"}, reason)
}

// lastWarning returns the last warning about the Pod as a whole, as of a volume that cannot be mounted.
func (v *view) lastWarning() *Event {
	for i := len(v.Events) - 1; i >= 0; i-- {
		if e := &v.Events[i]; e.OfPod && e.Warns {
			return e
		}
	}
	return nil
}

// isPulling reports whether the first attempt is still running: the kubelet began it, and has not reported its end.
func (v *view) isPulling() bool {
	if !isBeforeImages(v.Container.Reason) {
		return false
	}
	is := false
	for _, e := range v.Events {
		if !e.OfPod && (e.Reason == eventPulling || e.Reason == eventPulled || e.Reason == eventFailed) {
			is = e.Reason == eventPulling && isAbout(e.Message, v.Container.Image)
		}
	}
	return is
}

// pulling is for an image that is being pulled.
func pulling(v *view) (*Finding, bool) {
	if !v.isPulling() {
		return nil, false
	}
	began := ""
	for _, e := range v.Events {
		if e.Reason == eventPulling && isAbout(e.Message, v.Container.Image) {
			began = " since " + clock(e.At)
		}
	}
	message := "the image is being pulled" + began + ", and the attempt has not ended"
	if tried := v.sayAll(); tried != "" {
		message += "; so far: " + tried
	}
	return &Finding{Cause: Pulling, Message: message, Remedy: "Run this command again after the attempt. A mirror that does not answer delays an attempt by ten seconds."}, true
}

// kubeletRefuses is for failures before any registry is contacted.
func kubeletRefuses(v *view) (*Finding, bool) {
	switch {
	case v.Container.Reason == reasonNeverPull:
		return &Finding{
			Cause: NeverPulled, Message: "imagePullPolicy of the container is Never, but the node does not have the image, or this Pod may not use it; " + noPart,
			Remedy: "Set imagePullPolicy to IfNotPresent, or load the image on the node.",
		}, true
	case v.Container.Reason == reasonInvalidName || v.ImageError != "":
		message := cmp.Or(v.ImageError, v.text, "the kubelet does not accept it")
		return &Finding{Cause: InvalidName, Message: "the image reference is invalid: " + message + "; " + noPart, Remedy: "Correct the image reference in the Pod, or in the object that creates the Pod."}, true
	case v.Container.Reason == reasonInspect:
		return &Finding{Cause: NodeTrouble, Message: "the node's runtime cannot find out if it has the image: " + v.text + "; " + noPart, Remedy: v.lookAtRuntime()}, true
	case v.Container.Reason == reasonSignature:
		return &Finding{
			Cause: NodeTrouble, Message: "the node's runtime does not accept the image's signature: " + v.text,
			Remedy: "Check the runtime's signature policy, /etc/containers/policy.json on the node, and where the signatures of the image are stored.",
		}, true
	}
	return nil, false
}

// when begins a sentence about the attempt.
func (v *view) when() string {
	if v.at().IsZero() {
		return "at the last attempt, "
	}
	return "at the last attempt, " + clock(v.at()) + ", "
}

// lookAtRuntime is where to find more details.
func (v *view) lookAtRuntime() string {
	unit := map[string]string{"containerd": "containerd", "CRI-O": "crio"}[v.Node.Runtime]
	if unit == "" {
		return "The log of the node's runtime has more details."
	}
	return fmt.Sprintf("The log of the runtime has more details; on node %s, run: journalctl -u %s --since=-10min", v.Node.Name, unit)
}
