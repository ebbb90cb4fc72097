// SPDX-License-Identifier: AGPL-3.0-or-later

package upload

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"path"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"castgate/upload/manifest"
)

// ticketLife is how long a ticket may be used; S3 looks at it when the request
// begins, so it does not bound how long the body takes.
const ticketLife = 300 * time.Second

// unsignedPayload is what the signature of a presigned URL says of the body.
// The body is bound all the same, by the checksum's header, which is signed and
// which S3 holds it to.
const unsignedPayload = "UNSIGNED-PAYLOAD"

// Tickets lets hosts without a credential put objects into a bucket: each
// ticket is a presigned PUT of one object, bound by its signature to the
// object's length and SHA-256, to creating only, and to the object lock. An
// object that is too large for one PUT goes in parts, of which each ticket is
// for one, bound to its upload, number, length and SHA-256. To begin that
// upload, with the lock, and to complete it, creating only, stays with who
// signs: a host can add nothing to an object and leave nothing out.
type Tickets struct{ t *s3Target }

// NewTickets returns what signs for the bucket of c.
func NewTickets(c S3Config) (*Tickets, error) {
	t, err := newS3Target(c)
	if err != nil {
		return nil, err
	}
	s3, ok := t.(*s3Target)
	if !ok {
		return nil, fmt.Errorf("s3: what signs tickets has a credential, no ticket")
	}
	return &Tickets{s3}, nil
}

// Ticket returns where and with which headers the object, or the part that is
// missing next, may be put; no URL when the bucket has it all. It is a *Refused
// when other bytes are there.
func (k *Tickets) Ticket(ctx context.Context, name string, o manifest.Object, parts []string) (at string, header http.Header, part int, err error) {
	key := path.Join(k.t.c.Prefix, name)
	if n := k.t.parts.count(o.Bytes); n != len(parts) {
		return "", nil, 0, refuse("%d bytes go in %d parts of %d bytes, not in %d", o.Bytes, n, k.t.parts.each, len(parts))
	}
	if len(parts) > 0 {
		return k.t.presignPart(ctx, key, o, parts)
	}
	there, err := k.t.has(ctx, key, o, toBase64(o.SHA256))
	if err != nil || there {
		return "", nil, 0, err
	}
	h := k.t.createOnly()
	h.Set("X-Amz-Checksum-Sha256", toBase64(o.SHA256))
	at, header, err = k.t.presign(ctx, key, url.Values{}, h, o.Bytes)
	return at, header, 0, err
}

// presignPart signs for the first part that the bucket lacks. When it lacks
// none it completes the object: then the bucket has what the sums say.
func (t *s3Target) presignPart(ctx context.Context, key string, o manifest.Object, sums []string) (at string, header http.Header, part int, err error) {
	whole := object{path.Base(key), o, nil}
	if there, err := t.has(ctx, key, o, composite(sums)); err != nil || there {
		return "", nil, 0, err
	}
	id, have, err := t.resume(ctx, key)
	if err != nil {
		return "", nil, 0, err
	}
	parts, missing := t.matching(have, sums)
	if len(missing) == 0 {
		return "", nil, 0, t.complete(ctx, key, id, whole, parts, composite(sums))
	}
	i := missing[0]
	h := http.Header{}
	h.Set("X-Amz-Checksum-Sha256", sums[i])
	_, size := t.parts.at(i, o.Bytes)
	at, header, err = t.presign(ctx, key, partQuery(i, id), h, size)
	return at, header, i + 1, err
}

// has reports whether the object is there. It is a *Refused when it has other
// bytes.
func (t *s3Target) has(ctx context.Context, key string, o manifest.Object, checksum string) (bool, error) {
	answer, err := t.send(ctx, s3Request{method: http.MethodHead, key: key, sha256: emptySHA256})
	switch {
	case err != nil:
		return false, fmt.Errorf("look at %s: %w", key, err)
	case answer.status == http.StatusOK:
		err := t.compare(ctx, key, object{path.Base(key), o, nil}, checksum)
		return err == nil, err
	case answer.status == http.StatusNotFound:
		return false, nil
	}
	return false, answer.failure("look at " + key)
}

func (t *s3Target) presign(ctx context.Context, key string, query url.Values, header http.Header, bytes int64) (string, http.Header, error) {
	c, err := t.creds.get(ctx)
	if err != nil {
		return "", nil, fmt.Errorf("credentials: %w", err)
	}
	query.Set("X-Amz-Expires", strconv.Itoa(int(ticketLife.Seconds())))
	u := t.at(key, query)
	r, err := http.NewRequest(http.MethodPut, u.String(), nil)
	if err != nil {
		return "", nil, err
	}
	r.URL, r.ContentLength, r.Header = u, bytes, header
	signer := t.signerFor(c)
	return signer.PresignHTTP(ctx, aws.Credentials{AccessKeyID: c.id, SecretAccessKey: c.secret, SessionToken: c.token},
		r, unsignedPayload, "s3", t.c.Region, t.now(), headersStay)
}

// at returns the URL of a key, escaped as S3 wants it signed.
func (t *s3Target) at(key string, query url.Values) *url.URL {
	u := *t.url
	u.Path = strings.TrimSuffix(u.Path, "/") + "/" + key
	u.RawPath = strings.TrimSuffix(t.url.EscapedPath(), "/") + "/" + escapeKey(key)
	u.RawQuery = strings.ReplaceAll(query.Encode(), "+", "%20")
	return &u
}
