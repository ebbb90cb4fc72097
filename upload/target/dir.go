// SPDX-License-Identifier: AGPL-3.0-or-later

package target

import (
	"context"
	"fmt"
	"path"
	"path/filepath"

	"castgate/upload/store"
)

// DirConfig is the target "dir": an archive in a directory of this host.
type DirConfig struct {
	Path string `yaml:"path"`
}

type dir struct{ path string }

func newDir(c DirConfig) (Target, error) {
	if !filepath.IsAbs(c.Path) {
		return nil, fmt.Errorf("dir.path: %q is not an absolute path", c.Path)
	}
	return &dir{filepath.Clean(c.Path)}, nil
}

// DirName is the name of the target for the archive at path.
func DirName(path string) string { return "dir:" + path }

func (t *dir) Name() string { return DirName(t.path) }

// Deliver implements Target.
func (t *dir) Deliver(ctx context.Context, d *Delivery) (Receipt, error) {
	archive, err := store.Open(t.path)
	if err != nil {
		return Receipt{}, err
	}
	defer archive.Close()
	at, err := archive.Below(d.Manifest.Dir())
	if err != nil {
		return Receipt{}, err
	}
	defer at.Close()
	for _, o := range d.objects() {
		if err := ctx.Err(); err != nil {
			return Receipt{}, err
		}
		if err := at.Put(path.Base(d.Manifest.Path(o.suffix)), o.SHA256, o.Open); err != nil {
			return Receipt{}, err
		}
	}
	if err := archive.Sync(d.Manifest.Dir()); err != nil {
		return Receipt{}, err
	}
	where := filepath.Join(t.path, d.Manifest.Path(d.Manifest.StoredSuffix()))
	return Receipt{d.Manifest.Stored.SHA256, d.Manifest.Stored.Bytes, where}, nil
}
