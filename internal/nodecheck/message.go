// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package nodecheck

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// reasons returns the reasons of the verdicts, each once, in their order.
func (j *judgement) reasons() (found []Reason) {
	for _, v := range j.verdicts {
		if v.reason != "" && !slices.Contains(found, v.reason) {
			found = append(found, v.reason)
		}
	}
	return found
}

// problem makes one problem of the verdicts that have a reason. If not all have it, the version decides.
func (j *judgement) problem(reason Reason) Problem {
	p := Problem{Reason: reason, Runtime: Containerd, Effect: Mild}
	unread, holds := make([]bool, len(j.dialects)), make([]bool, len(j.dialects))
	var worst verdict
	for i, v := range j.verdicts {
		holds[i] = v.reason == reason
		unread[i] = holds[i] && v.effect == Unread
		if holds[i] && (worst.reason == "" || v.effect >= worst.effect) {
			worst = v
		}
	}
	if worst.effect == Unread {
		holds, p.Effect = unread, Unsure
		if !slices.ContainsFunc(j.verdicts, func(v verdict) bool { return v.effect != Unread }) {
			p.Effect = Unread
		}
	}
	if p.Effect == Unread && slices.ContainsFunc(j.verdicts, func(v verdict) bool { return v.path == "" }) {
		worst.detail = cmp.Or(worst.detail, "none") // some have no default
	}
	p.Message, p.Remedy = j.message(&worst), j.remedy(&worst)
	if versions := among(j.dialects, holds); versions != "" {
		p.Message += fmt.Sprintf(" (containerd %s)", versions)
	}
	return p
}

// message is one sentence about the behavior of the versions concerned.
func (j *judgement) message(v *verdict) string {
	at := where(j.files)
	in := "/" + clip(at.path)
	switch v.reason {
	case ContainerdCRIDisabled:
		return fmt.Sprintf("/%s disables the CRI plugin, so the kubelet cannot pull images with containerd", j.ContainerdConfig)
	case ContainerdRegistryConflict:
		return fmt.Sprintf("/%s sets registry.%s as well as config_path = %s, and with both containerd does not load its CRI plugin", clip(olderSettings(j.files).path), v.detail, quote(v.path))
	case ContainerdConfigPathElsewhere:
		return fmt.Sprintf("%s sets config_path = %s, but Mirrorset writes hosts.toml files to %s", in, quote(v.path), quote(j.CertsDir))
	case ContainerdConfigPathJoined:
		return fmt.Sprintf("%s sets config_path = %s, %s", in, quote(v.path), joined(v))
	}
	switch {
	case strings.Join(at.Plugins.paths(), "") != "" && at.Version < 2:
		return fmt.Sprintf("%s sets a config_path, but not version = 2 or later; containerd ignores the config_path without it, and reads no hosts.toml", in)
	case slices.ContainsFunc(j.files, func(f file) bool { return strings.Join(f.Plugins.paths(), "") != "" }):
		return fmt.Sprintf("%s sets a config_path that containerd does not use, because of the versions of the files and the order of their imports, so containerd reads no hosts.toml", in)
	case v.detail == mirrorTables:
		return fmt.Sprintf("%s sets registry.%s and no config_path, so containerd reads no hosts.toml", in, mirrorTables)
	case v.path == "":
		return fmt.Sprintf("%s sets no config_path, so containerd reads no hosts.toml", in)
	case v.detail == "none":
		return fmt.Sprintf("%s sets no config_path: before containerd 2.2 there is no default, and since then it is %s, %s", in, quote(v.path), joined(v))
	}
	return fmt.Sprintf("%s sets no config_path, and the default is %s, %s", in, quote(v.path), joined(v))
}

// joined describes the effect of several folders.
func joined(v *verdict) string {
	switch {
	case v.effect == Unread:
		return "which the transfer service reads as the name of one folder, so containerd reads no hosts.toml"
	case v.detail != "":
		return fmt.Sprintf("so a folder of a registry in %s hides the folder of Mirrorset", quote(v.detail))
	}
	return "which containerd reads only if it pulls without the transfer service"
}
