// SPDX-License-Identifier: AGPL-3.0-or-later

// Package spool is the directory between castgate-wrap, which writes
// recordings, and castgate-upload, which delivers them:
//
//	live/<id>.cast      being written: its writer holds flock(2) on it
//	incoming/<id>.cast  finished, or taken over from a writer that died
//	bad/<id>.cast       can't be read or will never be accepted; <id>.cast.txt says why
//	kept/<id>.cast      delivered, and kept for a while where upload.yaml says so
//
// Alive or dead is a lock, not a name: the kernel lets go of a lock however
// its holder ends. The directories are on one file system, so that a
// rename between them is atomic, and belong to root:castgate, mode 0770, below
// a directory of mode 0750: who isn't in the group can't reach a file, not
// even their own.
package spool

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Suffix ends the name of every recording.
const Suffix = ".cast"

// The directories of a spool.
const (
	Live     = "live"
	Incoming = "incoming"
	Bad      = "bad"
	Kept     = "kept"
)

// ErrAlive says that a recording's writer lives.
var ErrAlive = errors.New("the recording is still being written")

// ValidID reports whether id is a recording's name: a UUIDv7 (RFC 9562), lower
// case.
func ValidID(id string) bool {
	if len(id) != 36 || id[14] != '7' || strings.IndexByte("89ab", id[19]) < 0 {
		return false
	}
	for i := range len(id) {
		if dash := i == 8 || i == 13 || i == 18 || i == 23; dash != (id[i] == '-') || !dash && !hexDigit(id[i]) {
			return false
		}
	}
	return true
}

func hexDigit(c byte) bool { return c >= '0' && c <= '9' || c >= 'a' && c <= 'f' }

// Dir is an open spool. Names are resolved beneath it (openat2 semantics of
// os.Root), so that nothing planted there leads out.
type Dir struct {
	Path string
	root *os.Root
}

// Open opens the spool at path.
func Open(path string) (*Dir, error) {
	root, err := os.OpenRoot(path)
	if err != nil {
		return nil, advise(fmt.Errorf("open the spool: %w", err), path)
	}
	return &Dir{path, root}, nil
}

// Close closes the directory, not the recordings created in it.
func (d *Dir) Close() error { return d.root.Close() }

// Create makes live/<id>.cast and locks it. The caller writes the header, then
// calls SyncLive, and only then lets the session begin.
func (d *Dir) Create(id string) (*os.File, error) {
	f, err := d.root.OpenFile(name(Live, id), os.O_WRONLY|os.O_CREATE|os.O_EXCL|os.O_APPEND, 0o640)
	if err != nil {
		return nil, advise(fmt.Errorf("create a recording: %w", err), d.Path)
	}
	// The uploader reads by the group, which the person's umask may have taken away.
	err = f.Chmod(0o640)
	if err == nil {
		err = lockNew(f)
	}
	if err != nil {
		f.Close()
		_ = d.root.Remove(name(Live, id))
		return nil, fmt.Errorf("lock the new recording: %w", err)
	}
	return f, nil
}

// lockNew waits for a moment: an uploader may be looking at the newborn file.
func lockNew(f *os.File) error {
	var err error
	for range 100 {
		if err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err == nil {
			return nil
		}
		time.Sleep(10 * time.Millisecond)
	}
	return err
}

// SyncLive makes the names in live/ durable.
func (d *Dir) SyncLive() error { return d.sync(Live) }

// Ready moves a recording from live/ to incoming/ and makes that durable. The
// caller has synced the file. It never replaces a file.
func (d *Dir) Ready(id string) error { return d.move(Live, Incoming, id) }

// Keep moves a delivered recording from incoming/ to kept/.
func (d *Dir) Keep(id string) error { return d.move(Incoming, Kept, id) }

// RemoveKept deletes a recording from kept/.
func (d *Dir) RemoveKept(id string) error { return d.root.Remove(name(Kept, id)) }

// sameNames bounds the search for a free name in bad/.
const sameNames = 100

// MoveAside puts any file of incoming/ aside, recording or not, under a name
// that is free in bad/, which it returns.
func (d *Dir) MoveAside(file string) (string, error) {
	for n := range sameNames {
		to := file
		if n > 0 {
			to = fmt.Sprintf("%s.%d", file, n)
		}
		if _, err := d.root.Lstat(filepath.Join(Bad, to)); err == nil {
			continue
		}
		if err := d.root.Rename(filepath.Join(Incoming, file), filepath.Join(Bad, to)); err != nil {
			return "", fmt.Errorf("move %q to %s/: %w", file, Bad, err)
		}
		return to, errors.Join(d.sync(Bad), d.sync(Incoming))
	}
	return "", fmt.Errorf("move %q to %s/: %w", file, Bad, fs.ErrExist)
}

// Explain writes bad/<file>.txt: why the file was put aside.
func (d *Dir) Explain(file, why string) error {
	f, err := d.root.OpenFile(filepath.Join(Bad, file+".txt"), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o640)
	if err != nil {
		return fmt.Errorf("say why %q was put aside: %w", file, err)
	}
	_, err = f.WriteString(why + "\n")
	return errors.Join(err, f.Close())
}

// maxReason bounds what Reason reads.
const maxReason = 4 << 10

// Reason returns what Explain wrote about a file in bad/.
func (d *Dir) Reason(file string) (string, error) {
	f, err := d.root.Open(filepath.Join(Bad, file+".txt"))
	if err != nil {
		return "", err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxReason))
	return strings.TrimSpace(string(text)), err
}

// Stat describes the file of a recording in sub.
func (d *Dir) Stat(sub, id string) (fs.FileInfo, error) { return d.root.Lstat(name(sub, id)) }

// Remove deletes a delivered recording from incoming/.
func (d *Dir) Remove(id string) error {
	if err := d.root.Remove(name(Incoming, id)); err != nil {
		return fmt.Errorf("remove a delivered recording: %w", err)
	}
	return d.sync(Incoming)
}

// Discard deletes a recording that never began, its writer's own, from live/.
func (d *Dir) Discard(id string) error { return d.root.Remove(name(Live, id)) }

func (d *Dir) move(from, to, id string) error {
	if _, err := d.root.Lstat(name(to, id)); err == nil {
		return fmt.Errorf("move %s to %s/: %w", name(from, id), to, fs.ErrExist)
	}
	if err := d.root.Rename(name(from, id), name(to, id)); err != nil {
		return fmt.Errorf("move a recording to %s/: %w", to, err)
	}
	return errors.Join(d.sync(to), d.sync(from))
}

func (d *Dir) sync(sub string) error {
	f, err := d.root.Open(sub)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := f.Sync(); err != nil {
		return fmt.Errorf("sync %s/: %w", sub, err)
	}
	return nil
}

func name(sub, id string) string { return filepath.Join(sub, id+Suffix) }

// batchSize is how many names of a directory are in memory at a time.
const batchSize = 512

// Names calls yield with the id of each recording in sub, a batch at a time so
// that a directory of any size takes bounded memory. What isn't a recording's
// name is passed to other, which may be nil. yield may move or remove files.
func (d *Dir) Names(sub string, yield func(id string) error, other func(name string)) error {
	f, err := d.root.Open(sub)
	if err != nil {
		return advise(fmt.Errorf("list the spool: %w", err), d.Path)
	}
	defer f.Close()
	for {
		batch, err := f.Readdirnames(batchSize)
		for _, n := range batch {
			id, ok := strings.CutSuffix(n, Suffix)
			if !ok || !ValidID(id) {
				if other != nil {
					other(n)
				}
				continue
			}
			if err := yield(id); err != nil {
				return err
			}
		}
		if len(batch) == 0 {
			return ignoreEOF(err)
		}
	}
}

// Open opens a recording in sub for reading. It refuses what no recorder makes:
// a link, a device, a file with a second name.
func (d *Dir) Open(sub, id string) (*os.File, error) {
	// os.Root follows links that stay inside, whatever the flags say, so the
	// file that was opened is held against what bears the name.
	named, err := d.root.Lstat(name(sub, id))
	if err != nil {
		return nil, err
	}
	f, err := d.root.OpenFile(name(sub, id), os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	opened, err := f.Stat()
	if err == nil && (!os.SameFile(named, opened) || !opened.Mode().IsRegular() || links(opened) > 1) {
		err = fmt.Errorf("%s is not a recording: mode %v, %d links", name(sub, id), named.Mode(), links(named))
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

func links(info fs.FileInfo) uint64 { return uint64(info.Sys().(*syscall.Stat_t).Nlink) }

// newborn is how long a file may be empty: its writer locks it and writes the
// header right after creating it.
const newborn = time.Minute

// TakeOrphan locks the recording in live/ if its writer is dead and moves it to
// incoming/. It returns ErrAlive when it isn't dead, or was born just now.
func (d *Dir) TakeOrphan(id string) error {
	f, err := d.Open(Live, id)
	if err != nil {
		return err
	}
	defer f.Close() // lets go of the lock
	st, err := f.Stat()
	if err != nil {
		return err
	}
	if st.Size() == 0 && time.Since(st.ModTime()) < newborn {
		return ErrAlive
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		if errors.Is(err, unix.EWOULDBLOCK) {
			return ErrAlive
		}
		return fmt.Errorf("lock %s: %w", name(Live, id), err)
	}
	return d.Ready(id)
}

// Alive reports whether the recording in live/ has a living writer.
func (d *Dir) Alive(id string) (bool, error) {
	f, err := d.Open(Live, id)
	if err != nil {
		return false, err
	}
	defer f.Close()
	err = unix.Flock(int(f.Fd()), unix.LOCK_SH|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		return true, nil
	}
	return false, err
}

// Free returns the bytes that an unprivileged writer may still fill.
func (d *Dir) Free() (uint64, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(d.Path, &st); err != nil {
		return 0, fmt.Errorf("ask for the free space of %q: %w", d.Path, err)
	}
	return st.Bavail * uint64(st.Bsize), nil
}
