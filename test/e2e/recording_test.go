// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"bytes"
	"crypto/tls"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

// The set and the commands that the README's recording shows.
const recordedSet = `apiVersion: config.openshift.io/v1
kind: ImageTagMirrorSet
metadata:
  name: corp
spec:
  imageTagMirrors:
  - source: quay.io/team
    mirrors:
    - registry.corp.example:5000/quay/team
`

var recordedCommands = []string{
	"cat mirrors.yaml",
	"kubectl apply -f mirrors.yaml",
	"kubectl wait --for=condition=Applied itms/corp",
	"kubectl mirrors explain quay.io/team/app:1",
	"kubectl run app --image=quay.io/team/app:1",
	"kubectl wait --for=condition=Ready pod/app",
	"kubectl mirrors pulls pod/app",
}

// recording is a terminal's output with the time of each part, as asciicast version 2 has it
// (https://docs.asciinema.org/manual/asciicast/v2/).
type recording struct {
	now   time.Duration
	lines bytes.Buffer
}

// add shows text once some time has passed.
func (r *recording) add(after time.Duration, text string) {
	GinkgoHelper()
	r.now += after
	line, err := json.Marshal([]any{r.now.Seconds(), "o", strings.ReplaceAll(text, "\n", "\r\n")})
	Expect(err).NotTo(HaveOccurred())
	r.lines.Write(append(line, '\n'))
}

// command shows a command as if somebody typed it, and what it printed after as long as it took.
func (r *recording) command(line, printed string, took time.Duration) {
	r.add(time.Second, "\x1b[32m$\x1b[0m ")
	for keys := range slices.Chunk([]rune(line), 4) { // each part is a frame of the picture
		r.add(160*time.Millisecond, string(keys))
	}
	r.add(300*time.Millisecond, "\n")
	r.add(min(took, 3*time.Second), printed)
}

var _ = Describe("The recording in the README", func() {
	It("shows a Pod whose image comes from a mirror", func(ctx SpecContext) {
		s := newScene(ctx)
		certificate, err := s.Certificate("registry.corp.example")
		Expect(err).NotTo(HaveOccurred())
		mirror := newRegistry("mirror", "127.0.0.1:5000", s.seen)
		mirror.server.TLS = &tls.Config{Certificates: []tls.Certificate{certificate}}
		mirror.server.StartTLS()
		image, _ := newImage(ctx)
		mirror.push(ctx, "quay/team/app", image)
		folder := GinkgoT().TempDir()
		put(filepath.Join(folder, "mirrors.yaml"), recordedSet)
		DeferCleanup(func(ctx SpecContext) {
			s.kubectl(ctx, "delete", "pod/app", "--ignore-not-found", "--now")
			s.deleteSets(ctx)
		}, cleanUpTimeout)

		r := &recording{}
		r.lines.WriteString(`{"version": 2, "width": 128, "height": 36}` + "\n")
		var last string
		for _, line := range recordedCommands {
			cmd := s.shell(ctx, line)
			cmd.Dir = folder
			started := time.Now()
			last = run(cmd)
			r.command(line, last, time.Since(started))
		}
		r.add(5*time.Second, "")
		Expect(last).To(MatchRegexp(`quay\.io/team/app:1\s+registry\.corp\.example:5000/quay/team/app\s`))
		Expect(s.seen.asked()).To(Equal([]string{mirror.name}))
		if file := os.Getenv("MIRRORSET_RECORDING"); file != "" {
			put(file, r.lines.String())
		}
	}, nodeTimeout)
})
