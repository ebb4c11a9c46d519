// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/mirrorset/mirrorset/internal/payload"
	"github.com/mirrorset/mirrorset/internal/standing"
)

// Publication is what the ConfigMap says: what nodes should have in force, and what people and the manager wrote next to it to steer that
// (docs/reference/semantics.md C1 to C6).
type Publication struct {
	// Payload is that of all nodes but the canaries.
	payload.Payload
	// Canary is what some nodes try first; nil where none does.
	Canary *payload.Canary
	// CanaryDamage says why that cannot be told. All nodes should have the first payload then.
	CanaryDamage error
	payload.Rollout
	// Namespace is that of the ConfigMap.
	Namespace string
}

// ReadPublication reads the ConfigMap. It fails where [payload.Read] does, and for a second payload that a newer version wrote.
func ReadPublication(cm *corev1.ConfigMap) (Publication, error) {
	p, err := payload.Read(cm)
	if err != nil {
		return Publication{}, err
	}
	all := Publication{Payload: p, Rollout: payload.ReadRollout(cm.Annotations), Namespace: cm.Namespace}
	if all.Canary, all.CanaryDamage = payload.ReadCanary(cm); errors.Is(all.CanaryDamage, payload.ErrNewer) {
		return Publication{}, all.CanaryDamage
	}
	return all, nil
}

// Published returns what the ConfigMap says. Its texts are for registriesconf.Decode.
func (c *Cluster) Published(ctx context.Context) (Publication, error) {
	cm, err := c.ConfigMap(ctx)
	if err != nil {
		return Publication{}, err
	}
	return ReadPublication(cm)
}

// wanted names what nodes should have in force.
func (p *Publication) wanted() *standing.Published {
	now := time.Now().UnixMilli()
	wanted := &standing.Published{Revision: p.Revision, Digest: p.Digest, Provisional: p.Provisional, Believed: payload.Believed(now, p.Revision)}
	if p.Canary != nil {
		wanted.Canaries = p.Canary.Nodes
		wanted.Canary = &standing.Published{Revision: p.Canary.Revision, Digest: p.Canary.Digest, Believed: payload.Believed(now, p.Canary.Revision)}
	}
	return wanted
}

// RevisionFor is what a node should have in force.
func (p *Publication) RevisionFor(node string) int64 {
	return p.wanted().For(node).Revision
}

// RolloutCommand is the command that a person runs next, in the namespace of the ConfigMap.
func (p *Publication) RolloutCommand(verb string) string {
	command := "kubectl mirrors rollout " + verb
	if p.Namespace != "" && p.Namespace != Namespace {
		command += fmt.Sprintf(" --namespace %s", p.Namespace)
	}
	return command
}
