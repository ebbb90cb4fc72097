// SPDX-License-Identifier: AGPL-3.0-or-later

package bucket

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"path"
	"strings"
	"time"

	"github.com/minio/minio-go/v7"
)

// Open implements fs.FS.
func (b *Bucket) Open(name string) (fs.File, error) {
	if !fs.ValidPath(name) {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrInvalid}
	}
	if name == "." {
		return &bucketDir{b, name}, nil
	}
	f, err := b.get(context.Background(), b.key(name))
	if errors.Is(err, fs.ErrNotExist) {
		if info, statErr := b.Stat(name); statErr == nil && info.IsDir() {
			return &bucketDir{b, name}, nil
		}
	}
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: name, Err: err}
	}
	return f, nil
}

// ReadDir implements fs.ReadDirFS.
func (b *Bucket) ReadDir(name string) ([]fs.DirEntry, error) {
	if !fs.ValidPath(name) {
		return nil, &fs.PathError{Op: "readdir", Path: name, Err: fs.ErrInvalid}
	}
	entries, err := b.list(name, false)
	if err == nil && len(entries) == 0 && name != "." {
		err = fs.ErrNotExist
	}
	if err != nil {
		return nil, &fs.PathError{Op: "readdir", Path: name, Err: err}
	}
	return entries, nil
}

// Stat implements fs.StatFS.
func (b *Bucket) Stat(name string) (fs.FileInfo, error) {
	if !fs.ValidPath(name) {
		return nil, &fs.PathError{Op: "stat", Path: name, Err: fs.ErrInvalid}
	}
	dir := bucketInfo{name: path.Base(name), dir: true}
	if name == "." {
		return dir, nil
	}
	entries, err := b.list(name, true)
	if err == nil && len(entries) > 0 {
		return dir, nil
	}
	if err != nil {
		return nil, &fs.PathError{Op: "stat", Path: name, Err: err}
	}
	info, err := b.stat(context.Background(), b.key(name))
	if err != nil {
		return nil, &fs.PathError{Op: "stat", Path: name, Err: err}
	}
	return bucketInfo{path.Base(name), max(info.Size, 0), info.LastModified, false}, nil
}

// list lists a directory; one asks for the first entry only.
func (b *Bucket) list(name string, one bool) (entries []fs.DirEntry, err error) {
	prefix := b.key(name) + "/"
	if name == "." && b.config.Prefix == "" {
		prefix = ""
	}
	opts := minio.ListObjectsOptions{Prefix: prefix}
	if one {
		opts.MaxKeys = 1
	}
	err = b.each(context.Background(), opts, func() { entries = nil }, func(o minio.ObjectInfo) bool {
		name := strings.TrimPrefix(o.Key, prefix)
		dir := strings.HasSuffix(name, "/")
		entries = add(entries, bucketInfo{strings.TrimSuffix(name, "/"), o.Size, o.LastModified, dir})
		return !one || len(entries) == 0
	})
	return entries, err
}

// add leaves out keys that are no names of files: other programs' objects.
func add(entries []fs.DirEntry, info bucketInfo) []fs.DirEntry {
	if info.name == "" || !fs.ValidPath(info.name) || strings.ContainsRune(info.name, '/') {
		return entries
	}
	return append(entries, fs.FileInfoToDirEntry(info))
}

// bucketFile is an object that is being read.
type bucketFile struct {
	io.ReadCloser
	info bucketInfo
}

func (f *bucketFile) Stat() (fs.FileInfo, error) { return f.info, nil }

// bucketDir is a directory that was opened.
type bucketDir struct {
	b    *Bucket
	name string
}

func (d *bucketDir) Stat() (fs.FileInfo, error) {
	return bucketInfo{name: path.Base(d.name), dir: true}, nil
}
func (d *bucketDir) Close() error { return nil }
func (d *bucketDir) Read([]byte) (int, error) {
	return 0, &fs.PathError{Op: "read", Path: d.name, Err: errors.New("it is a directory")}
}

type bucketInfo struct {
	name     string
	size     int64
	modified time.Time
	dir      bool
}

func (i bucketInfo) Name() string       { return i.name }
func (i bucketInfo) Size() int64        { return i.size }
func (i bucketInfo) ModTime() time.Time { return i.modified }
func (i bucketInfo) IsDir() bool        { return i.dir }
func (i bucketInfo) Sys() any           { return nil }
func (i bucketInfo) Mode() fs.FileMode {
	if i.dir {
		return fs.ModeDir | 0o555
	}
	return 0o444
}
