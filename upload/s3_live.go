// SPDX-License-Identifier: AGPL-3.0-or-later

package upload

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"path"
	"time"
)

// s3Live is where a bucket has the parts of recordings that are still written:
// <host>/<id>/<offset>, whole lines that begin at that byte of the uncompressed
// recording. Readers of an archive skip names that begin with a dot. The
// uploader never deletes in a bucket: when the finished recording has come, and
// has them byte for byte, they are for the archive to tidy (TidyLive).
const s3Live = ".castgate/live"

func (t *s3Target) liveKey(host, id, name string) string {
	return path.Join(t.c.Prefix, s3Live, host, id) + "/" + name
}

// putLive sends a part and returns how much the bucket has then. At the start,
// and where a part is there already whose answer was lost, it asks the bucket.
func (t *s3Target) putLive(ctx context.Context, host, id string, offset int64, data []byte) (int64, error) {
	ctx, cancel := context.WithTimeout(ctx, streamTime)
	defer cancel()
	if offset == 0 {
		if size, err := t.liveSize(ctx, host, id); err != nil || size > 0 {
			return size, err
		}
	}
	_, err := t.store(ctx, t.liveKey(host, id, fmt.Sprintf("%020d", offset)), inMemory("", data))
	switch {
	case err == nil:
		return offset + int64(len(data)), nil
	case !errors.Is(err, errOther):
		return offset, fmt.Errorf("send a live part: %w", err)
	}
	if size, lerr := t.liveSize(ctx, host, id); lerr != nil || size > offset {
		return max(size, offset), lerr
	}
	return offset, err
}

// liveSize is how many bytes the bucket has, up to the first gap. S3 lists
// keys in their order.
func (t *s3Target) liveSize(ctx context.Context, host, id string) (size int64, err error) {
	q := url.Values{"list-type": {"2"}, "prefix": {t.liveKey(host, id, "")}}
	for {
		var page listPage
		if err := t.ask(ctx, s3Request{method: http.MethodGet, query: q, sha256: emptySHA256}, &page); err != nil {
			return 0, fmt.Errorf("list the live parts: %w", err)
		}
		for _, o := range page.Contents {
			if o.Key != t.liveKey(host, id, fmt.Sprintf("%020d", size)) {
				return size, nil
			}
			size += o.Size
		}
		if !page.IsTruncated || page.NextContinuationToken == "" {
			return size, nil
		}
		q.Set("continuation-token", page.NextContinuationToken)
	}
}

// liveTarget is a target that takes parts of living recordings. The host is as in
// a path; an archive goes by the certificate's.
type liveTarget interface {
	Target
	putLive(ctx context.Context, host, id string, offset int64, part []byte) (size int64, err error)
}

// streamTime bounds one part.
const streamTime = 30 * time.Second
