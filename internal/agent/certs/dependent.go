// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package certs

import (
	"github.com/mirrorset/mirrorset/internal/certsd"
	"github.com/mirrorset/mirrorset/internal/mirrors"
	"github.com/mirrorset/mirrorset/internal/nodecheck"
)

// countDependent measures how many registries the redirector takes along when it goes: there is something to be pulled from them, and containerd
// has nobody else to ask. Where another runtime serves the node's Pods, there is none.
func (p *pass) countDependent() error {
	if runtime := p.env.Runtime(); runtime != "" && runtime != nodecheck.Containerd {
		p.dependent.Set(0)
		return nil
	}
	ours, err := p.folder.Ours()
	if err != nil {
		return err
	}
	shut := shutRegistries(p.rules)
	dependent := 0
	for _, folder := range ours {
		if !shut[certsd.HostOf(folder)] && p.folder.Depends(folder) {
			dependent++
		}
	}
	p.dependent.Set(float64(dependent))
	return nil
}

// shutRegistries are those from which nothing can be pulled with the redirector, either: all of a registry is blocked, and no mirror can exist (E5).
func shutRegistries(rules []mirrors.Rule) map[string]bool {
	shut := make(map[string]bool)
	for i := range rules {
		if rules[i].Source.Path() == "" {
			shut[rules[i].Source.Host()] = true
		}
	}
	for i := range rules {
		if rule := &rules[i]; !rule.NoneServes(mirrors.ByDigest) || !rule.NoneServes(mirrors.ByTag) {
			shut[rule.Source.Host()] = false
		}
	}
	return shut
}
