// SPDX-License-Identifier: AGPL-3.0-or-later

// Package store writes an archive's directory, whose layout package manifest
// describes: for the uploader's target "dir" and for the receiver of other hosts'
// recordings alike.
//
// A file gets its name when its bytes are known to be the right ones and are on
// disk, and keeps them: nothing is ever replaced. A directory is made when all
// above it are on disk, so that whoever finds one has only it and its name to
// sync.
package store

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"

	"castgate/upload/client"
	"castgate/upload/manifest"
)

// Modes of what the archive's readers, its group, may see; they are receivers
// too, and make directories. mkdir(2) hands group and setgid bit of the parent
// on. There is no chmod here: RestrictSUIDSGID= of the unit forbids the bit.
const (
	DirMode  = 0o770
	FileMode = 0o640
)

// Dir is an archive in a directory, or a directory of it. All names are looked up
// within it: a symbolic link that somebody planted can't lead out.
type Dir struct{ *os.Root }

// Open opens the archive at p.
func Open(p string) (Dir, error) {
	root, err := os.OpenRoot(p)
	if err != nil {
		return Dir{}, fmt.Errorf("open the archive: %w", err)
	}
	return Dir{root}, nil
}

// Below opens a directory, and makes it first where it is missing. An os.Root
// looks every element of a path up at every call, five directories for each of
// ours: who stores several files does so below the last of them.
func (d Dir) Below(dir string) (Dir, error) {
	at, err := d.OpenRoot(dir)
	if errors.Is(err, fs.ErrNotExist) {
		if err := d.Make(dir); err != nil {
			return Dir{}, err
		}
		at, err = d.OpenRoot(dir)
	}
	if err != nil {
		return Dir{}, fmt.Errorf("open a directory of the archive: %w", err)
	}
	return Dir{at}, nil
}

// Make makes dir and those above it, each on disk before the next. One that
// another program has just made may not be yet.
func (d Dir) Make(dir string) error {
	if info, err := d.Stat(dir); err == nil && info.IsDir() {
		return nil
	}
	at := "."
	for elem := range strings.SplitSeq(dir, "/") {
		parent := at
		at = path.Join(at, elem)
		if err := d.Mkdir(at, DirMode); err != nil && !errors.Is(err, fs.ErrExist) {
			return fmt.Errorf("make a directory of the archive: %w", err)
		}
		if err := SyncDir(d.Root, parent); err != nil {
			return err
		}
	}
	return nil
}

// Sync makes the names in dir, and its own, lasting.
func (d Dir) Sync(dir string) error {
	return errors.Join(SyncDir(d.Root, dir), SyncDir(d.Root, path.Dir(dir)))
}

// Put stores what open reads, if it has that SHA-256, under a new name. Where the
// name is taken, by the same bytes, it is done. The temporary name is the same at
// every try, so that a crash leaves at most one behind, and the next try takes it
// away. The caller syncs the directory.
func (d Dir) Put(name, sha256 string, open func() (io.ReadSeekCloser, error)) error {
	tmp, err := d.Temp(".new." + name)
	if err != nil {
		return err
	}
	defer tmp.Discard()
	if there, err := d.has(name, sha256); there || err != nil {
		return err
	}
	in, err := open()
	if err != nil {
		return fmt.Errorf("store in the archive: %w", err)
	}
	defer in.Close()
	sum := manifest.NewHasher(tmp)
	if _, err := io.Copy(sum, in); err != nil {
		return fmt.Errorf("store in the archive: %w", err)
	}
	if got := sum.Hex(); got != sha256 {
		return fmt.Errorf("store in the archive: %s changed while it waited: SHA-256 %s, not %s", name, got, sha256)
	}
	_, err = tmp.Keep(name, sha256)
	return err
}

// ErrOther says that other bytes have the name.
var ErrOther = errors.New("the archive has another")

// has reports whether name is there and has those bytes. It refuses others.
func (d Dir) has(name, sha256 string) (bool, error) {
	f, err := d.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("read what is in the archive: %w", err)
	}
	defer f.Close()
	sum := manifest.NewHasher(io.Discard)
	if _, err := io.Copy(sum, f); err != nil {
		return false, fmt.Errorf("read what is in the archive: %w", err)
	}
	if got := sum.Hex(); got != sha256 {
		return false, client.Refuse("%w %q (SHA-256 %s, not %s)", ErrOther, name, got, sha256)
	}
	return true, nil
}
