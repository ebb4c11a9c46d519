// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"github.com/onsi/gomega/types"
)

// howTo returns a page of docs/how-to.
func howTo(page string) string {
	GinkgoHelper()
	return document("docs/how-to/" + page)
}

// document returns a document of the repository.
func document(path string) string {
	GinkgoHelper()
	text, err := os.ReadFile("../../" + path)
	Expect(err).NotTo(HaveOccurred())
	return string(text)
}

// blocksOf returns the blocks of a language in a text. It requires at least one.
func blocksOf(text, language string) (all []string) {
	GinkgoHelper()
	for _, block := range strings.Split(text, "\n```"+language+"\n")[1:] {
		block, _, _ = strings.Cut(block, "```\n")
		all = append(all, block)
	}
	Expect(all).NotTo(BeEmpty(), "there is a block of %s", language)
	return all
}

// walk runs the commands of a page from its first to its last, in a folder that has the page's files.
type walk struct {
	operator *operator
	folder   string
	left     []string // commands that have not run yet
}

// walk begins at the first command of a page. The values replace the page's example names; the files are its first blocks of YAML.
func (m *operator) walk(page string, files []string, values ...string) *walk {
	GinkgoHelper()
	w := &walk{operator: m, folder: GinkgoT().TempDir()}
	page = strings.NewReplacer(values...).Replace(page)
	for i, name := range files {
		put(filepath.Join(w.folder, name), blocksOf(page, "yaml")[i])
	}
	for _, block := range blocksOf(page, "bash") {
		w.left = append(w.left, strings.Split(strings.TrimSpace(block), "\n")...)
	}
	return w
}

func (w *walk) command(ctx context.Context, line string) *exec.Cmd {
	cmd := w.operator.shell(ctx, line)
	cmd.Dir = w.folder
	return cmd
}

// next runs the next commands of the page, which must begin so and succeed, and returns what they print.
func (w *walk) next(ctx context.Context, begins ...string) (out string) {
	GinkgoHelper()
	for _, begin := range begins {
		line := w.take(begin)
		printed := run(w.command(ctx, line))
		AddReportEntry("$ "+line, printed, ReportEntryVisibilityAlways)
		out += printed
	}
	return out
}

// nextSays runs the next command of the page until it prints what is wanted and ends with the exit code.
func (w *walk) nextSays(ctx context.Context, begin string, exitCode int, want types.GomegaMatcher) {
	GinkgoHelper()
	line := w.take(begin)
	var out []byte
	Eventually(func(g Gomega) {
		cmd := w.command(ctx, line)
		out, _ = cmd.CombinedOutput() // an error is in its exit code
		g.Expect(string(out)).To(want)
		g.Expect(cmd.ProcessState.ExitCode()).To(Equal(exitCode))
	}).WithContext(ctx).WithTimeout(convergeTimeout).WithPolling(200 * time.Millisecond).Should(Succeed())
	AddReportEntry("$ "+line, string(out), ReportEntryVisibilityAlways)
}

func (w *walk) take(begin string) string {
	GinkgoHelper()
	Expect(w.left).NotTo(BeEmpty(), "the page has a command that begins with %q", begin)
	line := w.left[0]
	Expect(line).To(HavePrefix(begin), "the next command of the page")
	w.left = w.left[1:]
	return line
}

// expectEnd wants all commands of the page to have run.
func (w *walk) expectEnd() {
	GinkgoHelper()
	Expect(w.left).To(BeEmpty(), "these commands of the page have not run")
}
