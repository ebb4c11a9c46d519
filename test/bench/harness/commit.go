// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"strings"
)

// withChanges follows a commit that is not all that was measured.
const withChanges = " with changes"

// theMeasured are the paths that count for git. The documents do not: they are what is written from it.
var theMeasured = []string{"--", ".", ":(exclude)docs"}

// commit names the commit that is measured.
func (r runner) commit(ctx context.Context) (string, error) {
	commit, err := r.git(ctx, "rev-parse", "--short=12", "HEAD")
	if err != nil {
		return "", err
	}
	changed, err := r.git(ctx, append([]string{"status", "--porcelain"}, theMeasured...)...)
	if err == nil && changed != "" {
		commit += withChanges
	}
	return commit, err
}

// isStill fails where the runs of a row were not all of the commit that was there before them: each builds what it measures.
func (r runner) isStill(ctx context.Context, commit string) error {
	if strings.HasSuffix(commit, withChanges) {
		return nil
	}
	now, err := r.commit(ctx)
	if err != nil {
		return err
	}
	changed, err := r.git(ctx, append([]string{"diff", "--name-only", commit}, theMeasured...)...)
	if err != nil {
		return err
	}
	if changed != "" || strings.HasSuffix(now, withChanges) {
		return fmt.Errorf("it began at commit %s, and ended at %s", commit, now)
	}
	return nil
}

// git returns what it prints in the repository.
func (r runner) git(ctx context.Context, args ...string) (string, error) {
	cmd := r.prepare(ctx, "git", args...)
	cmd.Dir, cmd.Stderr = r.repository, r.console
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("git %s: %w", strings.Join(args, " "), err)
	}
	return strings.TrimSpace(string(out)), nil
}
