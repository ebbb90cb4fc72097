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
// object's length and SHA-256, to creating only, and to the object lock.
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

// Ticket returns where and with which headers the object may be put; no URL
// when the bucket has it already. It is a *Refused when other bytes are there.
func (k *Tickets) Ticket(ctx context.Context, name, sha256 string, bytes int64) (at string, header http.Header, err error) {
	key := path.Join(k.t.c.Prefix, name)
	there, err := k.t.has(ctx, key, sha256)
	if err != nil || there {
		return "", nil, err
	}
	return k.t.presign(ctx, key, sha256, bytes)
}

// has reports whether the object is there. It is a *Refused when it has other
// bytes.
func (t *s3Target) has(ctx context.Context, key, sha256 string) (bool, error) {
	answer, err := t.send(ctx, s3Request{method: http.MethodHead, key: key, sha256: emptySHA256})
	switch {
	case err != nil:
		return false, fmt.Errorf("look at %s: %w", key, err)
	case answer.status == http.StatusOK:
		err := t.compare(ctx, key, object{Object: sumOnly(sha256)}, toBase64(sha256))
		return err == nil, err
	case answer.status == http.StatusNotFound:
		return false, nil
	}
	return false, answer.failure("look at " + key)
}

func (t *s3Target) presign(ctx context.Context, key, sha256 string, bytes int64) (string, http.Header, error) {
	c, err := t.creds.get(ctx)
	if err != nil {
		return "", nil, fmt.Errorf("credentials: %w", err)
	}
	query := url.Values{"X-Amz-Expires": {strconv.Itoa(int(ticketLife.Seconds()))}}
	u := t.at(key, query)
	r, err := http.NewRequest(http.MethodPut, u.String(), nil)
	if err != nil {
		return "", nil, err
	}
	r.URL, r.ContentLength, r.Header = u, bytes, t.createOnly()
	r.Header.Set("X-Amz-Checksum-Sha256", toBase64(sha256))
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
