// SPDX-License-Identifier: AGPL-3.0-or-later

package upload

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// An object of more than a single PUT may have (5 GB) goes in parts. The parts
// that an interrupted try has stored are found by asking the server, compared
// by their checksums, and not sent again. Part numbers are those of the bytes,
// from 1: a part that failed can't be left out unseen, which is how others
// stored objects with holes.
type partSizes struct {
	from int64 // objects above this go in parts
	each int64 // bytes of a part
}

// maxParts is S3's.
const maxParts = 10000

// 4 GiB leaves room below 5 GB; 10000 parts of 64 MiB are 625 GiB.
var defaultParts = partSizes{from: 4 << 30, each: 64 << 20}

// count is in how many parts an object goes; 0 when it goes whole.
func (s partSizes) count(bytes int64) int {
	if bytes <= s.from {
		return 0
	}
	return int((bytes + s.each - 1) / s.each)
}

// at is where part i (from 0) begins, and its size.
func (s partSizes) at(i int, bytes int64) (at, size int64) {
	at = int64(i) * s.each
	return at, min(s.each, bytes-at)
}

// part is a part on the server, in the XML of its listing and of our order.
type part struct {
	XMLName  xml.Name `xml:"Part"`
	Number   int      `xml:"PartNumber"`
	ETag     string
	Checksum string `xml:"ChecksumSHA256,omitempty"`
	Size     int64  `xml:",omitempty"`
}

func (t *s3Target) multipart(ctx context.Context, key string, o object) (created bool, err error) {
	if t.parts.count(o.Bytes) > maxParts {
		return false, errTooManyParts(o)
	}
	sums, err := partSums(o, t.parts.each)
	if err != nil {
		return false, err
	}
	// Is it there already? Completing would say so only after all is sent.
	if err := t.compare(ctx, key, o, composite(sums)); err == nil || isRefused(err) {
		return false, err
	}
	id, have, err := t.resume(ctx, key)
	if err != nil {
		return false, err
	}
	parts, missing := t.matching(have, sums)
	for _, i := range missing {
		if parts[i], err = t.putPart(ctx, key, id, o, i, sums[i]); err != nil {
			return false, err
		}
	}
	err = t.complete(ctx, key, id, o, parts, composite(sums))
	return err == nil, err
}

func errTooManyParts(o object) error {
	return refuse("%d bytes are more than %d parts", o.Bytes, maxParts)
}

// matching returns the parts that the server has with these sums, for the order
// to complete, and which (from 0) it lacks.
func (t *s3Target) matching(have map[int]part, sums []string) (parts []part, missing []int) {
	parts = make([]part, len(sums))
	for i, sum := range sums {
		if p, ok := have[i+1]; ok && p.Checksum == sum {
			parts[i] = part{Number: p.Number, ETag: p.ETag, Checksum: p.Checksum}
		} else {
			missing = append(missing, i)
		}
	}
	return parts, missing
}

// partSums returns the checksums of the parts, and checks that all together
// are the object.
func partSums(o object, each int64) ([]string, error) {
	in, err := o.open()
	if err != nil {
		return nil, err
	}
	defer in.Close()
	whole := sha256.New()
	var sums []string
	for {
		sum := sha256.New()
		n, err := io.Copy(io.MultiWriter(sum, whole), io.LimitReader(in, each))
		if err != nil {
			return nil, err
		}
		if n == 0 {
			break
		}
		sums = append(sums, base64.StdEncoding.EncodeToString(sum.Sum(nil)))
	}
	if hex.EncodeToString(whole.Sum(nil)) != o.SHA256 {
		return nil, fmt.Errorf("%s changed while it waited", o.suffix)
	}
	return sums, nil
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
func (t *s3Target) resume(ctx context.Context, key string) (id string, have map[int]part, err error) {
	var list struct {
		Upload []struct {
			Key, UploadId string //nolint:revive // S3's spelling
			Initiated     time.Time
		}
	}
	err = t.ask(ctx, s3Request{method: http.MethodGet, query: url.Values{"uploads": {""}, "prefix": {key}}, sha256: emptySHA256}, &list)
	if err != nil {
		return "", nil, fmt.Errorf("list uploads: %w", err)
	}
	for _, u := range list.Upload {
		if u.Key == key && t.now().Sub(u.Initiated) < maxUploadAge {
			have, err := t.listParts(ctx, key, u.UploadId)
			return u.UploadId, have, err
		}
	}
	h := http.Header{}
	h.Set("X-Amz-Checksum-Algorithm", "SHA256")
	t.lock(h)
	var begun struct{ UploadId string } //nolint:revive // S3's spelling
	err = t.ask(ctx, s3Request{method: http.MethodPost, key: key, query: url.Values{"uploads": {""}}, header: h, sha256: emptySHA256}, &begun)
	if err == nil && begun.UploadId == "" {
		err = errors.New("the server gives no id")
	}
	if err != nil {
		return "", nil, fmt.Errorf("begin an upload in parts: %w", err)
	}
	return begun.UploadId, nil, nil
}

func (t *s3Target) listParts(ctx context.Context, key, id string) (map[int]part, error) {
	have := map[int]part{}
	marker := "0"
	for {
		var list struct {
			Part                 []part
			IsTruncated          bool
			NextPartNumberMarker string
		}
		q := url.Values{"uploadId": {id}, "part-number-marker": {marker}}
		if err := t.ask(ctx, s3Request{method: http.MethodGet, key: key, query: q, sha256: emptySHA256}, &list); err != nil {
			return nil, fmt.Errorf("list the parts: %w", err)
		}
		for _, p := range list.Part {
			have[p.Number] = p
		}
		if !list.IsTruncated || list.NextPartNumberMarker == marker {
			return have, nil
		}
		marker = list.NextPartNumberMarker
	}
}

func (t *s3Target) putPart(ctx context.Context, key, id string, o object, i int, sum string) (part, error) {
	at, size := t.parts.at(i, o.Bytes)
	raw, _ := base64.StdEncoding.DecodeString(sum)
	h := http.Header{}
	h.Set("X-Amz-Checksum-Sha256", sum)
	answer, err := t.send(ctx, s3Request{
		method: http.MethodPut, key: key, header: h, size: size, sha256: hex.EncodeToString(raw),
		query: partQuery(i, id),
		open:  func() (io.ReadSeekCloser, error) { return section(o, at, size) },
	})
	if err != nil {
		return part{}, fmt.Errorf("put part %d: %w", i+1, err)
	}
	if answer.status != http.StatusOK {
		return part{}, answer.failure(fmt.Sprintf("put part %d", i+1))
	}
	return part{Number: i + 1, ETag: answer.header.Get("ETag"), Checksum: sum}, nil
}

func partQuery(i int, id string) url.Values {
	return url.Values{"partNumber": {strconv.Itoa(i + 1)}, "uploadId": {id}}
}

// section opens a piece of an object.
func section(o object, at, size int64) (io.ReadSeekCloser, error) {
	f, err := o.open()
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

func (t *s3Target) complete(ctx context.Context, key, id string, o object, parts []part, checksum string) error {
	text, err := xml.Marshal(struct {
		XMLName xml.Name `xml:"CompleteMultipartUpload"`
		Parts   []part
	}{Parts: parts})
	if err != nil {
		return err
	}
	body := inMemory("", text)
	h := http.Header{}
	h.Set("If-None-Match", "*")
	answer, err := t.send(ctx, s3Request{
		method: http.MethodPost, key: key, query: url.Values{"uploadId": {id}}, header: h,
		open: body.open, size: body.Bytes, sha256: body.SHA256,
	})
	switch {
	case err != nil:
		return fmt.Errorf("complete the upload: %w", err)
	case answer.status == http.StatusPreconditionFailed:
	case answer.status != http.StatusOK || bytes.Contains(answer.text, []byte("<Error>")): // S3 reports late errors with status 200
		return answer.failure("complete the upload")
	}
	return t.compare(ctx, key, o, checksum)
}

// ask sends a request and reads the XML of its answer.
func (t *s3Target) ask(ctx context.Context, req s3Request, into any) error {
	answer, err := t.send(ctx, req)
	if err != nil {
		return err
	}
	if answer.status != http.StatusOK {
		return answer.failure(req.method)
	}
	return xml.Unmarshal(answer.text, into)
}
