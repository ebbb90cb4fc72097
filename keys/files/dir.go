// SPDX-License-Identifier: AGPL-3.0-or-later

// Package files keeps a directory of small files for processes that live for
// milliseconds and run at the same time: each file is read whole, replaced whole
// by rename, and may be locked. It knows nothing of what is in them. The
// directory must be one that nobody else may write, and what root writes there
// belongs to the directory's owner.
package files

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"

	"castgate/wrap/hint"
)

// Dir is an open directory. Without one (nil) nothing is kept, and nothing is
// an error.
type Dir struct {
	Path string
	UID  int // who owns the files: the owner of the directory

	root *os.Root
	gid  int

	// What could not be written counts in this process all the same (Write).
	unwritten map[string][]byte
}

// Make opens a directory, and makes it first when it may. One that root has to
// make, because somebody removed it, is made for the user uid; -1 stands for
// nobody in particular.
func Make(dir string, mode fs.FileMode, uid int) (*Dir, error) {
	err := os.Mkdir(dir, mode)
	if err == nil && uid > 0 && os.Geteuid() == 0 {
		err = os.Lchown(dir, uid, -1)
	}
	if err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, err
	}
	return Open(dir)
}

// Open opens a directory that nobody else may write.
func Open(dir string) (*Dir, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	d := &Dir{Path: dir, root: root}
	if err := d.trusted(); err != nil {
		_ = root.Close()
		return nil, err
	}
	return d, nil
}

func (d *Dir) trusted() error {
	info, err := d.root.Stat(".")
	if err != nil {
		return err
	}
	st := info.Sys().(*syscall.Stat_t)
	d.UID, d.gid = int(st.Uid), int(st.Gid)
	if d.UID != os.Geteuid() && d.UID != 0 && os.Geteuid() != 0 {
		return hint.Add(fmt.Errorf("%q belongs to uid %d", d.Path, d.UID), "run it as root or as castgate-keys")
	}
	if info.Mode().Perm()&0o022 != 0 {
		return hint.Addf(fmt.Errorf("%q may be written by others (mode %04o)", d.Path, info.Mode().Perm()), "chmod 0755 %s", d.Path)
	}
	return nil
}

// Close gives the directory back.
func (d *Dir) Close() { _ = d.root.Close() }

// Public makes a directory in it that others may read, whatever the umask says.
func (d *Dir) Public(name string) error {
	if err := d.mkdir(name); err != nil {
		return err
	}
	return d.root.Chmod(name, 0o755)
}

func (d *Dir) mkdir(name string) error {
	if err := d.root.Mkdir(name, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	if os.Geteuid() == 0 {
		return d.root.Lchown(name, d.UID, d.gid)
	}
	return nil
}

// own gives a file that root wrote to the owner of the directory, and sets the
// mode whatever the umask said.
func (d *Dir) own(f *os.File, mode fs.FileMode) error {
	if err := f.Chmod(mode); err != nil {
		return err
	}
	if os.Geteuid() == 0 {
		return f.Chown(d.UID, d.gid)
	}
	return nil
}
