// SPDX-License-Identifier: AGPL-3.0-or-later

package upload

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

	"castgate/upload/manifest"
)

// TidyLive takes away the parts of live recordings that have come whole. open
// opens the finished recording of a host and an id, unpacked, and is
// fs.ErrNotExist where there is none: then the parts are all that there is. Only
// parts that stand in the recording byte for byte go; where one does not,
// somebody changed one of the two, and all are kept. The first delete that the
// bucket refuses is the last. Nothing is deleted but below .castgate/live.
func (b *BucketFS) TidyLive(ctx context.Context, open func(host, id string) (io.ReadCloser, error)) (tidied int, err error) {
	hosts, err := b.liveDirs(s3Live)
	for _, host := range hosts {
		ids, listErr := []string{host}, error(nil) // parts from before they were kept by host
		if manifest.IsID(host) {
			host = ""
		} else {
			ids, listErr = b.liveDirs(path.Join(s3Live, host))
		}
		n, tidyErr := b.tidyEach(ctx, host, ids, open)
		if tidied, err = tidied+n, errors.Join(err, listErr, tidyErr); errors.Is(err, errMayNotDelete) || ctx.Err() != nil {
			break // to read the other recordings would be for nothing
		}
	}
	return tidied, err
}

// liveDirs lists directories; one that is not there has none.
func (b *BucketFS) liveDirs(dir string) (names []string, err error) {
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
func (b *BucketFS) tidyEach(ctx context.Context, host string, ids []string, open func(host, id string) (io.ReadCloser, error)) (tidied int, err error) {
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

func (b *BucketFS) tidyParts(ctx context.Context, host, id string, open func(host, id string) (io.ReadCloser, error)) error {
	whole, err := open(host, id)
	if err != nil {
		return err
	}
	defer whole.Close()
	dir := path.Join(s3Live, host, id)
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
func (b *BucketFS) samePart(name string, whole io.Reader) (int64, error) {
	f, err := b.Open(name)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	part, err := io.ReadAll(io.LimitReader(f, streamPart+1))
	if err != nil {
		return 0, err
	}
	got := make([]byte, len(part))
	if _, err := io.ReadFull(whole, got); err != nil || len(part) > streamPart || !bytes.Equal(got, part) {
		return 0, errors.New("the bytes differ")
	}
	return int64(len(part)), nil
}

var errMayNotDelete = errors.New("the bucket does not let us delete")

func (b *BucketFS) remove(ctx context.Context, name string) error {
	answer, err := b.t.send(ctx, s3Request{method: http.MethodDelete, key: b.key(name), sha256: emptySHA256})
	if err != nil {
		return fmt.Errorf("delete %s: %w", name, err)
	}
	switch answer.status {
	case http.StatusNoContent, http.StatusOK:
		return nil
	case http.StatusForbidden:
		return fmt.Errorf("%w: %w", errMayNotDelete, answer.failure("delete "+name))
	}
	return answer.failure("delete " + name)
}
