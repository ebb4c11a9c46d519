// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package certs

import (
	"errors"
	"fmt"

	"github.com/mirrorset/mirrorset/internal/accesslog"
	"github.com/mirrorset/mirrorset/internal/nodecheck"
)

// AccessLog returns the redirector's log. It fails if there are pulls on this host that the redirector cannot see (docs/reference/semantics.md V1),
// because an empty log would mean that there were none.
func (s *Sink) AccessLog() (*accesslog.Log, error) {
	if why := s.unseen.Load(); why != nil {
		return nil, errors.New(*why)
	}
	return s.pulls, nil
}

// whyUnseen says why the redirector sees no pulls; nil where it does.
func (s *Sink) whyUnseen(hasFolder bool) *string {
	why := ""
	switch runtime := s.env.Runtime(); {
	case runtime == nodecheck.CRIO:
		why = "the kubelet uses CRI-O, which reads registries.conf directly, so the agent does not see its pulls; look at the log of CRI-O (journalctl -u crio)"
	case !hasFolder:
		why = fmt.Sprintf("%s does not exist, so containerd sends no requests to the redirector", s.settings.dir)
	case s.listening == nil:
		why = fmt.Sprintf("the redirector does not serve: %v", s.failed)
	default:
		return nil
	}
	return &why
}
