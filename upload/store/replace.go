// SPDX-License-Identifier: AGPL-3.0-or-later

package store

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
)

// Durability is what a file that was replaced survives.
type Durability bool

const (
	// Lasting is on disk when Replace returns: old or new, whatever happens.
	Lasting Durability = true
	// Fleeting may be lost with the machine, old and new.
	Fleeting Durability = false
)

// Replace puts data in the place of a file that is no part of the archive. Readers
// see the old bytes or the new ones, never half of them.
func Replace(root *os.Root, name string, mode fs.FileMode, data []byte, d Durability) (err error) {
	tmp := path.Join(path.Dir(name), "."+path.Base(name)+".new")
	if err := root.Remove(tmp); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	f, err := root.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err == nil && d == Lasting {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = root.Rename(tmp, name)
	}
	if err != nil {
		_ = root.Remove(tmp)
		return err
	}
	if d == Lasting {
		err = SyncDir(root, path.Dir(name))
	}
	return err
}

// SyncDir makes the names in a directory lasting.
func SyncDir(root *os.Root, name string) error {
	f, err := root.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := f.Sync(); err != nil {
		return fmt.Errorf("sync the directory %q: %w", name, err)
	}
	return nil
}
