// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package diagnosis_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/mirrorset/mirrorset/internal/accesslog"
	"github.com/mirrorset/mirrorset/internal/diagnosis"
)

// What has nothing to do with mirrors is said to have nothing to do with them.
func TestWhatThePodSaysItselfTellsTheCause(t *testing.T) {
	is := func(reason, message string, events ...diagnosis.Event) func(*diagnosis.Case) {
		return func(c *diagnosis.Case) {
			c.Container.Reason, c.Container.Message = reason, message
			c.Events = append([]diagnosis.Event{}, events...)
		}
	}
	pulling := diagnosis.Event{Reason: "Pulling", Message: `Pulling image "` + byDigest + `"`, At: now}
	const noPart = "mirrors are not involved"
	for name, tt := range map[string]struct {
		c     diagnosis.Case
		cause diagnosis.Cause
		texts []string
	}{
		"on no node": {
			fails("", is("", ""), func(c *diagnosis.Case) { c.Node = diagnosis.Node{Unscheduled: "0/3 nodes are available"} }),
			diagnosis.NotScheduled, []string{"0/3 nodes are available", noPart},
		},
		"a volume that cannot be mounted": {
			fails("", is("ContainerCreating", "", diagnosis.Event{Reason: "FailedMount", Message: "no such secret", OfPod: true, Warns: true, At: now})),
			diagnosis.NotTheImage, []string{"FailedMount: no such secret", noPart},
		},
		"a sandbox that cannot be made": {
			fails("", is("ContainerCreating", "", diagnosis.Event{Reason: "FailedCreatePodSandBox", Message: "no network", OfPod: true, Warns: true, At: now})),
			diagnosis.NotTheImage, []string{"the runtime cannot create the Pod's sandbox", "no network", "!" + noPart},
		},
		"a program that crashes":       {fails("", is("CrashLoopBackOff", "back-off 10s restarting failed container")), diagnosis.NotTheImage, []string{"CrashLoopBackOff", noPart}},
		"a container before its turn":  {fails("", is("PodInitializing", "")), diagnosis.NotTheImage, []string{"PodInitializing"}},
		"the policy Never":             {fails("", is("ErrImageNeverPull", "Container image is not present with pull policy of Never")), diagnosis.NeverPulled, []string{noPart, "imagePullPolicy"}},
		"a name that is none":          {fails("", image("quay.io/UPPER"), is("InvalidImageName", "couldn't parse image name")), diagnosis.InvalidName, []string{"quay.io/UPPER", noPart}},
		"a signature that is not good": {fails("", is("SignatureValidationFailed", "image pull failed because the signature validation failed")), diagnosis.NodeTrouble, []string{"policy.json"}},
		"an image that cannot be seen": {fails("", is("ImageInspectError", "Failed to inspect image")), diagnosis.NodeTrouble, []string{noPart}},
		"a full disk":                  {fails("failed to pull and unpack image: write /var/lib/containerd/x: no space left on device", by(t, closed)), diagnosis.NodeTrouble, []string{"no space left on device", noPart}},
		"a kubelet that waits":         {fails("pull QPS exceeded", by(t, closed)), diagnosis.NodeTrouble, []string{"pull QPS exceeded"}},
		"another platform": {
			fails("failed to pull and unpack image: no match for platform in manifest sha256:01: not found", by(t, closed), saw("", try(first, accesslog.Served, ""))),
			diagnosis.WrongPlatform, []string{"as mirror " + first + " had it"},
		},
		"CRI-O's word for that":        {fails(`choosing image instance: no image found in image index for architecture "arm64", variant "v8", OS "linux"`, crio, by(t, closed)), diagnosis.WrongPlatform, nil},
		"an image on its way":          {fails("", by(t, closed), is("ContainerCreating", "", pulling), saw("", try(first, accesslog.Silent, ""))), diagnosis.Pulling, []string{"since 2026-11-29T18:00:50Z", "so far: mirror " + first + " did not answer in time"}},
		"one without a tag on its way": {fails("", image("quay.io/team/app"), is("ContainerCreating", "", diagnosis.Event{Reason: "Pulling", Message: `Pulling image "quay.io/team/app:latest"`, At: now})), diagnosis.Pulling, nil},
		"an image that has come":       {fails("", is("ContainerCreating", "", pulling, diagnosis.Event{Reason: "Pulled", At: at(1)})), diagnosis.NotTheImage, nil},
		"an image of another one":      {fails("", is("ContainerCreating", "", diagnosis.Event{Reason: "Pulling", Message: `Pulling image "other"`, At: now})), diagnosis.NotTheImage, nil},
	} {
		t.Run(name, func(t *testing.T) { want(t, diagnosis.Diagnose(tt.c), []diagnosis.Cause{tt.cause}, tt.texts...) })
	}
}

// Only root of the node is to know the element in the redirector's paths (N10). Whoever reads the answer need not be.
func TestNoAnswerHasTheRedirectorsElement(t *testing.T) {
	const secret = "00112233445566778899aabbccddeeff"
	texts := []string{ // a kubelet cuts long ones off
		`Head "http://127.0.0.1:289/v2/_mirrorset/` + secret + `/source/team/app/manifests/1": dial tcp 127.0.0.1:289: connect: connection refused`,
		`Head "http://127.0.0.1:289/v2/_mirrorset/` + secret[:30], refusal(""),
		strings.Repeat("x", 12000) + "/v2/_mirrorset/" + secret + "/" + strings.Repeat("y", 6525), // and what is too long is cut within it
	}
	for _, reason := range []string{"ErrImagePull", "ImagePullBackOff", "ImageInspectError", "SignatureValidationFailed", "RegistryUnavailable", "InvalidImageName", "CreateContainerError", "ContainerCreating"} {
		for _, text := range texts {
			for what, change := range map[string]func(*diagnosis.Case){
				"the state": func(c *diagnosis.Case) { c.Container.Message = text },
				"an event":  func(c *diagnosis.Case) { c.Container.Message = "" },
				"one of the Pod": func(c *diagnosis.Case) {
					c.Events = []diagnosis.Event{{Reason: "FailedCreatePodSandBox", Message: text, OfPod: true, Warns: true}}
				},
				"one of no agent": func(c *diagnosis.Case) { c.Node.HasAgent = false },
				"a broken name":   func(c *diagnosis.Case) { c.Container.Image = "quay.io/UPPER" },
			} {
				c := fails(text, by(t, open), change, func(c *diagnosis.Case) { c.Container.Reason = reason })
				d := diagnosis.Diagnose(c)
				if all := fmt.Sprint(d); strings.Contains(all, secret[:8]) || strings.Contains(all, secret[8:16]) {
					t.Errorf("%s, %s, %.60s: %s", reason, what, text, all)
				}
			}
		}
	}
	c := fails(texts[0])
	if diagnosis.Diagnose(c); !strings.Contains(c.Events[1].Message, secret) {
		t.Error("the case of whoever asks was changed")
	}
}

func TestTheImageOfSandboxesIsOneToo(t *testing.T) {
	event := diagnosis.Event{Reason: "FailedCreatePodSandBox", OfPod: true, Warns: true, Message: `Failed to create pod sandbox: rpc error: code = NotFound desc = failed to start sandbox "0123": failed to get sandbox image "registry.k8s.io/pause:3.10": failed to pull image "registry.k8s.io/pause:3.10": not found`}
	c, waits := diagnosis.Sandbox([]diagnosis.Event{event})
	if !waits || c.Image != "registry.k8s.io/pause:3.10" || !diagnosis.WaitsForImage(c.Reason) || c.Message != `failed to pull image "registry.k8s.io/pause:3.10": not found` {
		t.Errorf("%+v, %t", c, waits)
	}
	for _, later := range []diagnosis.Event{{Reason: "FailedMount", OfPod: true, Warns: true}, {Reason: "FailedCreatePodSandBox", OfPod: true, Warns: true, Message: "no network"}} {
		if c, waits := diagnosis.Sandbox([]diagnosis.Event{event, later}); waits {
			t.Errorf("%+v", c)
		}
	}
}

func TestCausesAreDifferent(t *testing.T) {
	all := diagnosis.Causes()
	slices.Sort(all)
	if n := len(slices.Compact(slices.Clone(all))); n != len(all) {
		t.Errorf("%d of %d", n, len(all))
	}
}
