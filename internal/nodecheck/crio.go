// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package nodecheck

import (
	"errors"
	"fmt"
	"io/fs"
	"regexp"
	"strconv"
	"time"

	"github.com/mirrorset/mirrorset/internal/nodecheck/hostview"
)

// Where CRI-O keeps its configuration and its socket.
const (
	crioConfig  = "etc/crio/crio.conf"
	crioDropIns = "etc/crio/crio.conf.d"
	crioSocket  = "run/crio/crio.sock"
)

// crioTables are the settings that we need from one of CRI-O's configuration files.
type crioTables struct {
	CRIO struct {
		Image struct {
			AutoReloadRegistries *bool   `toml:"auto_reload_registries"`
			GlobalAuthFile       *string `toml:"global_auth_file"`
		} `toml:"image"`
	} `toml:"crio"`
}

// crioCheck finds out if CRI-O follows the drop-ins.
type crioCheck struct {
	Node
	found *Report
}

// run checks everything. If CRI-O is not known to be the kubelet's runtime, a configuration file is the evidence.
func (c *crioCheck) run(known bool) {
	files := c.files()
	if len(files) == 0 && !known {
		return
	}
	c.found.runs(CRIO)
	said := c.read(files)
	start := started(c.Root, c.CRIOStarted, crioSocket)
	switch {
	case isOldCRIO(c.RuntimeVersion):
		c.found.find(Problem{
			Reason: CRIOAutoReloadOff, Runtime: CRIO, Effect: Late,
			Message: fmt.Sprintf("%s does not support auto_reload_registries (new in 1.30), so it reads changed rules only after a reload", clip(c.RuntimeVersion)),
			Remedy:  "Run after each change: systemctl reload crio\nOr start the manager with --crio-reload",
		})
	case !said.follows:
		c.found.find(autoReloadOff(said.followsBy))
	case !start.IsZero():
		c.startedBeforeFolder(start, Late, "CRI-O was started at %s, before /%s was created at %s, so CRI-O does not notice changes in that folder")
	default:
		c.startedBeforeFolder(c.Booted, Unsure, "the machine was started at %s, and /%s was created at %s; if CRI-O was started before that, it does not notice changes in that folder")
	}
	if c.hasLogins() && hostview.Path(said.authFile) != AuthFile {
		c.found.find(authFileUnset(said.authFile, said.authFileBy))
	}
	if changed := said.changed; !start.IsZero() && changed.After(start) {
		c.found.find(Problem{
			Reason: CRIONotRestarted, Runtime: CRIO, Effect: Unsure,
			Message: fmt.Sprintf("CRI-O was started at %s, before its configuration was changed at %s, so it may still use the old configuration", stamp(start), stamp(changed)),
			Remedy:  "Run: systemctl restart crio",
		})
	}
}

var crioVersion = regexp.MustCompile(`^cri-o://v?(\d{1,6})\.(\d{1,6})\.`)

// isOldCRIO reports if CRI-O is known to be older than 1.30.
func isOldCRIO(runtimeVersion string) bool {
	match := crioVersion.FindStringSubmatch(runtimeVersion)
	if match == nil {
		return false
	}
	minor, _ := strconv.Atoi(match[2]) // digits, by the pattern
	return match[1] == "1" && minor < 30
}

// files returns the files that count; later ones override earlier ones. In the folder, every file counts, whatever its name.
func (c *crioCheck) files() (files []string) {
	if _, err := fs.Stat(c.Root, crioConfig); !errors.Is(err, fs.ErrNotExist) {
		files = append(files, crioConfig)
	}
	err := fs.WalkDir(c.Root, crioDropIns, func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		if len(files) >= maxFiles {
			return fmt.Errorf("the folder has more than %d files", maxFiles)
		}
		files = append(files, name)
		return nil
	})
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		c.unreadable(crioDropIns, err)
	}
	return files
}

// crioSettings are the settings that we need, each with its file, and when one of the files was last changed.
type crioSettings struct {
	follows               bool
	authFile              string
	followsBy, authFileBy string
	changed               time.Time
}

func (c *crioCheck) read(files []string) (said crioSettings) {
	for _, name := range files {
		var t crioTables
		at, err := hostview.ReadTOML(c.Root, name, &t)
		if err != nil {
			c.unreadable(name, err)
			continue
		}
		if at.After(said.changed) {
			said.changed = at
		}
		if value := t.CRIO.Image.AutoReloadRegistries; value != nil {
			said.follows, said.followsBy = *value, name
		}
		if value := t.CRIO.Image.GlobalAuthFile; value != nil {
			said.authFile, said.authFileBy = *value, name
		}
	}
	return said
}

func (c *crioCheck) unreadable(name string, err error) {
	c.found.find(Problem{
		Reason: CRIOConfigUnreadable, Runtime: CRIO, Effect: Unsure,
		Message: fmt.Sprintf("/%s cannot be read (%s), so it is unknown if CRI-O would start again, and with which settings", clip(name), why(err)),
		Remedy:  fmt.Sprintf("Fix /%s, then run: systemctl restart crio", clip(name)),
	})
}

const ourCRIODropIn = crioDropIns + "/99-mirrorset.conf"

func autoReloadOff(by string) Problem {
	message := "no configuration file of CRI-O sets auto_reload_registries = true, so CRI-O reads changed rules only after a reload"
	if by != "" {
		message = fmt.Sprintf("/%s sets auto_reload_registries = false, so CRI-O reads changed rules only after a reload", clip(by))
	}
	how := "write /" + ourCRIODropIn + " with"
	if by > ourCRIODropIn { // it would be read later, and count
		how = "set in /" + clip(by)
	}
	return Problem{
		Reason: CRIOAutoReloadOff, Runtime: CRIO, Effect: Late, Message: message,
		Remedy: fmt.Sprintf("With CRI-O 1.30 or later, %s\n\n[crio.image]\nauto_reload_registries = true\n\nand run: systemctl restart crio\nWith an earlier version, run after each change: systemctl reload crio", how),
	}
}

// AuthFile has the logins for mirrors, below the host's root, if there are any for CRI-O and Podman.
const AuthFile = "var/lib/mirrorset/auth.json"

// hasLogins reports if there are logins, as far as this process can look. It reports none if it cannot look.
func (c *crioCheck) hasLogins() bool {
	_, err := fs.Stat(c.Root, AuthFile)
	return err == nil
}

// ourCRIOAuth is not [ourCRIODropIn], so that a person who writes one file does not overwrite the other.
const ourCRIOAuth = crioDropIns + "/99-mirrorset-auth.conf"

func authFileUnset(is, by string) Problem {
	message := "no configuration file of CRI-O sets global_auth_file"
	if is != "" {
		message = fmt.Sprintf("/%s sets global_auth_file = %q", clip(by), clip(is))
	}
	how := "Write /" + ourCRIOAuth + " with"
	if by > ourCRIOAuth { // it would be read later, and count
		how = "Set in /" + clip(by)
	}
	remedy := fmt.Sprintf("%s\n\n[crio.image]\nglobal_auth_file = \"/%s\"\n\nand run: systemctl restart crio", how, AuthFile)
	if is != "" {
		remedy += fmt.Sprintf("\nCRI-O reads only one such file: move the logins of %s that mirrors need to the Secret mirror-credentials, and the other logins to pull secrets of Pods", clip(is))
	}
	return Problem{
		Reason: CRIOAuthFileUnset, Runtime: CRIO, Effect: Mild,
		Message: fmt.Sprintf("%s, so CRI-O contacts mirrors without the logins in /%s", message, AuthFile),
		Remedy:  remedy,
	}
}

func (c *crioCheck) startedBeforeFolder(start time.Time, effect Effect, format string) {
	if start.IsZero() || !c.DropInsBorn.After(start) {
		return
	}
	c.found.find(Problem{
		Reason: CRIOStartedBeforeFolder, Runtime: CRIO, Effect: effect,
		Message: fmt.Sprintf(format, stamp(start), DropInsDir, stamp(c.DropInsBorn)),
		Remedy:  "Run: systemctl restart crio",
	})
}
