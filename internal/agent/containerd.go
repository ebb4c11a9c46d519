// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"

	"github.com/mirrorset/mirrorset/internal/containerd"
	"github.com/mirrorset/mirrorset/internal/hostfile"
	"github.com/mirrorset/mirrorset/internal/mirrors"
)

// certsDir is the folder that containerd's config_path names. A host without it has no containerd to serve.
const certsDir = "etc/containerd/certs.d"

// The reasons about containerd's files.
const (
	// NotInForce: rules that hosts.toml cannot say, or that the agent does not write there.
	NotInForce Reason = "NotInForce"
	// ForeignFolder: a registry's folder holds what others put there.
	ForeignFolder Reason = "ForeignFolder"
)

// certs makes containerd's folder of one host say what the rules say.
type certs struct {
	host     *hostfile.Host
	files    fs.FS
	findings []Finding
	changed  int
}

// writeCerts writes new files before it removes stale ones (N3). A file that closes a registry stays where the rules now need
// what hosts.toml cannot say. A failure about one registry does not stop the others.
func writeCerts(host *hostfile.Host, rules []mirrors.Rule) (*certs, error) {
	c := &certs{host: host, files: host.FS()}
	if _, err := fs.Stat(c.files, certsDir); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return c, nil
		}
		return c, err
	}
	tree := containerd.Project(rules)
	wanted := make(map[string]bool, len(tree.Files))
	var failed []error
	for _, f := range tree.Files {
		wanted[path.Dir(f.Path)] = true
		if err := c.write(f); err != nil {
			failed = append(failed, fmt.Errorf("registry %s: %w", f.Host, err))
		}
	}
	for _, p := range tree.Pending {
		c.pending(p, wanted)
	}
	return c, errors.Join(errors.Join(failed...), c.removeStale(wanted))
}

// write puts one file in place, unless somebody else configures that registry, and reads it back as containerd does.
func (c *certs) write(f containerd.File) error {
	file := certsFile(path.Dir(f.Path))
	if info, err := c.host.Lstat(path.Dir(file.Path)); err == nil && !info.IsDir() {
		c.find(ForeignFolder, "registry %s: /%s is not a folder of ours, so the rules are not in force for containerd on this node; take it away, or leave the registry to it", f.Host, path.Dir(file.Path))
		return nil
	}
	_, err := c.host.Read(file)
	switch {
	case errors.Is(err, hostfile.ErrForeign):
		c.find(ForeignFolder, "registry %s: /%s is not ours, so the rules are not in force for containerd on this node; take it away, or leave the registry to it", f.Host, file.Path)
		return nil
	case err == nil:
	case !errors.Is(err, fs.ErrNotExist):
		return err
	default:
		if foreign := c.foreign(f.Host); foreign != "" {
			c.find(ForeignFolder, "registry %s: /%s is not ours and would be ignored beside our hosts.toml, so the rules are not in force for containerd on this node; take it away, or leave the registry to it", f.Host, foreign)
			return nil
		}
	}
	changed, err := c.host.Replace(file, f.Content)
	if err != nil {
		return err
	}
	if changed {
		c.changed++
	}
	content, err := c.host.Read(file)
	if err != nil {
		return err
	}
	if !bytes.Equal(content, f.Content) {
		return fmt.Errorf("/%s is not what was written", file.Path)
	}
	if _, err := containerd.Parse(content); err != nil {
		return fmt.Errorf("/%s cannot be read by containerd: %w", file.Path, err)
	}
	return nil
}

// foreign returns what others have put into the folders that containerd reads for a registry; "" for nothing.
func (c *certs) foreign(host string) string {
	for _, folder := range containerd.Folders(host) {
		entries, err := fs.ReadDir(c.files, path.Join(certsDir, folder))
		if err != nil {
			continue // not there, mostly; what cannot be read fails the write
		}
		for _, entry := range entries {
			if !hostfile.IsTemporary(entry.Name()) { // else a killed agent would shut out the next
				return path.Join(certsDir, folder, entry.Name())
			}
		}
	}
	return ""
}

// pending reports a registry that has no file, and keeps the one that it had where that one closes the source.
func (c *certs) pending(p containerd.Pending, wanted map[string]bool) {
	how := "containerd goes to the source"
	if p.Blocked {
		how = "containerd contacts a source that must never be contacted"
		if folder := containerd.Folders(p.Host)[0]; c.closes(certsFile(folder), p.Host) {
			wanted[folder] = true
			how = "what was in force before stays, because the source must not be opened"
		}
	}
	c.find(NotInForce, "registry %s: not in force for containerd on this node (%s): %s", p.Host, how, p.Reason)
}

// closes tells whether there is a file of ours by which containerd does not contact the registry itself.
func (c *certs) closes(file hostfile.File, host string) bool {
	content, err := c.host.Read(file)
	if err != nil {
		return false
	}
	endpoints, err := containerd.Parse(content)
	return err == nil && !slices.ContainsFunc(endpoints, func(e containerd.Endpoint) bool {
		return e.Host == host || host == "docker.io" && e.Host == "registry-1.docker.io"
	})
}

// removeStale removes our files that are not wanted, and the folders that they leave empty.
func (c *certs) removeStale(wanted map[string]bool) error {
	ours, err := ourCerts(c.host)
	failed := []error{err}
	for _, file := range ours {
		if wanted[path.Base(path.Dir(file.Path))] {
			continue
		}
		if _, err := c.host.Remove(file); err != nil {
			failed = append(failed, err)
			continue
		}
		c.changed++
		failed = append(failed, c.host.RemoveEmptyDir(path.Dir(file.Path)))
	}
	return errors.Join(failed...)
}

// ourCerts returns the files of ours in containerd's folder.
func ourCerts(host *hostfile.Host) ([]hostfile.File, error) {
	folders, err := fs.ReadDir(host.FS(), certsDir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	var ours []hostfile.File
	var failed []error
	for _, folder := range folders {
		if !folder.IsDir() { // a link, too, is somebody else's
			continue
		}
		file := certsFile(folder.Name())
		switch _, err := host.Read(file); {
		case err == nil || errors.Is(err, fs.ErrNotExist) && begun(host, path.Dir(file.Path)):
			ours = append(ours, file)
		case !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, hostfile.ErrForeign):
			failed = append(failed, err)
		}
	}
	return ours, errors.Join(failed...)
}

// begun tells whether a folder has nothing but what a killed agent began to write.
func begun(host *hostfile.Host, folder string) bool {
	entries, err := fs.ReadDir(host.FS(), folder)
	return err == nil && len(entries) == 1 && hostfile.IsTemporary(entries[0].Name())
}

// certsFile is the file of a registry's folder.
func certsFile(folder string) hostfile.File {
	return hostfile.File{Path: path.Join(certsDir, folder, "hosts.toml"), Marker: containerd.Marker}
}

func (c *certs) find(reason Reason, format string, args ...any) {
	c.findings = append(c.findings, Finding{Reason: reason, Message: fmt.Sprintf(format, args...)})
}
