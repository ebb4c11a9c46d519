// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/mirrorset/mirrorset/internal/payload"
	"github.com/mirrorset/mirrorset/test/cluster"
)

// mountedChanges is how many changes are followed. Each takes as long as kubelet takes to come round to the volume, a minute or more.
const mountedChanges = 3

// mounting is a Pod that mounts the ConfigMap, as nodes would have it without agents.
const mounting = `apiVersion: v1
kind: Pod
metadata: {name: mounting, namespace: mirrorset-system}
spec:
  containers:
  - {name: main, image: %s, volumeMounts: [{name: rules, mountPath: /rules}]}
  volumes: [{name: rules, configMap: {name: %s}}]
`

var _ = Describe("a ConfigMap that a Pod mounts", Label("mounted"), Serial, func() {
	It("has each change, as the agent's file has, and both times are taken", func(ctx SpecContext) {
		m := mirrorset(ctx)
		DeferCleanup(func(ctx SpecContext) {
			m.kubectl(ctx, "delete", "--ignore-not-found", "idms/mounted")
			m.kubectl(ctx, "-n", "mirrorset-system", "delete", "--ignore-not-found", "pod/mounting")
		}, cleanUpTimeout)
		m.apply(ctx, set("mounted", "registry.example.com", "mirror.example.com/0"))
		m.kubectl(ctx, "wait", "--for=condition=Applied", kubectlTimeout, "idms/mounted")
		m.apply(ctx, fmt.Sprintf(mounting, cluster.PauseImage, payload.ConfigMapName))
		m.kubectl(ctx, "-n", "mirrorset-system", "wait", "--for=condition=Ready", kubectlTimeout, "pod/mounting")
		uid := m.kubectl(ctx, "-n", "mirrorset-system", "get", "pod", "mounting", "-o", "jsonpath={.metadata.uid}")
		type way struct {
			name, file string
			took       []float64
		}
		ways := []*way{ // the later one last
			{name: "mirrorset", file: m.Path(dropIn)},
			{name: "volume", file: m.Path(filepath.Join("/var/lib/kubelet/pods", uid, "volumes/kubernetes.io~configmap/rules", payload.Key))},
		}
		for i := range mountedChanges {
			mirror := fmt.Sprint("mirror.example.com/", i+1)
			began := time.Now()
			m.apply(ctx, set("mounted", "registry.example.com", mirror))
			for _, w := range ways {
				Expect(awaitText(ctx, w.file, mirror)).To(Succeed(), w.name)
				w.took = append(w.took, float64(time.Since(began).Microseconds())/1000)
			}
		}
		for _, w := range ways {
			fmt.Printf("\nBenchmarkMounted/way=%s %d %.1f p50-ms\n", w.name, mountedChanges, rank(w.took, 0.5))
		}
	}, SpecTimeout(15*time.Minute))
})

// awaitText waits until a file has a text.
func awaitText(ctx context.Context, file, text string) error {
	for {
		content, err := os.ReadFile(file)
		if err == nil && strings.Contains(string(content), text) {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s: %w", file, errors.Join(ctx.Err(), err))
		case <-time.After(time.Millisecond):
		}
	}
}
