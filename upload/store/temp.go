// SPDX-License-Identifier: AGPL-3.0-or-later

package store

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
)

// Temp is a file that has no name in the archive yet.
type Temp struct {
	*os.File
	dir  Dir
	name string
}

// Temp makes a file for what is to be stored. One that was left behind under that
// name goes.
func (d Dir) Temp(name string) (*Temp, error) {
	if err := d.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("remove what was left behind in the archive: %w", err)
	}
	f, err := d.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, FileMode)
	if err != nil {
		return nil, fmt.Errorf("store in the archive: %w", err)
	}
	return &Temp{f, d, name}, nil
}

// Path is the temporary name.
func (t *Temp) Path() string { return t.name }

// Discard ends the temporary name. What was kept stays.
func (t *Temp) Discard() {
	_ = t.Close()
	_ = t.dir.Remove(t.name)
}

// Keep gives the file, whose hash that is, its name. It never replaces: link(2)
// fails when the name is taken, and then the bytes are compared. The caller syncs
// the directory.
func (t *Temp) Keep(name, sha256 string) (created bool, err error) {
	if err := t.Sync(); err != nil {
		return false, fmt.Errorf("store in the archive: %w", err)
	}
	err = t.dir.Link(t.name, name)
	if errors.Is(err, fs.ErrExist) {
		_, err = t.dir.has(name, sha256)
		return false, err
	}
	if err != nil {
		return false, fmt.Errorf("store in the archive: %w", err)
	}
	return true, nil
}
