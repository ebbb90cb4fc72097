// SPDX-License-Identifier: AGPL-3.0-or-later

package bucket

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"path"

	"github.com/minio/minio-go/v7"

	"castgate/upload/client"
	"castgate/upload/manifest"
)

// Object is what is to be stored.
type Object struct {
	manifest.Object
	Open func() (io.ReadSeekCloser, error)
}

// Store puts o at a name, or finds that it is there. It never replaces: a PUT
// creates only (If-None-Match: *), is bound to the object's SHA-256 by the
// signature and by x-amz-checksum-sha256, and takes an object lock where one is
// asked for. Where the key exists its bytes are compared; that they are others
// is a *client.Refused.
func (b *Bucket) Store(ctx context.Context, name string, o Object) (created bool, err error) {
	key := b.key(name)
	if b.Parts.Count(o.Bytes) > 0 {
		return b.multipart(ctx, key, o)
	}
	var got minio.UploadInfo
	err = b.send(ctx, "put "+key, o.Open, func(ctx context.Context, body io.Reader) (err error) {
		got, err = b.core.PutObject(ctx, b.config.Bucket, key, body, o.Bytes, "", o.SHA256, b.createOnly(o))
		return err
	})
	switch {
	case answered(err, http.StatusPreconditionFailed):
		return false, b.compare(ctx, key, o.Object, toBase64(o.SHA256))
	case err != nil:
		return false, err
	case got.ChecksumSHA256 != "" && got.ChecksumSHA256 != toBase64(o.SHA256):
		return false, fmt.Errorf("put %s: the server says that it stored SHA-256 %q", key, got.ChecksumSHA256)
	}
	return true, nil
}

// Put is Store for the archive's receiver: created is false when the same bytes
// are there already, and the error is fs.ErrExist when others are.
func (b *Bucket) Put(name string, size int64, sum [sha256.Size]byte, open func() (io.ReadSeekCloser, error)) (created bool, err error) {
	if !fs.ValidPath(name) || name == "." {
		return false, &fs.PathError{Op: "put", Path: name, Err: fs.ErrInvalid}
	}
	o := Object{manifest.Object{Bytes: size, SHA256: hex.EncodeToString(sum[:])}, open}
	created, err = b.Store(context.Background(), name, o)
	if errors.Is(err, errOther) {
		err = &fs.PathError{Op: "put", Path: name, Err: fs.ErrExist}
	}
	return created, err
}

// createOnly returns what makes an object new and lasting.
func (b *Bucket) createOnly(o Object) minio.PutObjectOptions {
	opts := b.lasting()
	opts.SetMatchETagExcept("*")
	opts.UserMetadata = map[string]string{checksumHeader: toBase64(o.SHA256)}
	return opts
}

const checksumHeader = "X-Amz-Checksum-Sha256"

// lasting returns the object lock, if there is to be one.
func (b *Bucket) lasting() minio.PutObjectOptions {
	opts := minio.PutObjectOptions{DisableContentSha256: true} // of pieces: that of the whole is signed
	if b.config.Retain > 0 {
		opts.Mode, opts.RetainUntilDate = minio.Compliance, b.clock.now().Add(b.config.Retain)
	}
	return opts
}

var errOther = errors.New("the bucket has another")

// compare looks at what is at key already: an earlier try of ours, whose answer
// was lost, or something else. It is fs.ErrNotExist when nothing is.
func (b *Bucket) compare(ctx context.Context, key string, o manifest.Object, checksum string) error {
	there, err := b.stat(ctx, key)
	if err != nil {
		return err
	}
	// The length first: the checksum is what the server remembers of the object.
	if there.Size != o.Bytes {
		return client.Refuse("%w %q (%d bytes, not %d)", errOther, key, there.Size, o.Bytes)
	}
	if there.ChecksumSHA256 == checksum {
		return nil
	}
	// The server kept no checksum, or one of another kind: read the object.
	got, err := b.hash(ctx, key)
	if err != nil {
		return err
	}
	if got != o.SHA256 {
		return client.Refuse("%w %q (SHA-256 %s, not %s)", errOther, key, got, o.SHA256)
	}
	return nil
}

func (b *Bucket) stat(ctx context.Context, key string) (info minio.ObjectInfo, err error) {
	err = b.ask(ctx, "look at "+key, func(ctx context.Context) (err error) {
		info, err = b.core.StatObject(ctx, b.config.Bucket, key, minio.StatObjectOptions{Checksum: true})
		return err
	})
	if absent(err) {
		err = fs.ErrNotExist
	}
	return info, err
}

// get begins to read an object. The body may be read for as long as it is
// played, so it does not end with the request.
func (b *Bucket) get(ctx context.Context, key string) (f *bucketFile, err error) {
	err = b.ask(ctx, "read "+key, func(ctx context.Context) error {
		body, info, _, err := b.core.GetObject(ctx, b.config.Bucket, key, minio.GetObjectOptions{})
		if err == nil {
			f = &bucketFile{body, bucketInfo{path.Base(key), max(info.Size, 0), info.LastModified, false}}
		}
		return err
	})
	if absent(err) {
		err = fs.ErrNotExist
	}
	return f, err
}

func (b *Bucket) hash(ctx context.Context, key string) (string, error) {
	f, err := b.get(ctx, key)
	if err != nil {
		return "", err
	}
	defer f.Close()
	sum := manifest.NewHasher(io.Discard)
	if _, err := io.Copy(sum, f); err != nil {
		return "", fmt.Errorf("read %s: %w", key, err)
	}
	return sum.Hex(), nil
}

// each goes through the objects, and where opts are not recursive the
// directories, below a prefix. It may have to begin again.
func (b *Bucket) each(ctx context.Context, opts minio.ListObjectsOptions, begin func(), take func(o minio.ObjectInfo) (more bool)) error {
	opts.FetchOwner = new(bool)
	return b.ask(ctx, "list "+opts.Prefix, func(ctx context.Context) error {
		begin()
		for o := range b.core.ListObjectsIter(ctx, b.config.Bucket, opts) {
			if o.Err != nil {
				return o.Err
			}
			if !take(o) {
				return nil
			}
		}
		return ctx.Err() // the list ends there without a word
	})
}

func toBase64(hexSum string) string {
	sum, _ := hex.DecodeString(hexSum)
	return base64.StdEncoding.EncodeToString(sum)
}
