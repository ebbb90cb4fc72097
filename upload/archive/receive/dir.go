// SPDX-License-Identifier: AGPL-3.0-or-later

package receive

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"sync"

	"golang.org/x/sys/unix"

	"castgate/upload/store"
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

// Dir is a store in a directory, or in a bucket with a directory at its side.
// All names are looked up within it (os.Root): a symbolic link that somebody
// planted can't lead out.
type Dir struct {
	root    store.Dir
	path    string
	free    int64
	objects Objects // nil: recordings are in the directory

	locks   liveLocks
	chainMu sync.Mutex
}

// OpenDir opens the store at p.
func OpenDir(p string) (*Dir, error) {
	root, err := store.Open(p)
	if err != nil {
		return nil, err
	}
	d := &Dir{root: root, path: p}
	for _, sub := range []string{tempDir, LiveDir, chainDir} {
		if err := root.MkdirAll(sub, store.DirMode); err != nil {
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

// temp makes a file beside the recordings for one that is to come.
func (d *Dir) temp(size int64) (*store.Temp, error) {
	if err := d.room(size); err != nil {
		return nil, err
	}
	return d.root.Temp(path.Join(tempDir, rand.Text()))
}

// keep gives the file its name, durably. It never replaces.
func (d *Dir) keep(t *store.Temp, n name, sum [sha256.Size]byte) (created bool, err error) {
	if d.objects != nil {
		return d.put(t, n, sum)
	}
	if err := d.root.Make(n.dir()); err != nil {
		return false, err
	}
	created, err = t.Keep(n.path(), hex.EncodeToString(sum[:]))
	if errors.Is(err, store.ErrOther) {
		return false, errTaken
	}
	if err != nil {
		return false, err
	}
	return created, d.root.Sync(n.dir()) // also of one whose writer may have died before it did
}

// put is keep for a bucket. Only when the bucket has it all is there a receipt.
func (d *Dir) put(t *store.Temp, n name, sum [sha256.Size]byte) (created bool, err error) {
	st, err := t.Stat()
	if err != nil {
		return false, err
	}
	created, err = d.objects.Put(n.path(), st.Size(), sum, func() (io.ReadSeekCloser, error) { return d.root.Open(t.Path()) })
	if errors.Is(err, fs.ErrExist) {
		return false, errTaken
	}
	return created, err
}
