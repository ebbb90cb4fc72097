// SPDX-License-Identifier: AGPL-3.0-or-later

package bucket

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"castgate/upload/client"
)

// wire is where minio-go's requests leave. minio-go signs by this host's clock
// only, so each is signed here, by the server's. The host is the one that was
// configured: for Amazon's, minio-go puts in its own, from a list of regions.
type wire struct{ b *Bucket }

// maxPage bounds what is read of an answer that is no object: a list has 1,000
// keys of 1,024 bytes, each of which may be escaped to three.
const maxPage = 4 << 20

// RoundTrip implements http.RoundTripper.
func (w *wire) RoundTrip(r *http.Request) (*http.Response, error) {
	b, call := w.b, callOf(r.Context())
	r = r.Clone(r.Context())
	r.URL.Host, r.Host = b.url.Host, b.url.Host
	payload := r.Header.Get("X-Amz-Content-Sha256")
	switch {
	case r.Body == nil:
		payload = emptySHA256
	case call.open != nil:
		r.GetBody = func() (io.ReadCloser, error) { return call.open() }
	}
	r.Header.Set("X-Amz-Content-Sha256", payload)
	if err := b.sign(r, payload); err != nil {
		return nil, err
	}
	resp, err := b.Client.Transport.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	call.resp, call.at = resp, time.Now()
	if resp.StatusCode == http.StatusForbidden {
		text := client.ReadAnswer(resp)
		resp.Body.Close()
		resp.Body = io.NopCloser(bytes.NewReader(text))
		call.corrected = b.clock.learn(resp, text)
	}
	if r.Method != http.MethodGet || r.URL.RawQuery != "" {
		resp.Body = limited{io.LimitReader(resp.Body, maxPage), resp.Body}
	}
	return resp, nil
}

type limited struct {
	io.Reader
	io.Closer
}

// emptySHA256 is that of no bytes.
const emptySHA256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

func (b *Bucket) sign(r *http.Request, payload string) error {
	c, err := b.credential(r.Context())
	if err != nil {
		return err
	}
	return newSigner().SignHTTP(r.Context(), c, r, payload, "s3", b.config.Region, b.clock.now())
}

func (b *Bucket) credential(ctx context.Context) (aws.Credentials, error) {
	c, err := b.creds(ctx)
	if err != nil {
		return aws.Credentials{}, fmt.Errorf("credentials: %w", err)
	}
	return aws.Credentials{AccessKeyID: c.AccessKeyID, SecretAccessKey: c.SecretAccessKey, SessionToken: c.SessionToken}, nil
}

// newSigner makes one for each request: a signer remembers the key that it
// derived for an id, for a day, whatever the secret is now.
func newSigner() *v4.Signer {
	return v4.NewSigner(func(o *v4.SignerOptions) { o.DisableURIPathEscaping = true }) // S3 signs the path as it is sent
}

// clock is the server's, as far as we know it.
type clock struct {
	mu  sync.Mutex
	off time.Duration // the server's minus ours
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return time.Now().Add(c.off)
}

// maxSkew is what S3 puts up with. The answer to a HEAD has no body that could
// say so, only a date.
const maxSkew = 15 * time.Minute

// learn reads the time from an answer that may be about ours.
func (c *clock) learn(resp *http.Response, text []byte) (corrected bool) {
	theirs, err := http.ParseTime(resp.Header.Get("Date"))
	if err != nil || theirs.Sub(c.now()).Abs() < maxSkew && !bytes.Contains(text, []byte("<Code>RequestTimeTooSkewed<")) {
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.off = time.Until(theirs)
	return true
}
