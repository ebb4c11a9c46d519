// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package nodecheck

// Runtime is a container runtime that pulls images for the kubelet.
type Runtime string

// The runtimes.
const (
	Containerd Runtime = "containerd"
	CRIO       Runtime = "CRI-O"
)

// Reason is the machine-readable name of a problem, in the form that conditions and events use.
type Reason string

// The reasons about containerd.
const (
	// ContainerdConfigMissing: nothing shows that a runtime reads our folder.
	ContainerdConfigMissing Reason = "ContainerdConfigMissing"
	// ContainerdConfigUnreadable: a configuration file cannot be read or is not TOML.
	ContainerdConfigUnreadable Reason = "ContainerdConfigUnreadable"
	// ContainerdConfigRefused: containerd does not start with this configuration.
	ContainerdConfigRefused Reason = "ContainerdConfigRefused"
	// ContainerdImportUnseen: an imported file does not exist, or is not visible here.
	ContainerdImportUnseen Reason = "ContainerdImportUnseen"
	// ContainerdConfigPathUnset: no config_path is in force, or the default one.
	ContainerdConfigPathUnset Reason = "ContainerdConfigPathUnset"
	// ContainerdConfigPathJoined: config_path is a list of folders, which the transfer service takes for one.
	ContainerdConfigPathJoined Reason = "ContainerdConfigPathJoined"
	// ContainerdConfigPathElsewhere: config_path is not our folder.
	ContainerdConfigPathElsewhere Reason = "ContainerdConfigPathElsewhere"
	// ContainerdRegistryConflict: config_path is set together with settings that make containerd refuse to load its CRI plugin.
	ContainerdRegistryConflict Reason = "ContainerdRegistryConflict"
	// ContainerdCRIDisabled: containerd does not serve the kubelet.
	ContainerdCRIDisabled Reason = "ContainerdCRIDisabled"
	// ContainerdTransferDiffers: the transfer service has another config_path than the kubelet's pulls.
	ContainerdTransferDiffers Reason = "ContainerdTransferDiffers"
	// ContainerdNotRestarted: the configuration was changed after containerd was started.
	ContainerdNotRestarted Reason = "ContainerdNotRestarted"
)

// The reasons about CRI-O.
const (
	// CRIOConfigUnreadable: a configuration file cannot be read or is not TOML.
	CRIOConfigUnreadable Reason = "CRIOConfigUnreadable"
	// CRIOAutoReloadOff: CRI-O does not follow the drop-ins by itself.
	CRIOAutoReloadOff Reason = "CRIOAutoReloadOff"
	// CRIOStartedBeforeFolder: CRI-O follows a folder only if it was there when CRI-O was started.
	CRIOStartedBeforeFolder Reason = "CRIOStartedBeforeFolder"
	// CRIONotRestarted: the configuration was changed after CRI-O was started.
	CRIONotRestarted Reason = "CRIONotRestarted"
	// CRIOAuthFileUnset: there are logins for mirrors, and CRI-O reads another file or none.
	CRIOAuthFileUnset Reason = "CRIOAuthFileUnset"
)

// The reasons about mirrors that are streamed to containerd.
const (
	// MirrorLoginRefused: a mirror, or its token server, refuses the login of the Secret, or asks for it in a way that it cannot be sent.
	MirrorLoginRefused Reason = "MirrorLoginRefused"
	// MirrorLoginNeeded: a mirror requires a login, and the Secret has none for it.
	MirrorLoginNeeded Reason = "MirrorLoginNeeded"
	// MirrorCertificateExpired: a certificate is no longer valid, or not yet.
	MirrorCertificateExpired Reason = "MirrorCertificateExpired"
	// MirrorAuthorityUnknown: a certificate of an authority that the node does not trust.
	MirrorAuthorityUnknown Reason = "MirrorAuthorityUnknown"
	// MirrorCertificateName: a certificate for another name than the one that a set has.
	MirrorCertificateName Reason = "MirrorCertificateName"
)

// Effect is what a problem means for the rules on the node. The greater, the worse.
type Effect int

// The effects.
const (
	// Mild: the runtime still reads the rules.
	Mild Effect = iota
	// Late: the runtime reads the rules when it is started or reloaded, and not before.
	Late
	// Unsure: the visible files do not show if the runtime reads the rules.
	Unsure
	// Unread: the runtime does not read the rules.
	Unread
)

func (e Effect) String() string {
	return [...]string{"Mild", "Late", "Unsure", "Unread"}[e]
}

// MarshalText writes the name.
func (e Effect) MarshalText() ([]byte, error) {
	return []byte(e.String()), nil
}

// Problem is one thing that an administrator should change on a node.
type Problem struct {
	Reason  Reason
	Runtime Runtime
	Effect  Effect
	// Message is one sentence on one line, which names the file and the value.
	Message string
	// Remedy states what to change and which command to run then. It can have several lines.
	Remedy string
}

// Report is the result of the check of a node.
type Report struct {
	// Runtimes are the runtimes with evidence for them.
	Runtimes []Runtime
	Problems []Problem
}

func (r *Report) find(p Problem) {
	r.Problems = append(r.Problems, p)
}

func (r *Report) runs(runtime Runtime) {
	r.Runtimes = append(r.Runtimes, runtime)
}

// Effect returns the worst effect of the problems of a runtime. Rules count as applied only if it is [Mild], or [Late] after a successful reload.
func (r Report) Effect(runtime Runtime) Effect {
	worst := Mild
	for _, p := range r.Problems {
		if p.Runtime == runtime {
			worst = max(worst, p.Effect)
		}
	}
	return worst
}
