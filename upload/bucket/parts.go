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
	"net/http"
	"path"
	"strconv"
	"time"

	"github.com/minio/minio-go/v7"

	"castgate/upload/client"
	"castgate/upload/manifest"
)

// Parts says how large objects are cut. An object of more than a single PUT may have (5 GB) goes in parts. The parts
// that an interrupted try has stored are found by asking the server, compared
// by their checksums, and not sent again. Part numbers are those of the bytes,
// from 1: a part that failed can't be left out unseen, which is how others
// stored objects with holes.
type Parts struct {
	From int64 // objects above this go in parts
	Each int64 // bytes of a part
}

// maxParts is S3's.
const maxParts = 10000

// 4 GiB leaves room below 5 GB; 10000 parts of 64 MiB are 625 GiB.
var defaultParts = Parts{From: 4 << 30, Each: 64 << 20}

// Count is in how many parts an object goes; 0 when it goes whole.
func (s Parts) Count(bytes int64) int {
	if bytes <= s.From {
		return 0
	}
	return int((bytes + s.Each - 1) / s.Each)
}

// Section returns part i (from 0) of an object.
func (s Parts) Section(o Object, i int) Object {
	at := int64(i) * s.Each
	return Object{
		manifest.Object{Bytes: min(s.Each, o.Bytes-at)},
		func() (io.ReadSeekCloser, error) { return section(o, at, min(s.Each, o.Bytes-at)) },
	}
}

// Sums returns the checksums of an object's parts, none when it goes whole. It
// checks that all together are the object.
func (s Parts) Sums(o Object) ([]string, error) {
	switch n := s.Count(o.Bytes); {
	case n == 0:
		return nil, nil
	case n > maxParts:
		return nil, client.Refuse("%d bytes are more than %d parts", o.Bytes, maxParts)
	}
	in, err := o.Open()
	if err != nil {
		return nil, err
	}
	defer in.Close()
	whole := sha256.New()
	var sums []string
	for {
		sum := sha256.New()
		n, err := io.Copy(io.MultiWriter(sum, whole), io.LimitReader(in, s.Each))
		if err != nil {
			return nil, err
		}
		if n == 0 {
			break
		}
		sums = append(sums, base64.StdEncoding.EncodeToString(sum.Sum(nil)))
	}
	if hex.EncodeToString(whole.Sum(nil)) != o.SHA256 {
		return nil, errors.New("the object changed while it waited")
	}
	return sums, nil
}

func (b *Bucket) multipart(ctx context.Context, key string, o Object) (created bool, err error) {
	sums, err := b.Parts.Sums(o)
	if err != nil {
		return false, fmt.Errorf("%s: %w", path.Base(key), err)
	}
	// Is it there already? Completing would say so only after all is sent.
	if err := b.compare(ctx, key, o.Object, composite(sums)); err == nil || client.IsRefused(err) {
		return false, err
	}
	id, have, err := b.resume(ctx, key)
	if err != nil {
		return false, err
	}
	parts, missing := matching(have, sums)
	for _, i := range missing {
		if parts[i], err = b.putPart(ctx, key, id, o, i, sums[i]); err != nil {
			return false, err
		}
	}
	err = b.complete(ctx, key, id, o.Object, parts)
	return err == nil, err
}

// matching returns the parts that the server has with these sums, for the order
// to complete, and which (from 0) it lacks.
func matching(have []minio.ObjectPart, sums []string) (parts []minio.CompletePart, missing []int) {
	parts = make([]minio.CompletePart, len(sums))
	for _, p := range have {
		if i := p.PartNumber - 1; i >= 0 && i < len(sums) && p.ChecksumSHA256 == sums[i] {
			parts[i] = minio.CompletePart{PartNumber: p.PartNumber, ETag: p.ETag, ChecksumSHA256: sums[i]}
		}
	}
	for i, p := range parts {
		if p.PartNumber == 0 {
			missing = append(missing, i)
		}
	}
	return parts, missing
}

// composite is the checksum that S3 gives an object of parts: that of their
// checksums, and how many they are.
func composite(sums []string) string {
	h := sha256.New()
	for _, s := range sums {
		raw, _ := base64.StdEncoding.DecodeString(s)
		h.Write(raw)
	}
	return base64.StdEncoding.EncodeToString(h.Sum(nil)) + "-" + strconv.Itoa(len(sums))
}

// maxUploadAge is how old an upload may be to go on with it. The lock's date was
// set when it began, so its object is kept for so much less than "retain". A host
// that was cut off for a few days goes on; the bucket's rule takes older ones away.
const maxUploadAge = 7 * 24 * time.Hour

// resume returns an upload of key that was begun, and its parts, or begins one.
func (b *Bucket) resume(ctx context.Context, key string) (id string, have []minio.ObjectPart, err error) {
	var list minio.ListMultipartUploadsResult
	err = b.ask(ctx, "list uploads", func(ctx context.Context) (err error) {
		list, err = b.core.ListMultipartUploads(ctx, b.config.Bucket, key, "", "", "", 0)
		return err
	})
	if err != nil && !absent(err) { // where there is none, some servers say so like this
		return "", nil, err
	}
	for _, u := range list.Uploads {
		if u.Key == key && b.clock.now().Sub(u.Initiated) < maxUploadAge {
			have, err := b.listParts(ctx, key, u.UploadID)
			return u.UploadID, have, err
		}
	}
	const what = "begin an upload in parts"
	err = b.ask(ctx, what, func(ctx context.Context) (err error) {
		opts := b.lasting()
		opts.UserMetadata = map[string]string{"X-Amz-Checksum-Algorithm": "SHA256"}
		id, err = b.core.NewMultipartUpload(ctx, b.config.Bucket, key, opts)
		return err
	})
	if err == nil && id == "" {
		err = fmt.Errorf("%s: the server gives no id", what)
	}
	return id, nil, err
}

func (b *Bucket) listParts(ctx context.Context, key, id string) (have []minio.ObjectPart, err error) {
	for marker := 0; ; {
		var list minio.ListObjectPartsResult
		err = b.ask(ctx, "list the parts", func(ctx context.Context) (err error) {
			list, err = b.core.ListObjectParts(ctx, b.config.Bucket, key, id, marker, 0)
			return err
		})
		if err != nil {
			return nil, err
		}
		have = append(have, list.ObjectParts...)
		if !list.IsTruncated || list.NextPartNumberMarker <= marker {
			return have, nil
		}
		marker = list.NextPartNumberMarker
	}
}

func (b *Bucket) putPart(ctx context.Context, key, id string, o Object, i int, sum string) (minio.CompletePart, error) {
	piece := b.Parts.Section(o, i)
	raw, _ := base64.StdEncoding.DecodeString(sum)
	opts := minio.PutObjectPartOptions{Sha256Hex: hex.EncodeToString(raw), CustomHeader: http.Header{checksumHeader: {sum}}, DisableContentSha256: true}
	var got minio.ObjectPart
	err := b.send(ctx, fmt.Sprintf("put part %d", i+1), piece.Open, func(ctx context.Context, body io.Reader) (err error) {
		got, err = b.core.PutObjectPart(ctx, b.config.Bucket, key, id, i+1, body, piece.Bytes, opts)
		return err
	})
	return minio.CompletePart{PartNumber: i + 1, ETag: got.ETag, ChecksumSHA256: sum}, err
}

// section opens a piece of an object.
func section(o Object, at, size int64) (io.ReadSeekCloser, error) {
	f, err := o.Open()
	if err != nil {
		return nil, err
	}
	r, ok := f.(io.ReaderAt)
	if !ok {
		f.Close()
		return nil, errors.New("the object can't be read in parts")
	}
	return struct {
		*io.SectionReader
		io.Closer
	}{io.NewSectionReader(r, at, size), f}, nil
}

// complete makes an object of the parts. Whether it was made, or was there, is
// seen by looking.
func (b *Bucket) complete(ctx context.Context, key, id string, o manifest.Object, parts []minio.CompletePart) error {
	var opts minio.PutObjectOptions
	opts.SetMatchETagExcept("*")
	sums := make([]string, len(parts))
	for i, p := range parts {
		sums[i] = p.ChecksumSHA256
	}
	err := b.ask(ctx, "complete the upload", func(ctx context.Context) error {
		_, err := b.core.CompleteMultipartUpload(ctx, b.config.Bucket, key, id, parts, opts)
		return err
	})
	if err != nil && !answered(err, http.StatusPreconditionFailed) {
		return err
	}
	return b.compare(ctx, key, o, composite(sums))
}
