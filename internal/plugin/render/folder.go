// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package render

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/mirrorset/mirrorset/internal/certsd"
	"github.com/mirrorset/mirrorset/internal/certsd/ondisk"
	"github.com/mirrorset/mirrorset/internal/hostfile"
	"github.com/mirrorset/mirrorset/internal/plugin/output"
)

// folder is where render puts containerd's files, in the way of the agent: whole, and over nothing of anybody else's.
type folder struct {
	name string
	host *hostfile.Host
	tree *ondisk.Folder
}

// openFolder makes the folder if there is none.
func openFolder(name string) (*folder, error) {
	if err := os.MkdirAll(name, 0o755); err != nil { //nolint:gosec // containerd's folder is readable by all
		return nil, output.PrintablePath(err)
	}
	host, err := hostfile.Open(name)
	if err != nil {
		return nil, output.PrintablePath(err)
	}
	tree := ondisk.At(host, ".")
	if err := tree.Look(); err != nil {
		return nil, errors.Join(output.PrintablePath(err), host.Close())
	}
	return &folder{name: name, host: host, tree: tree}, nil
}

func (f *folder) close() {
	_ = f.host.Close() // it was only a handle; each file is closed by itself
}

func (f *folder) place(file string) string {
	return output.Printable(filepath.Join(f.name, filepath.FromSlash(file)))
}

// fault has an error name its file as the user finds it, which is named as if the folder were the root of a host.
func (f *folder) fault(err error) error {
	name := output.Printable(f.name)
	if strings.HasPrefix(err.Error(), "/") {
		return fmt.Errorf("%s%w", strings.TrimSuffix(name, "/"), err)
	}
	return fmt.Errorf("%s: %w", name, err)
}

// refuseForeign fails before anything is written if some file could not be.
func (f *folder) refuseForeign(files []certsd.File) error {
	for _, file := range files {
		_, err := f.tree.Read(path.Dir(file.Path))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("%w; nothing was written", f.fault(err))
		}
	}
	return nil
}

// write says of each file whether it is new.
func (f *folder) write(out io.Writer, files []certsd.File) error {
	for _, file := range files {
		written := f.tree.Write(file)[0]
		if written.Err != nil {
			return f.fault(written.Err)
		}
		what := "unchanged"
		if written.Changed {
			what = "written"
		}
		if _, err := fmt.Fprintf(out, "%s %s\n", f.place(file.Path), what); err != nil {
			return err
		}
	}
	return nil
}

// nameStale warns of files from an earlier run, which containerd would still follow. The user decides which to delete.
func (f *folder) nameStale(stderr io.Writer, files []certsd.File) error {
	current := make(map[string]bool, len(files))
	for _, file := range files {
		current[file.Path] = true
	}
	found, err := fs.Glob(f.host.FS(), "*/hosts.toml")
	if err != nil {
		return err
	}
	for _, name := range found {
		if _, err := f.tree.Read(path.Dir(name)); err == nil && !current[name] {
			what := certsd.HostOf(path.Dir(name))
			if what == certsd.DefaultHost {
				what = "wildcards"
			}
			fmt.Fprintf(stderr, "warning: StaleFile: %s is from an earlier run, and the sets no longer have rules for %s; delete it\n", f.place(name), what)
		}
	}
	return nil
}
