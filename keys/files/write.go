// SPDX-License-Identifier: AGPL-3.0-or-later

package files

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strconv"
	"syscall"
	"time"
)

// maxFile bounds what is read back: a team of 10,000 is 600 KB.
const maxFile = 64 << 20

// Load reads a JSON file into v. Anything wrong with it makes it absent.
func (d *Dir) Load(name string, v any) bool {
	body, err := d.Read(name)
	return err == nil && json.Unmarshal(body, v) == nil
}

// Read returns what a file says, or was to say.
func (d *Dir) Read(name string) ([]byte, error) {
	if d == nil {
		return nil, fs.ErrNotExist
	}
	if body, ok := d.unwritten[name]; ok {
		return body, nil
	}
	f, err := d.root.OpenFile(name, os.O_RDONLY|syscall.O_NOFOLLOW, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, maxFile))
}

// Save writes a JSON file. A directory that can't be written costs speed, never
// a login: the error is for those who want to say so, and for those who have to
// see to it that nothing older counts.
func (d *Dir) Save(name string, mode fs.FileMode, v any) error {
	if d == nil {
		return nil
	}
	body, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return d.Write(name, mode, append(body, '\n'))
}

// Write replaces a file whole. What can't be written is kept for as long as the
// process lives.
func (d *Dir) Write(name string, mode fs.FileMode, body []byte) error {
	err := d.replace(name, mode, body, false)
	if delete(d.unwritten, name); err != nil {
		d.hold(name, body)
		return fmt.Errorf("write the cache: %w", err)
	}
	return nil
}

// WriteNew leaves a file alone that says the same.
func (d *Dir) WriteNew(name string, mode fs.FileMode, body []byte) error {
	if old, err := d.root.ReadFile(name); err == nil && string(old) == string(body) {
		return nil
	}
	return d.Write(name, mode, body)
}

// WriteDurably replaces a file so that it survives a crash, and fails otherwise.
func (d *Dir) WriteDurably(name string, mode fs.FileMode, body []byte) error {
	return d.replace(name, mode, body, true)
}

func (d *Dir) hold(name string, body []byte) {
	if d.unwritten == nil {
		d.unwritten = map[string][]byte{}
	}
	d.unwritten[name] = body
}

// Hold is Save for as long as the process lives.
func (d *Dir) Hold(name string, v any) error {
	body, err := json.Marshal(v)
	if err == nil && d != nil {
		d.hold(name, body)
	}
	return err
}

// replace writes a temporary file, then renames it. Without durable the data is
// not synced: after a crash a file may be empty, which Load takes for absent.
func (d *Dir) replace(name string, mode fs.FileMode, body []byte, durable bool) error {
	// The time as well: pids are not unique across containers.
	tmp := name + "." + strconv.Itoa(os.Getpid()) + "." + strconv.FormatInt(time.Now().UnixNano(), 36) + tmpSuffix
	f, err := d.create(tmp, mode)
	if err != nil {
		return err
	}
	_, err = f.Write(body)
	if err == nil {
		err = d.own(f, mode)
	}
	if err == nil && durable {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = d.root.Rename(tmp, name)
	}
	if err != nil {
		_ = d.root.Remove(tmp)
	}
	if err == nil && durable {
		err = d.sync(path.Dir(name))
	}
	return err
}

// sync writes to the disk which names a directory has.
func (d *Dir) sync(name string) error {
	f, err := d.root.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	return f.Sync()
}

const tmpSuffix = ".tmp"

func (d *Dir) create(name string, mode fs.FileMode) (*os.File, error) {
	const flags = os.O_WRONLY | os.O_CREATE | os.O_EXCL | syscall.O_NOFOLLOW
	f, err := d.root.OpenFile(name, flags, mode)
	switch {
	case errors.Is(err, fs.ErrExist): // left by a process that died with our pid
		_ = d.root.Remove(name)
	case errors.Is(err, fs.ErrNotExist):
		if err := d.mkdir(path.Dir(name)); err != nil {
			return nil, err
		}
	default:
		return f, err
	}
	return d.root.OpenFile(name, flags, mode)
}

// Link makes a symbolic link, or replaces one.
func (d *Dir) Link(name, target string) error {
	if old, err := d.root.Readlink(name); err == nil && old == target {
		return nil
	}
	tmp := name + tmpSuffix
	_ = d.root.Remove(tmp)
	if err := d.root.Symlink(target, tmp); err != nil {
		return err
	}
	return d.root.Rename(tmp, name)
}

// Remove removes a file that may be there.
func (d *Dir) Remove(name string) error {
	if d == nil {
		return nil
	}
	delete(d.unwritten, name)
	if err := d.root.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// Discard removes a file whose text is wrong; what was to be written in its place
// stays in this process.
func (d *Dir) Discard(name string) error { return d.root.Remove(name) }

// RemoveDurably removes it so that it does not come back after a crash.
func (d *Dir) RemoveDurably(name string) error {
	if err := d.Remove(name); err != nil {
		return err
	}
	return d.sync(path.Dir(name))
}
