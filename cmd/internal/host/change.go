// SPDX-License-Identifier: AGPL-3.0-or-later

package host

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
)

// change is something as it is and as it shall be.
type change interface {
	name() string
	needed() bool
	show(w io.Writer) error
	apply() error
	undone() change
}

// fileChange is a file as it is and as it shall be; nil is no file.
type fileChange struct {
	path          string
	before, after []byte
}

// newChange reads what there is now.
func newChange(path string, after []byte) (fileChange, error) {
	before, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		before, err = nil, nil
	}
	return fileChange{path, before, after}, err
}

func (c fileChange) name() string { return c.path }

func (c fileChange) needed() bool {
	return (c.before == nil) != (c.after == nil) || !bytes.Equal(c.before, c.after)
}

func (c fileChange) undone() change { return fileChange{c.path, c.after, c.before} }

// apply puts the file into place whole, or takes it away.
func (c fileChange) apply() error {
	if c.after == nil {
		return os.Remove(c.path)
	}
	return write(c.path, c.after, 0o644)
}

// write replaces a file in one step, so that sshd never reads half of it.
func write(path string, text []byte, mode fs.FileMode) error {
	// sshd_config.d is read by *.conf: the half-written file is not.
	tmp, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	defer os.Remove(tmp.Name()) // fails once it has its name
	_, err = tmp.Write(text)
	err = errors.Join(err, tmp.Chmod(mode), tmp.Sync(), tmp.Close())
	if err != nil {
		return err
	}
	if err := os.Rename(tmp.Name(), path); err != nil {
		return err
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	defer dir.Close()
	return dir.Sync()
}

// show prints the change as diff(1) does.
func (c fileChange) show(w io.Writer) error {
	cmd := exec.Command("diff", "-u", "--label", c.path, "--label", c.path+" (new)", "/dev/fd/3", "/dev/fd/4")
	cmd.Stdout = w
	for _, text := range [][]byte{c.before, c.after} {
		r, err := pipe(text)
		if err != nil {
			return err
		}
		defer r.Close()
		cmd.ExtraFiles = append(cmd.ExtraFiles, r)
	}
	err := cmd.Run()
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.ExitCode() == 1 {
		return nil // diff(1): they differ
	}
	return err
}

// pipe returns a file that reads as text.
func pipe(text []byte) (*os.File, error) {
	r, w, err := os.Pipe()
	if err == nil {
		go func() { _, _ = w.Write(text); w.Close() }()
	}
	return r, err
}

// changes are made together or not at all.
type changes []change

func (all changes) apply() error {
	for i, c := range all {
		if err := c.apply(); err != nil {
			return errors.Join(fmt.Errorf("change %q: %w", c.name(), err), all[:i].undo())
		}
	}
	return nil
}

// undo takes the changes back, the last first.
func (all changes) undo() error {
	var errs []error
	for i := len(all) - 1; i >= 0; i-- {
		errs = append(errs, all[i].undone().apply())
	}
	return errors.Join(errs...)
}
