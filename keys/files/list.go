// SPDX-License-Identifier: AGPL-3.0-or-later

package files

import (
	"errors"
	"io/fs"
	"path"
	"slices"
	"strings"
	"time"
)

// List names the files of a directory in it; "." is itself.
func (d *Dir) List(dir string) ([]string, error) {
	if d == nil {
		return nil, nil
	}
	entries, err := fs.ReadDir(d.root.FS(), dir)
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	var names []string
	for _, e := range entries {
		if e.Type().IsRegular() && !strings.HasSuffix(e.Name(), tmpSuffix) {
			names = append(names, e.Name())
		}
	}
	for name := range d.unwritten {
		if path.Dir(name) == dir && !slices.Contains(names, path.Base(name)) {
			names = append(names, path.Base(name))
		}
	}
	return names, err
}

// Links lists the symbolic links in it, with what each points at.
func (d *Dir) Links() (map[string]string, error) {
	entries, err := fs.ReadDir(d.root.FS(), ".")
	links := map[string]string{}
	for _, e := range entries {
		if e.Type()&fs.ModeSymlink != 0 {
			links[e.Name()], _ = d.root.Readlink(e.Name())
		}
	}
	return links, err
}

// Sweep removes the files of a directory in it that are older, and in any
// directory what a process that was killed has left.
func (d *Dir) Sweep(dir string, older time.Duration) {
	entries, _ := fs.ReadDir(d.root.FS(), dir)
	for _, e := range entries {
		info, err := e.Info()
		if err != nil || !info.Mode().IsRegular() {
			continue
		}
		age := time.Since(info.ModTime())
		if strings.HasSuffix(e.Name(), tmpSuffix) && age > time.Hour || age > older {
			_ = d.root.Remove(path.Join(dir, e.Name()))
		}
	}
}

// Ever is longer than any file is old, for Sweep.
const Ever = time.Duration(1<<63 - 1)
