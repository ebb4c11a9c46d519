// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package doctor

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/mirrorset/mirrorset/internal/nodecheck"
	"github.com/mirrorset/mirrorset/internal/plugin/command"
)

// machine is a node to be looked at by its own files.
type machine struct {
	root             string
	containerdConfig string
	certsDir         string
	runtimeVersion   string
}

func (m *machine) addFlags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&m.root, "host-root", "/", "with --local, the folder that holds the machine's root file system")
	cmd.Flags().StringVar(&m.containerdConfig, "containerd-config", "/"+nodecheck.DefaultContainerdConfig, "with --local, path of containerd's configuration file; give the manager's value")
	cmd.Flags().StringVar(&m.certsDir, "containerd-certs-dir", nodecheck.DefaultCertsDir, "with --local, the folder that containerd's config_path should name; give the manager's value")
	cmd.Flags().StringVar(&m.runtimeVersion, "runtime-version", "", "with --local, the node's runtime as kubectl get nodes -o wide prints it, such as containerd://2.1.4; by default doctor looks for runtimes itself")
	command.CompleteWith(cmd, "runtime-version")
	command.CompleteFolders(cmd, "host-root")
	command.CompleteFolders(cmd, "containerd-certs-dir")
}

// flags are the names of all of them.
func (m *machine) flags() []string {
	return []string{"host-root", "containerd-config", "containerd-certs-dir", "runtime-version"}
}

// check wants a folder to look into.
func (m *machine) check() error {
	info, err := os.Stat(m.root)
	switch {
	case err != nil:
		return fmt.Errorf("--host-root %q: %w", m.root, errors.Unwrap(err))
	case !info.IsDir():
		return fmt.Errorf("--host-root %q is not a folder", m.root)
	}
	return nil
}

// diagnose looks at the machine's runtimes.
func (m *machine) diagnose() (found diagnoses) {
	files := os.DirFS(m.root)
	started := startTimes(files)
	node := nodecheck.Node{
		Root: files, ContainerdConfig: m.containerdConfig, CertsDir: m.certsDir, RuntimeVersion: m.runtimeVersion,
		Booted: bootTime(files), DropInsBorn: born(files, nodecheck.DropInsDir),
		ContainerdStarted: started["containerd"], CRIOStarted: started["crio"],
	}
	if node.RuntimeVersion == "" && len(started) == 1 {
		node.RuntimeVersion = "containerd://"
		if _, ok := started["crio"]; ok {
			node.RuntimeVersion = "cri-o://"
		}
	}
	report := nodecheck.Check(node)
	l := hostFiles{machine: m, runs: report.Runtimes, found: &found, ill: make(map[nodecheck.Runtime]bool)}
	for _, p := range report.Problems {
		l.problem(p)
	}
	if p, is := providerIdle(files); is && slices.Contains(report.Runtimes, nodecheck.CRIO) {
		l.problem(p)
	}
	l.look()
	for _, runtime := range report.Runtimes {
		if !l.ill[runtime] {
			found.add(fine, string(runtime), "it reads the files that Mirrorset writes"+since(started, runtime), "")
		}
	}
	if len(report.Runtimes) == 0 && len(found) == 0 {
		found.add(wrong, "machine", "doctor found neither containerd nor CRI-O below "+m.root, "If a runtime runs here, name its configuration with --containerd-config, or run this command as root.")
	}
	return found
}

func since(started map[string]time.Time, runtime nodecheck.Runtime) string {
	at, ok := started[map[nodecheck.Runtime]string{nodecheck.Containerd: "containerd", nodecheck.CRIO: "crio"}[runtime]]
	if !ok {
		return "; its process was not found"
	}
	return "; it has run since " + at.UTC().Format(time.RFC3339)
}

// ticks is how the kernel counts time in /proc: in hundredths of a second, on all that Go runs on.
const ticks = time.Second / 100

// startTimes returns when the processes of the runtimes were started, by their names. Of several, the last one counts.
func startTimes(files fs.FS) map[string]time.Time {
	started := make(map[string]time.Time)
	booted := bootTime(files)
	if booted.IsZero() {
		return started
	}
	stats, _ := fs.Glob(files, "proc/[0-9]*/stat") // the pattern is a good one
	for _, name := range stats {
		text, err := fs.ReadFile(files, name)
		if err != nil {
			continue // it has ended
		}
		program, age, ok := parseStat(string(text))
		if at := booted.Add(age); ok && (program == "containerd" || program == "crio") && at.After(started[program]) {
			started[program] = at
		}
	}
	return started
}

// parseStat reads a process's stat (proc_pid_stat(5)): its command, and how long after the boot it was started. A command
// may have anything in it, closing parentheses too.
func parseStat(text string) (program string, start time.Duration, ok bool) {
	opens, closes := strings.IndexByte(text, '('), strings.LastIndexByte(text, ')')
	if opens < 0 || closes < opens {
		return "", 0, false
	}
	rest := strings.Fields(text[closes+1:]) // from the third field on
	if len(rest) < 20 {
		return "", 0, false
	}
	count, err := strconv.ParseInt(rest[19], 10, 64)
	return text[opens+1 : closes], time.Duration(count) * ticks, err == nil
}

// bootTime returns when the machine was started, to a hundredth of a second; zero if that cannot be told.
func bootTime(files fs.FS) time.Time {
	text, err := fs.ReadFile(files, "proc/uptime")
	uptime, _, _ := strings.Cut(string(text), " ")
	age, parseErr := time.ParseDuration(uptime + "s")
	if err != nil || parseErr != nil {
		return time.Time{}
	}
	return time.Now().Add(-age)
}
