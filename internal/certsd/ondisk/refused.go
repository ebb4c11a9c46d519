// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package ondisk

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net/url"
	"path"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/mirrorset/mirrorset/internal/hostfile"
	"github.com/mirrorset/mirrorset/internal/nodecheck/hostview"
)

// endpoint is the part that containerd 2 reads of the top of a hosts.toml, and of each host table in it.
type endpoint struct {
	Capabilities []string       `toml:"capabilities"`
	CA           any            `toml:"ca"`
	Client       any            `toml:"client"`
	SkipVerify   *bool          `toml:"skip_verify"`
	Header       map[string]any `toml:"header"`
	OverridePath bool           `toml:"override_path"`
	DialTimeout  string         `toml:"dial_timeout"`
}

// Refused returns the reason why containerd does not use the hosts.toml in a registry's folder, no matter who wrote it, and the consequence. It
// returns nil if containerd uses the file, or if there is none. containerd treats a file that it cannot parse as missing. If it cannot read the file,
// or a certificate that the file names, each pull fails.
func (d Folder) Refused(folder string) error {
	var file struct {
		endpoint
		Server string              `toml:"server"`
		Hosts  map[string]endpoint `toml:"host"`
	}
	name := d.Path(folder)
	at := hostfile.Follow(d.host.FS(), name)
	if _, err := hostview.ReadTOML(d.host.FS(), at, &file); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%w; %s", err, d.comesOf(err, at))
	}
	for server, e := range file.Hosts {
		if err := e.check(server); err != nil {
			return fmt.Errorf("host %q: %w; containerd goes to the registry itself", server, err)
		}
	}
	if err := file.check(file.Server); err != nil {
		return fmt.Errorf("%w; containerd goes to the registry itself", err)
	}
	for _, e := range slices.AppendSeq([]endpoint{file.endpoint}, maps.Values(file.Hosts)) {
		for _, at := range slices.Concat(names(e.CA), names(e.Client)) {
			if !path.IsAbs(at) {
				at = "/" + path.Join(path.Dir(name), at)
			}
			if _, err := fs.Stat(d.host.FS(), hostfile.Follow(d.host.FS(), hostview.Path(at))); err != nil {
				return fmt.Errorf("the file names %s, which containerd cannot read, so each pull from the registry fails", at)
			}
		}
	}
	return nil
}

// comesOf describes how containerd reacts if a hosts.toml gives us this error. It treats a file that it cannot parse as missing, but gives up the
// pull if the system does not let it read the file (loadHostDir in containerd's core/remotes/docker/config, 1.7 and 2 alike).
func (d Folder) comesOf(err error, at string) string {
	var malformed *hostview.Malformed
	var refused syscall.Errno
	info, statErr := fs.Stat(d.host.FS(), at)
	switch {
	case errors.As(err, &malformed):
		return "containerd goes to the registry itself"
	case errors.Is(err, fs.ErrPermission):
		return "read the file as root to find out if containerd can use it"
	case errors.As(err, &refused), statErr == nil && info.IsDir():
		return "each pull from the registry fails"
	}
	return "what containerd does with the file is unknown"
}

// check makes the checks that containerd makes of an endpoint before it uses any of the file.
func (e *endpoint) check(server string) error {
	if !strings.HasPrefix(server, "http") {
		server = "https://" + server
	}
	if _, err := url.Parse(server); err != nil {
		return fmt.Errorf("%q is not a valid address", server)
	}
	for _, c := range e.Capabilities {
		if !slices.Contains([]string{"pull", "resolve", "push", "referrers"}, strings.ToLower(c)) {
			return fmt.Errorf("the capability %q does not exist", c)
		}
	}
	for setting, value := range map[string]any{"ca": e.CA, "client": e.Client} {
		if value != nil && !areNames(value, setting == "client") {
			return fmt.Errorf("%s is neither a file name nor a list of file names", setting)
		}
	}
	for key, value := range e.Header {
		if !areNames(value, false) {
			return fmt.Errorf("header %q is neither a string nor a list of strings", key)
		}
	}
	if _, err := time.ParseDuration(e.DialTimeout); e.DialTimeout != "" && err != nil {
		return fmt.Errorf("dial_timeout %q is not a duration", e.DialTimeout)
	}
	return nil
}

// areNames reports if a value is one text or a list of texts. A list may contain lists of two if pairs are allowed.
func areNames(value any, pairs bool) bool {
	list, isList := value.([]any)
	if !isList {
		_, isText := value.(string)
		return isText
	}
	return !slices.ContainsFunc(list, func(element any) bool {
		pair, isPair := element.([]any)
		if isPair && pairs {
			return len(pair) != 2 || !areNames(pair, false)
		}
		_, isText := element.(string)
		return !isText
	})
}

// names returns all file names in such a value.
func names(value any) (all []string) {
	switch v := value.(type) {
	case string:
		return []string{v}
	case []any:
		for _, element := range v {
			all = append(all, names(element)...)
		}
	}
	return all
}
