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
	"strings"

	"github.com/mirrorset/mirrorset/internal/certsd"
	"github.com/mirrorset/mirrorset/internal/hostfile"
	"github.com/mirrorset/mirrorset/internal/mirrors"
	"github.com/mirrorset/mirrorset/internal/nodecheck"
	"github.com/mirrorset/mirrorset/internal/route"
)

// certsDir is the folder that containerd's config_path names. A host without it has no containerd to serve.
const certsDir = "etc/containerd/certs.d"

// hostsFile is the name of containerd's file about a registry, in that registry's folder.
const hostsFile = "hosts.toml"

// The reasons about containerd's files.
const (
	// NotInForce: rules that containerd cannot follow on this node, or that the agent does not write there.
	NotInForce Reason = "NotInForce"
	// ForeignFolder: a registry's folder holds what others put there.
	ForeignFolder Reason = "ForeignFolder"
)

// certs makes containerd's folder of one host say what the rules say.
type certs struct {
	host     *hostfile.Host
	files    fs.FS
	rules    []mirrors.Rule
	findings []Finding
	again    []error // what is among the findings and to be tried again
	changed  int
	wrote    func(kind, path string, content []byte, changed bool)
	// missing are the folders of files that would close a registry, and are not in place as the rules want them. A folder of
	// somebody else is none, because it hides the default host's.
	missing map[string]bool
}

// writeCerts writes new files before it removes stale ones (N3). A file that closes a registry stays where the rules now need
// what this node does not have, or what could not be written. A failure about one registry does not stop the others, and is a
// finding about its sources.
func (n *node) writeCerts() (*certs, error) {
	c := &certs{host: n.host, files: n.host.FS(), rules: n.accepted.rules, wrote: n.wrote, missing: make(map[string]bool)}
	if _, err := fs.Stat(c.files, certsDir); err != nil {
		if !errors.Is(err, fs.ErrNotExist) {
			return c, err
		}
		if runtimeOf(n.runtimeVersion()) == nodecheck.Containerd {
			var all []string
			for i := range c.rules {
				all = append(all, c.rules[i].Source)
			}
			c.find(NotInForce, all, "this node runs containerd, and %s is not there; make that folder", n.settings.CertsDir)
		}
		return c, nil
	}
	about := certsd.Node{AllowDefaultHost: n.settings.AllowDefaultHost, OwnTLS: n.hasOwnTLS, Certificates: c.certificates}
	if n.listening != nil {
		about.Redirector = n.server.Address()
	}
	tree := certsd.Project(n.accepted.rules, about)
	wanted := make(map[string]bool, len(tree.Files))
	err := c.host.RemoveLeftovers(certsDir, hostsFile, certsd.Marker)
	for _, f := range tree.Files {
		wanted[path.Dir(f.Path)] = true
		if inPlace, err := c.write(f); !inPlace {
			c.missing[path.Dir(f.Path)] = certsd.Closes(f.Host, f.Content) && (err != nil || f.Host == certsd.DefaultHost)
			if err != nil {
				c.find(NotInForce, c.sources(f.Host), "registry %s: not in force for containerd on this node: %v", f.Host, err)
				c.again = append(c.again, fmt.Errorf("registry %s: %w", f.Host, err))
			}
		}
	}
	for _, p := range tree.Pending {
		c.pending(p, wanted)
	}
	if n.failed != nil && len(tree.Pending) > 0 {
		c.again = append(c.again, n.failed)
	}
	router := route.NewRouter(n.accepted.rules)
	err = errors.Join(err, c.removeStale(wanted, router))
	c.reportHidden(router)
	return c, err
}

// write puts one file in place, unless somebody else configures that registry, and reads it back as containerd does.
func (c *certs) write(f certsd.File) (inPlace bool, err error) {
	file := certsFile(path.Dir(f.Path))
	if info, err := c.host.Lstat(path.Dir(file.Path)); err == nil && !info.IsDir() {
		c.foreign(f.Host, path.Dir(file.Path), "is not a folder of ours")
		return false, nil
	}
	current, err := c.host.Read(file)
	switch {
	case errors.Is(err, hostfile.ErrForeign):
		c.foreign(f.Host, file.Path, "is not ours")
		return false, nil
	case err == nil && bytes.Equal(current, f.Content):
		c.wrote(hostsTOMLRepairs, file.Path, f.Content, false)
		return true, nil
	case err == nil:
	case !errors.Is(err, fs.ErrNotExist):
		return false, err
	default:
		if theirs := c.theirs(f.Host); theirs != "" {
			c.foreign(f.Host, theirs, "is not ours and would be ignored beside our hosts.toml")
			return false, nil
		}
	}
	changed, err := c.host.ReplaceInFolder(file, f.Content)
	if err != nil {
		return false, err
	}
	c.wrote(hostsTOMLRepairs, file.Path, f.Content, changed)
	if changed {
		c.changed++
	}
	content, err := c.host.Read(file)
	if err != nil {
		return false, err
	}
	if !bytes.Equal(content, f.Content) {
		return false, fmt.Errorf("/%s is not what was written", file.Path)
	}
	if _, err := certsd.Parse(f.Host, content); err != nil {
		return false, fmt.Errorf("/%s cannot be read by containerd: %w", file.Path, err)
	}
	return true, nil
}

func (c *certs) foreign(host, name, what string) {
	c.find(ForeignFolder, c.sources(host), "registry %s: /%s %s, so the rules are not in force for containerd on this node; take it away, or leave the registry to it", host, name, what)
}

// theirs returns what others have put into the folders that containerd reads for a registry and that our file cannot carry
// over; "" for nothing.
func (c *certs) theirs(host string) string {
	folders := certsd.Folders(host)
	if _, other := certsd.FindCertificates(c.names(folders[0])); other != "" {
		return path.Join(certsDir, folders[0], other)
	}
	for _, hidden := range folders[1:] {
		if names := c.names(hidden); len(names) > 0 {
			return path.Join(certsDir, hidden, names[0])
		}
	}
	return ""
}

// certificates returns those that lie beside a registry's hosts.toml.
func (c *certs) certificates(host string) certsd.Certificates {
	names := slices.DeleteFunc(c.names(certsd.Folders(host)[0]), func(name string) bool { return name == hostsFile })
	found, _ := certsd.FindCertificates(names)
	return found
}

// names returns what is in a registry's folder, but for what a killed agent left, which would shut out the next.
func (c *certs) names(folder string) (names []string) {
	entries, err := readDir(c.files, path.Join(certsDir, folder))
	if err != nil {
		return nil // not there, mostly; what cannot be read fails the write
	}
	for _, entry := range entries {
		if !hostfile.IsTemporary(entry.Name()) {
			names = append(names, entry.Name())
		}
	}
	return names
}

// readDir reads a folder, and never waits for what is none, such as a pipe.
func readDir(files fs.FS, name string) ([]fs.DirEntry, error) {
	info, err := fs.Stat(files, name)
	if err == nil && !info.IsDir() {
		err = fs.ErrNotExist
	}
	if err != nil {
		return nil, err
	}
	return fs.ReadDir(files, name)
}

// pending reports a registry that has no file, and keeps the one that it had where that one closes the source.
func (c *certs) pending(p certsd.Pending, wanted map[string]bool) {
	how := "containerd goes to the source"
	if p.Blocked {
		how = "containerd contacts a source that must never be contacted"
		content, err := c.host.Read(certsFile(p.Folder()))
		switch {
		case wanted[p.Folder()] || p.Unwanted: // of wildcards that are in force; or an administrator has it so
		case err == nil && certsd.Closes(p.Host, content):
			wanted[p.Folder()] = true
			how = "what was in force before stays, because the source must not be opened"
		default:
			c.missing[p.Folder()] = !errors.Is(err, hostfile.ErrForeign) || p.Folder() == certsd.DefaultHost
		}
	}
	c.find(NotInForce, c.sources(p.Host), "registry %s: not in force for containerd on this node (%s): %s", p.Host, how, p.Reason)
}

// reportHidden reports the registries that a wildcard is not in force for, because somebody else's folder hides the default
// host's.
func (c *certs) reportHidden(router *route.Router) {
	folders, err := fs.ReadDir(c.files, certsDir)
	if err != nil {
		return // it was just read
	}
	for _, folder := range folders {
		host := certsd.HostOf(folder.Name())
		wildcard := router.Wildcard(host)
		if wildcard == "" || hostfile.IsTemporary(folder.Name()) {
			continue
		}
		if _, err := c.host.Read(certsFile(folder.Name())); err == nil && folder.IsDir() {
			continue
		}
		c.find(ForeignFolder, []string{wildcard}, "registry %s: /%s is not ours and hides source %s, which is not in force for it for containerd on this node; take it away, or name the registry in a set", host, path.Join(certsDir, folder.Name()), wildcard)
	}
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
		if !folder.IsDir() || hostfile.IsTemporary(folder.Name()) { // a link, too, is somebody else's
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
	return err == nil && len(entries) > 0 && !slices.ContainsFunc(entries, func(entry fs.DirEntry) bool { return !hostfile.IsTemporary(entry.Name()) })
}

// certsFile is the file of a registry's folder.
func certsFile(folder string) hostfile.File {
	return hostfile.File{Path: path.Join(certsDir, folder, hostsFile), Marker: certsd.Marker}
}

// sources are those that a file would put in force.
func (c *certs) sources(host string) (sources []string) {
	if host != certsd.DefaultHost {
		return sourcesOf(c.rules, host)
	}
	for i := range c.rules {
		if strings.HasPrefix(c.rules[i].Source, "*") {
			sources = append(sources, c.rules[i].Source)
		}
	}
	return sources
}

func (c *certs) find(reason Reason, sources []string, format string, args ...any) {
	c.findings = append(c.findings, Finding{Reason: reason, Message: fmt.Sprintf(format, args...), Runtime: nodecheck.Containerd, Sources: sources})
}
