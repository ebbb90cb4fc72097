// SPDX-License-Identifier: AGPL-3.0-or-later

package bucket

import (
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"strconv"
	"time"

	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/minio/minio-go/v7"

	"castgate/upload/client"
	"castgate/upload/manifest"
)

// ticketLife is how long a ticket may be used; S3 looks at it when the request
// begins, so it does not bound how long the body takes.
const ticketLife = 300 * time.Second

// unsignedPayload is what the signature of a presigned URL says of the body.
// The body is bound all the same, by the checksum's header, which is signed and
// which S3 holds it to.
const unsignedPayload = "UNSIGNED-PAYLOAD"

// Ticket lets a host without a credential put an object: it returns where and
// with which headers the object, or the part that is missing next, may be put;
// no URL when the bucket has it all. It is a *client.Refused when other bytes
// are there.
//
// A ticket is a presigned PUT of one object, bound by its signature to the
// object's length and SHA-256, to creating only, and to the object lock. An
// object that is too large for one PUT goes in parts, of which each ticket is
// for one, bound to its upload, number, length and SHA-256. To begin that
// upload, with the lock, and to complete it, creating only, stays with who
// signs: a host can add nothing to an object and leave nothing out.
func (b *Bucket) Ticket(ctx context.Context, name string, o manifest.Object, parts []string) (at string, header http.Header, part int, err error) {
	key := b.key(name)
	if n := b.Parts.Count(o.Bytes); n != len(parts) {
		return "", nil, 0, client.Refuse("%d bytes go in %d parts of %d bytes, not in %d", o.Bytes, n, b.Parts.Each, len(parts))
	}
	checksum := toBase64(o.SHA256)
	if len(parts) > 0 {
		checksum = composite(parts)
	}
	if err := b.compare(ctx, key, o, checksum); !errors.Is(err, fs.ErrNotExist) {
		return "", nil, 0, err
	}
	if len(parts) > 0 {
		return b.partTicket(ctx, key, o, parts)
	}
	h := b.createOnly(Object{Object: o}).Header()
	h.Del("Content-Type")
	at, header, err = b.presign(ctx, key, url.Values{}, h, o.Bytes)
	return at, header, 0, err
}

// partTicket signs for the first part that the bucket lacks. When it lacks none
// it completes the object: then the bucket has what the sums say.
func (b *Bucket) partTicket(ctx context.Context, key string, o manifest.Object, sums []string) (at string, header http.Header, part int, err error) {
	id, have, err := b.resume(ctx, key)
	if err != nil {
		return "", nil, 0, err
	}
	parts, missing := matching(have, sums)
	if len(missing) == 0 {
		return "", nil, 0, b.complete(ctx, key, id, o, parts)
	}
	i := missing[0]
	query := url.Values{"partNumber": {strconv.Itoa(i + 1)}, "uploadId": {id}}
	size := b.Parts.Section(Object{Object: o}, i).Bytes
	at, header, err = b.presign(ctx, key, query, http.Header{checksumHeader: {sums[i]}}, size)
	return at, header, i + 1, err
}

// presign signs by the server's clock, which compare has just learned.
func (b *Bucket) presign(ctx context.Context, key string, query url.Values, header http.Header, bytes int64) (string, http.Header, error) {
	c, err := b.credential(ctx)
	if err != nil {
		return "", nil, err
	}
	query.Set("X-Amz-Expires", strconv.Itoa(int(ticketLife.Seconds())))
	u := b.at(key, query)
	r, err := http.NewRequest(http.MethodPut, u.String(), nil)
	if err != nil {
		return "", nil, err
	}
	r.URL, r.ContentLength, r.Header = u, bytes, header
	return newSigner().PresignHTTP(ctx, c, r, unsignedPayload, "s3", b.config.Region, b.clock.now(), headersStay)
}

// headersStay keeps a presigned request's headers out of its URL: what stands
// in the URL alone, not every server reads.
func headersStay(o *v4.SignerOptions) { o.DisableHeaderHoisting = true }

// LeadsTo reports whether a ticket's URL is that of an object of this bucket.
func (b *Bucket) LeadsTo(ticket, name string) bool {
	u, err := url.Parse(ticket)
	want := b.at(b.key(name), nil)
	return err == nil && u.Scheme == want.Scheme && u.Host == want.Host && u.Path == want.Path
}

// Use puts an object, or a part of one, with a ticket. That the key exists is
// for who gave it to judge.
func (b *Bucket) Use(ctx context.Context, ticket string, header map[string]string, o Object) error {
	body, err := o.Open()
	if err != nil {
		return err
	}
	defer body.Close()
	r, err := http.NewRequest(http.MethodPut, ticket, io.NopCloser(body))
	if err != nil {
		return err
	}
	r.ContentLength = o.Bytes
	r.GetBody = func() (io.ReadCloser, error) { return o.Open() }
	for k, v := range header {
		r.Header.Set(k, v)
	}
	resp, err := client.Do(ctx, b.Client, r)
	if err != nil {
		return fmt.Errorf("use a ticket: %w", err)
	}
	defer resp.Body.Close()
	text := client.ReadAnswer(resp)
	if resp.StatusCode == http.StatusOK || resp.StatusCode == http.StatusPreconditionFailed {
		return nil
	}
	var e minio.ErrorResponse
	if xml.Unmarshal(text, &e) != nil {
		e = minio.ErrorResponse{Code: resp.Status, Message: string(text)}
	}
	return (&call{resp: resp, at: time.Now()}).failure("use a ticket", e)
}
