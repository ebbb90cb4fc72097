// SPDX-License-Identifier: AGPL-3.0-or-later

package bucket

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"path"
	"strconv"

	"github.com/minio/minio-go/v7"

	"castgate/upload/manifest"
)

// live is where a bucket has the parts of recordings that are still written:
// <host>/<id>/<offset>, whole lines that begin at that byte of the uncompressed
// recording. Readers of an archive skip names that begin with a dot. The
// uploader never deletes in a bucket: when the finished recording has come, and
// has them byte for byte, they are for the archive to tidy (TidyLive).
const live = ".castgate/live"

// LivePart is the most that a part has; archives take up to 4 MiB.
const LivePart = 2 << 20

func livePart(host, id string, offset int64) string {
	return path.Join(live, host, id, fmt.Sprintf("%020d", offset))
}

// PutLive stores a part of a live recording and returns how much the bucket has
// then. At the start, and where a part is there already whose answer was lost,
// it asks the bucket.
func (b *Bucket) PutLive(ctx context.Context, host, id string, offset int64, part Object) (int64, error) {
	if offset == 0 {
		if size, err := b.LiveSize(ctx, host, id); err != nil || size > 0 {
			return size, err
		}
	}
	_, err := b.Store(ctx, livePart(host, id, offset), part)
	switch {
	case err == nil:
		return offset + part.Bytes, nil
	case !errors.Is(err, errOther):
		return offset, fmt.Errorf("send a live part: %w", err)
	}
	if size, lerr := b.LiveSize(ctx, host, id); lerr != nil || size > offset {
		return max(size, offset), lerr
	}
	return offset, err
}

// LiveSize is how many bytes the bucket has of a recording, up to the first
// gap. S3 lists keys in their order.
func (b *Bucket) LiveSize(ctx context.Context, host, id string) (size int64, err error) {
	opts := minio.ListObjectsOptions{Prefix: b.key(path.Join(live, host, id)) + "/", Recursive: true}
	err = b.each(ctx, opts, func() { size = 0 }, func(o minio.ObjectInfo) bool {
		next := o.Key == b.key(livePart(host, id, size))
		if next {
			size += o.Size
		}
		return next
	})
	return size, err
}

// TidyLive takes away the parts of live recordings that have come whole. open
// opens the finished recording of a host and an id, unpacked, and is
// fs.ErrNotExist where there is none: then the parts are all that there is. Only
// parts that stand in the recording byte for byte go; where one does not,
// somebody changed one of the two, and all are kept. The first delete that the
// bucket refuses is the last. Nothing is deleted but below .castgate/live.
func (b *Bucket) TidyLive(ctx context.Context, open func(host, id string) (io.ReadCloser, error)) (tidied int, err error) {
	hosts, err := b.liveDirs(live)
	for _, host := range hosts {
		ids, listErr := []string{host}, error(nil) // parts from before they were kept by host
		if manifest.IsID(host) {
			host = ""
		} else {
			ids, listErr = b.liveDirs(path.Join(live, host))
		}
		n, tidyErr := b.tidyEach(ctx, host, ids, open)
		if tidied, err = tidied+n, errors.Join(err, listErr, tidyErr); errors.Is(err, errMayNotDelete) || ctx.Err() != nil {
			break // to read the other recordings would be for nothing
		}
	}
	return tidied, err
}

// liveDirs lists directories; one that is not there has none.
func (b *Bucket) liveDirs(dir string) (names []string, err error) {
	entries, err := b.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	for _, e := range entries {
		if e.IsDir() {
			names = append(names, e.Name())
		}
	}
	return names, err
}

// tidyEach tidies recordings of one host, "" for the directory without one.
func (b *Bucket) tidyEach(ctx context.Context, host string, ids []string, open func(host, id string) (io.ReadCloser, error)) (tidied int, err error) {
	for _, id := range ids {
		if ctx.Err() != nil {
			return tidied, errors.Join(err, ctx.Err())
		}
		switch tidyErr := b.tidyParts(ctx, host, id, open); {
		case tidyErr == nil:
			tidied++
		case !errors.Is(tidyErr, fs.ErrNotExist):
			err = errors.Join(err, fmt.Errorf("the live parts of %s are kept: %w", path.Join(host, id), tidyErr))
		}
		if errors.Is(err, errMayNotDelete) {
			break
		}
	}
	return tidied, err
}

func (b *Bucket) tidyParts(ctx context.Context, host, id string, open func(host, id string) (io.ReadCloser, error)) error {
	whole, err := open(host, id)
	if err != nil {
		return err
	}
	defer whole.Close()
	dir := path.Join(live, host, id)
	parts, err := b.ReadDir(dir)
	if err != nil {
		return err
	}
	at := int64(0)
	for _, p := range parts { // S3 lists them in the order of their offsets
		offset, err := strconv.ParseInt(p.Name(), 10, 64)
		if err != nil || offset < at || p.IsDir() {
			return fmt.Errorf("%q is not the next part", p.Name())
		}
		if _, err := io.CopyN(io.Discard, whole, offset-at); err != nil {
			return fmt.Errorf("part %d is not in the recording: %w", offset, err)
		}
		n, err := b.samePart(path.Join(dir, p.Name()), whole)
		if err != nil {
			return fmt.Errorf("part %d is not in the recording: %w", offset, err)
		}
		at = offset + n
	}
	for _, p := range parts {
		if err := b.remove(ctx, path.Join(dir, p.Name())); err != nil {
			return err
		}
	}
	return nil
}

// samePart compares a part with the recording's next bytes.
func (b *Bucket) samePart(name string, whole io.Reader) (int64, error) {
	f, err := b.Open(name)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	part, err := io.ReadAll(io.LimitReader(f, LivePart+1))
	if err != nil {
		return 0, err
	}
	got := make([]byte, len(part))
	if _, err := io.ReadFull(whole, got); err != nil || len(part) > LivePart || !bytes.Equal(got, part) {
		return 0, errors.New("the bytes differ")
	}
	return int64(len(part)), nil
}

var errMayNotDelete = errors.New("the bucket does not let us delete")

func (b *Bucket) remove(ctx context.Context, name string) error {
	err := b.ask(ctx, "delete "+name, func(ctx context.Context) error {
		return b.core.RemoveObject(ctx, b.config.Bucket, b.key(name), minio.RemoveObjectOptions{})
	})
	if answered(err, http.StatusForbidden) {
		err = fmt.Errorf("%w: %w", errMayNotDelete, err)
	}
	return err
}
