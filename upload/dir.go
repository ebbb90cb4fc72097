// SPDX-License-Identifier: AGPL-3.0-or-later

package upload

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"castgate/upload/client"
	"castgate/upload/manifest"
)

// DirConfig is the target "dir": an archive in a directory of this host.
type DirConfig struct {
	Path string `yaml:"path"`
}

// Modes of what the archive's readers, its group, may see; they are receivers
// too, and make directories. mkdir(2) hands group and setgid bit of the parent
// on. There is no chmod here: RestrictSUIDSGID= of the unit forbids the bit.
const (
	archiveDirMode  = 0o770
	archiveFileMode = 0o640
)

type dirTarget struct{ path string }

func (t *dirTarget) Name() string { return "dir:" + t.path }

// Deliver implements Target.
func (t *dirTarget) Deliver(ctx context.Context, d *Delivery) (Receipt, error) {
	root, err := os.OpenRoot(t.path)
	if err != nil {
		return Receipt{}, fmt.Errorf("open the archive: %w", err)
	}
	defer root.Close()
	dir, err := openDirs(root, d.Manifest.Dir())
	if err != nil {
		return Receipt{}, err
	}
	defer dir.Close()
	for _, o := range d.objects() {
		if err := ctx.Err(); err != nil {
			return Receipt{}, err
		}
		if err := storeFile(dir, path.Base(d.Manifest.Path(o.suffix)), o); err != nil {
			return Receipt{}, err
		}
	}
	if err := syncDir(dir, "."); err != nil {
		return Receipt{}, err
	}
	where := filepath.Join(t.path, d.Manifest.Path(d.Manifest.StoredSuffix()))
	return Receipt{d.Manifest.Stored.SHA256, d.Manifest.Stored.Bytes, where}, nil
}

// openDirs opens dir below root, and makes it first where it is missing. An
// os.Root looks every element of a path up at every call, five directories for
// each of ours, so the files are stored below the last of them.
func openDirs(root *os.Root, dir string) (*os.Root, error) {
	at, err := root.OpenRoot(dir)
	if errors.Is(err, fs.ErrNotExist) {
		if err := makeDirs(root, dir); err != nil {
			return nil, err
		}
		at, err = root.OpenRoot(dir)
	}
	if err != nil {
		return nil, fmt.Errorf("open a directory of the archive: %w", err)
	}
	return at, nil
}

// makeDirs makes dir below root, durably.
func makeDirs(root *os.Root, dir string) error {
	at := "."
	for elem := range strings.SplitSeq(dir, "/") {
		parent := at
		at = path.Join(at, elem)
		switch err := root.Mkdir(at, archiveDirMode); {
		case errors.Is(err, fs.ErrExist):
			continue
		case err != nil:
			return fmt.Errorf("make a directory of the archive: %w", err)
		}
		if err := syncDir(root, parent); err != nil {
			return err
		}
	}
	return nil
}

// storeFile writes o to name without ever replacing a file. The temporary name
// is the same at every try, so that a crash leaves at most one behind, and the
// next try takes it away.
func storeFile(dir *os.Root, name string, o object) error {
	tmp := ".new." + name
	if err := dir.Remove(tmp); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove what was left of a delivery: %w", err)
	}
	if done, err := alreadyThere(dir, name, o); done || err != nil {
		return err
	}
	err := writeFile(dir, tmp, o)
	if err == nil {
		if err = dir.Link(tmp, name); errors.Is(err, fs.ErrExist) {
			_, err = alreadyThere(dir, name, o)
		}
	}
	if gone := dir.Remove(tmp); err == nil && gone != nil {
		err = gone
	}
	if err != nil {
		return fmt.Errorf("store in the archive: %w", err)
	}
	return nil
}

func writeFile(root *os.Root, name string, o object) (err error) {
	in, err := o.Open()
	if err != nil {
		return err
	}
	defer in.Close()
	f, err := root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, archiveFileMode)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	sum := manifest.NewHasher(f)
	if _, err := io.Copy(sum, in); err != nil {
		return err
	}
	if got := sum.Hex(); got != o.SHA256 {
		return fmt.Errorf("%s changed while it waited: SHA-256 %s, not %s", o.suffix, got, o.SHA256)
	}
	return f.Sync()
}

// alreadyThere reports whether name holds o's bytes: an earlier try was cut
// off. It refuses when name holds others.
func alreadyThere(root *os.Root, name string, o object) (bool, error) {
	f, err := root.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("read what is in the archive: %w", err)
	}
	defer f.Close()
	sum := sha256.New()
	if _, err := io.Copy(sum, f); err != nil {
		return false, fmt.Errorf("read what is in the archive: %w", err)
	}
	if got := hex.EncodeToString(sum.Sum(nil)); got != o.SHA256 {
		return false, client.Refuse("the archive has another %q (SHA-256 %s, not %s)", name, got, o.SHA256)
	}
	return true, nil
}

func syncDir(root *os.Root, name string) error {
	f, err := root.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := f.Sync(); err != nil {
		return fmt.Errorf("sync the archive's directory: %w", err)
	}
	return nil
}
