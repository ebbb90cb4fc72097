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
	"net/http"
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

// Dir is a store in a directory. All names are looked up within it (os.Root):
// a symbolic link that somebody planted can't lead out.
type Dir struct {
	root *os.Root
	path string
	free int64

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
		return &refusal{http.StatusConflict, errors.New("other bytes are there under that name")}
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
