// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package dropin

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/mirrorset/mirrorset/internal/agent/sink"
	"github.com/mirrorset/mirrorset/internal/grants/onhost"
	"github.com/mirrorset/mirrorset/internal/hostfile"
	"github.com/mirrorset/mirrorset/internal/nodecheck"
)

// MirrorGrantsFile is the reason of a problem with a file that has the grants of a mirror. The rules are still in force.
const MirrorGrantsFile nodecheck.Reason = "MirrorGrantsFile"

// grantFiles are those of the logins and authorities of mirrors (G4).
type grantFiles struct {
	env               sink.Env
	files             onhost.Files
	logins, authority *sink.Drift
}

func newGrantFiles(env sink.Env) grantFiles {
	return grantFiles{env: env, files: onhost.At(env.Host), logins: env.Drift("auth_file"), authority: env.Drift("authority")}
}

// granting is one pass over the files.
type granting struct {
	grantFiles
	problems []nodecheck.Problem
	again    []error
	failures int // to bring files of authorities up to date
}

// write makes the files say what the mirrors of the rules are granted. A failure about one keeps no other back, and no rule.
func (f grantFiles) write(rules *sink.Accepted) (problems []nodecheck.Problem, again error) {
	g := &granting{grantFiles: f}
	of := rules.Rules
	if rules.Grants.IsEmpty() { // no mirror has any, whichever there are
		of = nil
	}
	may, sources := onhost.Mirrors(of)
	for _, place := range sources {
		if rules.Grants.Concern(place) {
			g.find("in the sets, give the mirror a place that is not part of a source", "mirror %s is also a source, contains one or is part of one, so the agent gives CRI-O and Podman no login and no authority for it, because the source would see them too", place)
		}
	}
	g.writeLogins(rules.Grants.AuthFile(may))
	g.writeAuthorities(rules.Grants.Registries(may))
	return g.problems, errors.Join(g.again...)
}

func (g *granting) writeLogins(text []byte) {
	changed, err := g.files.WriteLogins(text)
	switch {
	case err == nil:
		g.logins.Wrote(onhost.AuthFile, text, changed)
	case !errors.Is(err, hostfile.ErrForeign):
		g.again = append(g.again, fmt.Errorf("writing the logins for mirrors: %w", err))
		g.find(err.Error(), "the agent cannot write /%s, so CRI-O and Podman do not have the current logins for mirrors", onhost.AuthFile)
	case text != nil:
		g.find("remove what is there", "/%s is not a file of Mirrorset, so CRI-O and Podman have no logins for mirrors", onhost.AuthFile)
	}
	if changed {
		g.env.Log.Info("Changed the logins for mirrors", "path", "/"+onhost.AuthFile)
	}
}

// writeAuthorities writes new files before it removes stale ones.
func (g *granting) writeAuthorities(registries map[string][]byte) {
	g.failed("", g.files.RemoveLeftovers())
	wanted := make(map[string]bool, len(registries))
	for _, registry := range slices.Sorted(maps.Keys(registries)) {
		if hidden := g.files.Hidden(registry); hidden != "" {
			g.find(fmt.Sprintf("copy that folder to /%s/%s", onhost.CertsDir, registry),
				"/%s has the TLS settings of registry %s, and a folder of Mirrorset would hide these settings from CRI-O and Podman, so the agent does not give them the registry's authority", hidden, registry)
			continue
		}
		if hiding := g.files.Hiding(registry); hiding != "" {
			g.find(fmt.Sprintf("move the content of that folder to /%s/%s, then remove the folder", onhost.CertsDir, registry), "newer CRI-O and Podman read /%s instead of /%s, which has the authority of registry %s", hiding, onhost.CertPath(registry), registry)
		}
		wanted[registry] = true
		content, changed, err := g.files.WriteAuthority(registry, registries[registry])
		if err == nil {
			g.wrote(registry, content, changed)
		}
		g.failed(registry, err)
	}
	ours, err := g.files.Registries()
	g.failed("", err)
	for _, registry := range ours {
		if wanted[registry] {
			continue
		}
		removed, err := g.files.RemoveAuthority(registry)
		if err == nil {
			g.wrote(registry, nil, removed)
		}
		g.failed(registry, err)
	}
}

func (g *granting) wrote(registry string, content []byte, changed bool) {
	g.authority.Wrote(onhost.CertPath(registry), content, changed)
	if changed {
		g.env.Log.Info("Changed the authority of a registry", "path", "/"+onhost.CertPath(registry))
	}
}

// failed reports what kept a registry's file from being what it is to be; "" for that of no certain one.
func (g *granting) failed(registry string, err error) {
	switch {
	case err == nil:
	case errors.Is(err, hostfile.ErrForeign):
		g.find("remove what is there", "/%s, or the folder above it, does not belong to Mirrorset, so CRI-O and Podman do not get the authority of registry %s", onhost.CertPath(registry), registry)
	default:
		g.again = append(g.again, fmt.Errorf("writing the authorities of mirrors: %w", err))
		if g.failures++; g.failures > 1 {
			return // mostly for the same cause
		}
		g.find(err.Error(), "the agent cannot update /%s, so CRI-O and Podman do not have the current authorities of mirrors", onhost.CertsDir)
	}
}

func (g *granting) find(remedy, format string, args ...any) {
	g.problems = append(g.problems, nodecheck.Problem{Reason: MirrorGrantsFile, Runtime: nodecheck.CRIO, Effect: nodecheck.Mild, Message: fmt.Sprintf(format, args...), Remedy: remedy})
}
