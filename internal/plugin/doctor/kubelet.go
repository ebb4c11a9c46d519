// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package doctor

import (
	"errors"
	"io/fs"
	"path"
	"slices"
	"strings"

	"sigs.k8s.io/yaml"

	"github.com/mirrorset/mirrorset/internal/nodecheck"
	"github.com/mirrorset/mirrorset/internal/nodecheck/hostview"
)

// The name that the kubelet calls CRI-O's credential provider by, and the file without which it does nothing.
const (
	crioProvider = "crio-credential-provider"
	mainFile     = "etc/containers/registries.conf"
	vendorsMain  = "usr/share/containers/registries.conf"
)

// providerIdle finds that the kubelet asks CRI-O's credential provider for the secrets of namespaces, which looks for mirrors only where
// the main file exists. Mirrorset writes a drop-in alone. Where the kubelet or its files cannot be seen, nothing is said.
func providerIdle(files fs.FS) (p nodecheck.Problem, found bool) {
	if _, err := fs.Stat(files, mainFile); !errors.Is(err, fs.ErrNotExist) {
		return p, false
	}
	config := kubeletFlag(files, "image-credential-provider-config")
	if config == "" || !namesProvider(files, hostview.Path(config)) {
		return p, false
	}
	create := "touch /" + mainFile
	if _, err := fs.Stat(files, vendorsMain); err == nil { // an empty file would take its place
		create = "cp /" + vendorsMain + " /" + mainFile
	}
	return nodecheck.Problem{
		Reason: "CRIOCredentialProviderIdle", Runtime: nodecheck.CRIO, Effect: nodecheck.Mild,
		Message: "the kubelet calls " + crioProvider + ", which does nothing while there is no /" + mainFile + ", whatever the files in /" + nodecheck.DropInsDir + " contain",
		Remedy:  "Run: " + create,
	}, true
}

// kubeletFlag returns the value of a flag of the kubelet that runs; "" where it has none, or cannot be seen.
func kubeletFlag(files fs.FS, name string) string {
	lines, _ := fs.Glob(files, "proc/[0-9]*/cmdline") // the pattern is a good one
	for _, line := range lines {
		text, err := fs.ReadFile(files, line)
		if err != nil {
			continue // it has ended
		}
		args := strings.Split(strings.TrimRight(string(text), "\x00"), "\x00")
		if path.Base(args[0]) != "kubelet" {
			continue
		}
		for i, arg := range args {
			flag, value, joined := strings.Cut(strings.TrimLeft(arg, "-"), "=")
			switch {
			case i == 0 || flag != name || !strings.HasPrefix(arg, "-"):
			case joined:
				return value
			case i+1 < len(args):
				return args[i+1]
			}
		}
	}
	return ""
}

// namesProvider reports whether a CredentialProviderConfig, or one in a folder of them, names CRI-O's provider.
func namesProvider(files fs.FS, config string) bool {
	names := []string{config}
	if entries, err := fs.ReadDir(files, config); err == nil {
		names = nil
		for _, e := range entries {
			if slices.Contains([]string{".json", ".yaml", ".yml"}, path.Ext(e.Name())) {
				names = append(names, path.Join(config, e.Name()))
			}
		}
	}
	for _, name := range names {
		text, err := hostview.ReadFile(files, name)
		var c struct {
			Providers []struct {
				Name string `json:"name"`
			} `json:"providers"`
		}
		if err != nil || yaml.Unmarshal(text, &c) != nil {
			continue
		}
		for _, provider := range c.Providers {
			if provider.Name == crioProvider {
				return true
			}
		}
	}
	return false
}
