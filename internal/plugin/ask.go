// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package plugin

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/tools/pager"

	"github.com/mirrorset/mirrorset/internal/mirrors"
	"github.com/mirrorset/mirrorset/internal/plugin/output"
)

// asker asks registries for manifests.
type asker struct {
	parallel int
	timeout  time.Duration // of one question
	progress io.Writer     // told how far it is, if it is a terminal
	logins   *credentials
}

// ask fills in the results that are still open. The places are asked at the same time, and each one once.
func (a asker) ask(ctx context.Context, images []checkedImage) {
	type question struct {
		location string
		insecure bool
	}
	open := make(map[question][]*checkedPlace)
	var questions []question
	for i := range images {
		for j := range images[i].Places {
			if p := &images[i].Places[j]; p.Result == "" {
				q := question{p.Location, p.insecure}
				if open[q] == nil {
					questions = append(questions, q)
				}
				open[q] = append(open[q], p)
			}
		}
	}
	live, asked := output.NewLiveLine(a.progress), 0
	var mu sync.Mutex
	var all sync.WaitGroup
	turns := make(chan struct{}, a.parallel)
	for _, q := range questions {
		turns <- struct{}{}
		all.Go(func() {
			result, message := a.has(ctx, q.location, q.insecure)
			<-turns
			mu.Lock()
			defer mu.Unlock()
			for _, p := range open[q] {
				p.Result, p.Message = result, message
			}
			asked++
			live.Show(fmt.Sprintf("%d of %d places asked", asked, len(questions)))
		})
	}
	all.Wait()
	live.Clear()
}

// has asks one place whether it has a manifest, as a runtime would: what the answer to HEAD leaves open, GET has to tell.
func (a asker) has(ctx context.Context, location string, insecure bool) (presence, string) {
	var options []name.Option
	if insecure {
		options = append(options, name.Insecure)
	}
	ref, err := name.ParseReference(location, options...)
	if err != nil {
		return noAnswer, err.Error()
	}
	repository, _, _ := strings.Cut(location, "@")
	login, err := a.logins.of(ctx, repository)
	if err != nil {
		return noAnswer, err.Error()
	}
	ctx, cancel := context.WithTimeoutCause(ctx, a.timeout, fmt.Errorf("no answer within %s", a.timeout))
	defer cancel()
	through := newTransport(insecure)
	// Once, because a second try would hide in the timeout what the first one came to.
	puller, err := remote.NewPuller(remote.WithAuth(authn.FromConfig(login)), remote.WithTransport(through),
		remote.WithRetryBackoff(remote.Backoff{Steps: 1}), remote.WithRetryStatusCodes())
	if err != nil {
		return noAnswer, err.Error()
	}
	if _, err = puller.Head(ctx, ref); err != nil && isOpen(err) {
		_, err = puller.Get(ctx, ref)
	}
	var status *transport.Error
	switch {
	case err == nil:
		return isThere, ""
	case errors.As(err, &status) && status.StatusCode == http.StatusNotFound && isOfManifest(status):
		return isMissing, ""
	case errors.As(err, &status) && isRefusal(status):
		return noAnswer, http.StatusText(status.StatusCode) + ": it takes none of the credentials that podman login and docker login left"
	case ctx.Err() != nil:
		return noAnswer, context.Cause(ctx).Error()
	}
	return noAnswer, through.reason(err).Error()
}

// isOpen tells whether GET could have what HEAD did not: a registry need not answer HEAD, or not with all headers.
func isOpen(err error) bool {
	var unanswered *url.Error
	var status *transport.Error
	if errors.As(err, &status) {
		return isOfManifest(status) && !isRefusal(status)
	}
	return !errors.As(err, &unanswered)
}

// isOfManifest tells whether the answer is about the image, and not one of what is asked before.
func isOfManifest(status *transport.Error) bool {
	return status.Request != nil && strings.Contains(status.Request.URL.Path, "/manifests/")
}

func isRefusal(status *transport.Error) bool {
	return status.StatusCode == http.StatusUnauthorized || status.StatusCode == http.StatusForbidden
}

// runningImages returns what Pods of all namespaces run by digest: as their specs name it, and as the runtimes report it.
func (c *cluster) runningImages(ctx context.Context) (images []mirrors.Reference, err error) {
	page := func(ctx context.Context, options metav1.ListOptions) (runtime.Object, error) {
		return c.client.CoreV1().Pods(metav1.NamespaceAll).List(ctx, options)
	}
	err = pager.New(page).EachListItem(ctx, metav1.ListOptions{}, func(object runtime.Object) error {
		pod, ok := object.(*corev1.Pod)
		if !ok {
			return fmt.Errorf("a list of %T", object)
		}
		for _, image := range imagesOf(pod) {
			ref, err := mirrors.ParseReference(image)
			if err == nil && ref.ByDigest { // an image ID need be no reference
				images = append(images, ref)
			}
		}
		return nil
	})
	return images, err
}

// imagesOf returns all that can be the reference of an image.
func imagesOf(pod *corev1.Pod) (images []string) {
	for _, containers := range [][]corev1.Container{pod.Spec.InitContainers, pod.Spec.Containers} {
		for i := range containers {
			images = append(images, containers[i].Image)
		}
	}
	for i := range pod.Spec.Volumes {
		if volume := pod.Spec.Volumes[i].Image; volume != nil {
			images = append(images, volume.Reference)
		}
	}
	for i := range pod.Spec.EphemeralContainers {
		images = append(images, pod.Spec.EphemeralContainers[i].Image)
	}
	for _, statuses := range [][]corev1.ContainerStatus{pod.Status.InitContainerStatuses, pod.Status.ContainerStatuses, pod.Status.EphemeralContainerStatuses} {
		for i := range statuses {
			images = append(images, strings.TrimPrefix(statuses[i].ImageID, "docker-pullable://"))
		}
	}
	return images
}
