// SPDX-License-Identifier: AGPL-3.0-or-later

package receive

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"sync"

	"golang.org/x/sys/unix"
)

// SideDir is the directory within a store for what is no recording: uploads
// under way, live recordings, the audit log. No account's name begins with a
// dot, so it can't be one's directory.
const SideDir = ".castgate"

const (
	tempDir  = SideDir + "/incoming"
	chainDir = SideDir + "/chain"
)

// LiveDir has recordings that are still being written, <host>/<id>.cast.
const LiveDir = SideDir + "/live"

// Modes of the store: its group may read (design: root:castgate-archive 2770).
const (
	dirMode  = 0o770
	fileMode = 0o640
)

// Dir is a store in a directory, or in a bucket with a directory at its side.
// All names are looked up within it (os.Root): a symbolic link that somebody
// planted can't lead out.
type Dir struct {
	root    *os.Root
	path    string
	free    int64
	objects Objects // nil: recordings are in the directory

	locks   liveLocks
	chainMu sync.Mutex
}

// OpenDir opens the store at p.
func OpenDir(p string) (*Dir, error) {
	root, err := os.OpenRoot(p)
	if err != nil {
		return nil, err
	}
	d := &Dir{root: root, path: p}
	for _, sub := range []string{tempDir, LiveDir, chainDir} {
		if err := root.MkdirAll(sub, dirMode); err != nil {
			return nil, fmt.Errorf("prepare the store: %w", err)
		}
	}
	return d, d.sweep()
}

// Objects is a bucket for the recordings.
type Objects interface {
	fs.FS
	// Put stores bytes under a new name, once they are known to have that hash.
	// It never replaces: created is false when the same bytes are there already,
	// and the error is fs.ErrExist when others are.
	Put(name string, size int64, sum [sha256.Size]byte, open func() (io.ReadSeekCloser, error)) (created bool, err error)
}

// OpenBucket opens a store whose recordings are in a bucket; SideDir is in the
// directory side. Several servers may have the same bucket, each with a side of
// its own.
func OpenBucket(side string, bucket Objects) (*Dir, error) {
	d, err := OpenDir(side)
	if err == nil {
		d.objects = bucket
	}
	return d, err
}

// open opens a recording or its papers.
func (d *Dir) open(p string) (fs.File, error) {
	if d.objects != nil {
		return d.objects.Open(p)
	}
	return d.root.Open(p)
}

// sweep removes what uploads left behind when the server died under them. They
// never got a receipt, so their hosts still have them.
func (d *Dir) sweep() error {
	names, err := fs.Glob(d.root.FS(), tempDir+"/*")
	if err != nil {
		return err
	}
	for _, n := range names {
		if err := d.root.Remove(n); err != nil {
			return fmt.Errorf("prepare the store: %w", err)
		}
	}
	return nil
}

// temp is a file that has no name in the archive yet.
type temp struct {
	d    *Dir
	f    *os.File
	name string
}

// room fails when size more bytes would leave less than the reserve.
func (d *Dir) room(size int64) error {
	var st unix.Statfs_t
	if err := unix.Statfs(d.path, &st); err != nil {
		return err
	}
	if int64(st.Bavail)*int64(st.Bsize)-size < d.free {
		return errFull
	}
	return nil
}

func (d *Dir) temp(size int64) (*temp, error) {
	if err := d.room(size); err != nil {
		return nil, err
	}
	name := path.Join(tempDir, rand.Text())
	f, err := d.root.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, fileMode)
	if err != nil {
		return nil, err
	}
	return &temp{d, f, name}, nil
}

func (t *temp) discard() {
	_ = t.f.Close()
	_ = t.d.root.Remove(t.name)
}

// keep gives the file its name, durably. It never replaces: link(2) fails when
// the name is taken, and then the bytes are compared.
func (d *Dir) keep(t *temp, n name, sum [sha256.Size]byte) (created bool, err error) {
	if d.objects != nil {
		return d.put(t, n, sum)
	}
	if err := t.f.Sync(); err != nil {
		return false, err
	}
	if err := d.root.MkdirAll(n.dir(), dirMode); err != nil {
		return false, err
	}
	err = d.root.Link(t.name, n.path())
	if errors.Is(err, fs.ErrExist) {
		return false, d.same(n.path(), sum)
	}
	if err != nil {
		return false, err
	}
	return true, d.syncUp(n.dir())
}

// put is keep for a bucket. Only when the bucket has it all is there a receipt.
func (d *Dir) put(t *temp, n name, sum [sha256.Size]byte) (created bool, err error) {
	st, err := t.f.Stat()
	if err != nil {
		return false, err
	}
	created, err = d.objects.Put(n.path(), st.Size(), sum, func() (io.ReadSeekCloser, error) { return d.root.Open(t.name) })
	if errors.Is(err, fs.ErrExist) {
		return false, errTaken
	}
	return created, err
}

// same says whether the file at p has those bytes.
func (d *Dir) same(p string, sum [sha256.Size]byte) error {
	f, err := d.root.Open(p)
	if err != nil {
		return err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return err
	}
	if !bytes.Equal(h.Sum(nil), sum[:]) {
		return errTaken
	}
	return nil
}

// syncUp makes names durable: the directory and, since each may be new, those
// above it up to the root.
func (d *Dir) syncUp(p string) error {
	for {
		f, err := d.root.Open(p)
		if err != nil {
			return err
		}
		if err := errors.Join(f.Sync(), f.Close()); err != nil {
			return err
		}
		if p == "." {
			return nil
		}
		p = path.Dir(p)
	}
}
