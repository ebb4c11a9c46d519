// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package operand

import (
	"path"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/mirrorset/mirrorset/internal/agent/running"
)

// TestAnAgentSeesWhatContainersRunAndCannotChangeIt holds the folders of containers, whose file systems are mounted below them, to be read only.
func TestAnAgentSeesWhatContainersRunAndCannotChangeIt(t *testing.T) {
	for config, want := range map[string]string{
		"/etc/containerd/config.toml":                            "/run/containerd",
		"/var/lib/rancher/k3s/agent/etc/containerd/config.toml":  "/run/k3s/containerd",
		"/var/lib/rancher/rke2/agent/etc/containerd/config.toml": "/run/k3s/containerd",
		"/etc/k0s/containerd.toml":                               "/run/k0s/containerd",
		"/var/snap/microk8s/current/args/containerd.toml":        "/var/snap/microk8s/common/run/containerd",
	} {
		manager := &appsv1.Deployment{}
		manager.Spec.Template.Spec.Containers = []corev1.Container{{Image: "i"}}
		d, err := (&Operand{Namespace: "n", Settings: AgentSettings{ContainerdConfig: config}}).daemonSet(manager)
		if err != nil {
			t.Fatal(err)
		}
		volumes := map[string]string{"/host/" + running.ContainerdDir: want + strings.TrimPrefix(running.ContainerdDir, "run/containerd"), "/host/" + running.CRIODir: "/" + running.CRIODir}
		pod := d.Spec.Template.Spec
		for _, m := range pod.Containers[0].VolumeMounts {
			place, ok := volumes[*m.MountPath]
			if !ok {
				if strings.HasPrefix(*m.MountPath, "/host/run") {
					t.Errorf("%s is mounted, too", *m.MountPath)
				}
				continue
			}
			delete(volumes, *m.MountPath)
			if m.ReadOnly == nil || !*m.ReadOnly || m.RecursiveReadOnly == nil || *m.RecursiveReadOnly != corev1.RecursiveReadOnlyIfPossible || m.MountPropagation != nil {
				t.Errorf("%s can be written: %+v", *m.MountPath, m)
			}
			for _, v := range pod.Volumes {
				if *v.Name == *m.Name && (path.Clean(*v.HostPath.Path) != place || *v.HostPath.Type != corev1.HostPathDirectoryOrCreate) {
					t.Errorf("with %s, %s is %s (%s), want %s", config, *m.MountPath, *v.HostPath.Path, *v.HostPath.Type, place)
				}
			}
		}
		if len(volumes) > 0 {
			t.Errorf("with %s, these are not mounted: %v", config, volumes)
		}
	}
}
