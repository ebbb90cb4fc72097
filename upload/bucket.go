// SPDX-License-Identifier: AGPL-3.0-or-later

package upload

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"path"
	"strconv"
	"strings"
	"time"

	"castgate/upload/manifest"
)

// BucketFS is a bucket seen as a file system: what an S3 target delivered, for
// the archive's readers and its receiver. A directory is the part of the keys
// between two slashes, as in every S3 browser. It has no times of its own.
type BucketFS struct{ t *s3Target }

// Bucket opens the bucket of an S3 target. What fs.FS can't carry, a deadline,
// each request has of its own.
func Bucket(c S3Config) (*BucketFS, error) {
	t, err := newS3Target(c)
	if err != nil {
		return nil, err
	}
	return &BucketFS{t.(*s3Target)}, nil
}

// Put stores an object under a new name; open gives its bytes, as often as they
// are needed. It never replaces: created is false when the same bytes are there
// already, and the error is fs.ErrExist when others are. The server checks the
// bytes against the hash.
func (b *BucketFS) Put(name string, size int64, sum [sha256.Size]byte, open func() (io.ReadSeekCloser, error)) (created bool, err error) {
	if !fs.ValidPath(name) || name == "." {
		return false, &fs.PathError{Op: "put", Path: name, Err: fs.ErrInvalid}
	}
	o := object{path.Base(name), manifest.Object{Bytes: size, SHA256: hex.EncodeToString(sum[:])}, open}
	created, err = b.t.store(context.Background(), b.key(name), o)
	if errors.Is(err, errOther) {
		err = &fs.PathError{Op: "put", Path: name, Err: fs.ErrExist}
	}
	return created, err
}

// maxPage bounds one page of a list: 1,000 keys of 1,024 bytes, escaped.
const maxPage = 16 << 20

func (b *BucketFS) key(name string) string {
	return strings.TrimPrefix(path.Join(b.t.c.Prefix, name), "/")
}

// Open implements fs.FS.
func (b *BucketFS) Open(name string) (fs.File, error) {
	if !fs.ValidPath(name) {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrInvalid}
	}
	if name == "." {
		return &bucketDir{b, name}, nil
	}
	resp, err := b.get(b.key(name), nil)
	if errors.Is(err, fs.ErrNotExist) {
		if info, statErr := b.Stat(name); statErr == nil && info.IsDir() {
			return &bucketDir{b, name}, nil
		}
	}
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: name, Err: err}
	}
	modified, _ := http.ParseTime(resp.Header.Get("Last-Modified"))
	return &bucketFile{resp.Body, bucketInfo{path.Base(name), max(resp.ContentLength, 0), modified, false}}, nil
}

// ReadDir implements fs.ReadDirFS.
func (b *BucketFS) ReadDir(name string) ([]fs.DirEntry, error) {
	if !fs.ValidPath(name) {
		return nil, &fs.PathError{Op: "readdir", Path: name, Err: fs.ErrInvalid}
	}
	entries, err := b.list(name, 0)
	if err == nil && len(entries) == 0 && name != "." {
		err = fs.ErrNotExist
	}
	if err != nil {
		return nil, &fs.PathError{Op: "readdir", Path: name, Err: err}
	}
	return entries, nil
}

// Stat implements fs.StatFS.
func (b *BucketFS) Stat(name string) (fs.FileInfo, error) {
	if !fs.ValidPath(name) {
		return nil, &fs.PathError{Op: "stat", Path: name, Err: fs.ErrInvalid}
	}
	dir := bucketInfo{name: path.Base(name), dir: true}
	if name == "." {
		return dir, nil
	}
	entries, err := b.list(name, 1)
	if err == nil && len(entries) > 0 {
		return dir, nil
	}
	if err != nil {
		return nil, &fs.PathError{Op: "stat", Path: name, Err: err}
	}
	info, err := b.head(b.key(name))
	if err != nil {
		return nil, &fs.PathError{Op: "stat", Path: name, Err: err}
	}
	return info, nil
}

func (b *BucketFS) head(key string) (info bucketInfo, err error) {
	answer, err := b.t.send(context.Background(), s3Request{method: http.MethodHead, key: key, sha256: emptySHA256})
	switch {
	case err != nil:
		return info, err
	case answer.status == http.StatusNotFound:
		return info, fs.ErrNotExist
	case answer.status != http.StatusOK:
		return info, answer.failure("look at " + key)
	}
	modified, _ := http.ParseTime(answer.header.Get("Last-Modified"))
	return bucketInfo{path.Base(key), max(answer.resp.ContentLength, 0), modified, false}, nil
}

// listPage is a page of ListObjectsV2's answer.
type listPage struct {
	IsTruncated           bool
	NextContinuationToken string
	Contents              []struct {
		Key          string
		Size         int64
		LastModified time.Time
	}
	CommonPrefixes []struct{ Prefix string }
}

// list lists a directory; at most one entry when most is 1.
func (b *BucketFS) list(name string, most int) ([]fs.DirEntry, error) {
	prefix := b.key(name) + "/"
	if name == "." && b.t.c.Prefix == "" {
		prefix = ""
	}
	q := url.Values{"list-type": {"2"}, "prefix": {prefix}, "delimiter": {"/"}}
	if most > 0 {
		q.Set("max-keys", strconv.Itoa(most))
	}
	var entries []fs.DirEntry
	for {
		var page listPage
		if err := b.page(q, &page); err != nil {
			return nil, err
		}
		for _, p := range page.CommonPrefixes {
			entries = add(entries, strings.TrimSuffix(strings.TrimPrefix(p.Prefix, prefix), "/"), bucketInfo{dir: true})
		}
		for _, o := range page.Contents {
			entries = add(entries, strings.TrimPrefix(o.Key, prefix), bucketInfo{size: o.Size, modified: o.LastModified})
		}
		if most > 0 || !page.IsTruncated || page.NextContinuationToken == "" {
			return entries, nil
		}
		q.Set("continuation-token", page.NextContinuationToken)
	}
}

// add leaves out keys that are no names of files: other programs' objects.
func add(entries []fs.DirEntry, name string, info bucketInfo) []fs.DirEntry {
	if name == "" || !fs.ValidPath(name) || strings.ContainsRune(name, '/') {
		return entries
	}
	info.name = name
	return append(entries, fs.FileInfoToDirEntry(info))
}

func (b *BucketFS) page(q url.Values, into *listPage) error {
	resp, err := b.get("", q)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	var text bytes.Buffer
	if _, err := io.Copy(&text, io.LimitReader(resp.Body, maxPage)); err != nil {
		return err
	}
	if err := xml.Unmarshal(text.Bytes(), into); err != nil {
		return fmt.Errorf("the list of the bucket: %w", err)
	}
	return nil
}

// get sends a GET request; the answer's body is the caller's to close. The
// body of a recording may be read for as long as it is played.
func (b *BucketFS) get(key string, q url.Values) (*http.Response, error) {
	u := b.t.at(key, q)
	r, err := http.NewRequest(http.MethodGet, u.String(), nil)
	if err != nil {
		return nil, err
	}
	r.URL = u
	ctx, cancel := context.WithTimeout(context.Background(), answerTime)
	defer cancel()
	if err := b.t.sign(ctx, r, emptySHA256); err != nil {
		return nil, err
	}
	resp, err := b.t.client.Do(r)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode == http.StatusOK {
		return resp, nil
	}
	defer resp.Body.Close()
	answer := &s3Answer{resp: resp, status: resp.StatusCode, header: resp.Header, at: time.Now(), text: readAnswer(resp)}
	switch {
	case answer.code() == "NoSuchBucket":
		return nil, answer.failure("read the bucket")
	case resp.StatusCode == http.StatusNotFound:
		return nil, fs.ErrNotExist
	}
	return nil, answer.failure("read the bucket")
}

// bucketFile is an object that is being read.
type bucketFile struct {
	io.ReadCloser
	info bucketInfo
}

func (f *bucketFile) Stat() (fs.FileInfo, error) { return f.info, nil }

// bucketDir is a directory that was opened.
type bucketDir struct {
	b    *BucketFS
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
