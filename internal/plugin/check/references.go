// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package check

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/tools/pager"

	"github.com/mirrorset/mirrorset/internal/mirrors"
	"github.com/mirrorset/mirrorset/internal/plugin/cluster"
	"github.com/mirrorset/mirrorset/internal/plugin/output"
)

// references are the images asked for, each once, in the order of their names.
func (o *options) references(cmd *cobra.Command, images []string) ([]mirrors.Reference, error) {
	byName := make(map[string]mirrors.Reference)
	if o.images != "" {
		lines, err := linesOf(o.images, cmd.InOrStdin())
		if err != nil {
			return nil, err
		}
		images = append(images, lines...)
	}
	for _, image := range images {
		ref, err := mirrors.ParseReference(image)
		if err != nil {
			return nil, err
		}
		byName[ref.String()] = ref
	}
	if o.pods {
		c, err := o.cluster.Connect()
		if err != nil {
			return nil, err
		}
		running, err := runningImages(cmd.Context(), c)
		if err != nil {
			return nil, err
		}
		for _, ref := range running {
			if ref.Mode == mirrors.ByDigest {
				byName[ref.String()] = ref
			}
		}
		o.tagsOfPods = slices.DeleteFunc(running, func(ref mirrors.Reference) bool {
			_, checked := byName[ref.String()]
			return checked
		})
	}
	if len(byName) == 0 {
		return nil, errors.New("there is no image to check: name some, or see --images and --pods")
	}
	references := make([]mirrors.Reference, 0, len(byName))
	for _, name := range slices.Sorted(maps.Keys(byName)) {
		references = append(references, byName[name])
	}
	return references, nil
}

// linesOf reads a file of images, or standard input for "-". Empty lines and those that begin with # are passed over.
func linesOf(name string, stdin io.Reader) (lines []string, err error) {
	in, shown := stdin, "standard input"
	if name != "-" {
		file, err := os.Open(name)
		if err != nil {
			return nil, output.PrintablePath(err)
		}
		defer func() { _ = file.Close() }() // it was only read
		in, shown = file, output.Printable(name)
	}
	scanner, number := bufio.NewScanner(in), 1
	for ; scanner.Scan(); number++ {
		line := scanner.Text()
		if number == 1 {
			line = strings.TrimPrefix(line, "\ufeff") // editors mark UTF-8 with it
		}
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
			lines = append(lines, line)
		}
	}
	if err := scanner.Err(); err != nil {
		return nil, fmt.Errorf("%s: line %d: %w", shown, number, err)
	}
	return lines, nil
}

// runningImages returns what Pods of all namespaces run: as their specs name it, and by digest as the runtimes report it.
func runningImages(ctx context.Context, c *cluster.Cluster) (images []mirrors.Reference, err error) {
	page := func(ctx context.Context, options metav1.ListOptions) (runtime.Object, error) {
		return c.Client.CoreV1().Pods(metav1.NamespaceAll).List(ctx, options)
	}
	err = pager.New(page).EachListItem(ctx, metav1.ListOptions{}, func(object runtime.Object) error {
		pod, ok := object.(*corev1.Pod)
		if !ok {
			return fmt.Errorf("a list of %T", object)
		}
		for _, image := range namedIn(&pod.Spec) {
			if ref, err := mirrors.ParseReference(image); err == nil { // what a Pod names need be no reference
				images = append(images, ref)
			}
		}
		for _, image := range reportedIn(&pod.Status) {
			if ref, err := mirrors.ParseReference(image); err == nil && ref.Mode == mirrors.ByDigest { // nor need an image ID
				images = append(images, ref)
			}
		}
		return nil
	})
	return images, err
}

// namedIn returns all that a Pod is to run.
func namedIn(spec *corev1.PodSpec) (images []string) {
	for _, containers := range [][]corev1.Container{spec.InitContainers, spec.Containers} {
		for i := range containers {
			images = append(images, containers[i].Image)
		}
	}
	for i := range spec.Volumes {
		if volume := spec.Volumes[i].Image; volume != nil {
			images = append(images, volume.Reference)
		}
	}
	for i := range spec.EphemeralContainers {
		images = append(images, spec.EphemeralContainers[i].Image)
	}
	return images
}

// reportedIn returns all that a Pod runs.
func reportedIn(status *corev1.PodStatus) (images []string) {
	for _, statuses := range [][]corev1.ContainerStatus{status.InitContainerStatuses, status.ContainerStatuses, status.EphemeralContainerStatuses} {
		for i := range statuses {
			images = append(images, strings.TrimPrefix(statuses[i].ImageID, "docker-pullable://"))
		}
	}
	return images
}
