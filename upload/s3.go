// SPDX-License-Identifier: AGPL-3.0-or-later

package upload

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"path"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"castgate/upload/manifest"
)

// S3Config is the target "s3": a bucket.
type S3Config struct {
	Endpoint        string        `yaml:"endpoint"`
	Region          string        `yaml:"region"`
	Bucket          string        `yaml:"bucket"`
	Prefix          string        `yaml:"prefix"`
	CredentialsFile string        `yaml:"credentials_file"` // "": the role of the instance
	Retain          time.Duration `yaml:"retain"`           // object lock, mode COMPLIANCE; 0: none
	PathStyle       bool          `yaml:"path_style"`

	Ticket *ArchiveConfig `yaml:"ticket"` // an archive that signs, instead of a credential
}

// s3Target puts objects with requests of its own, signed by the SDK's signer;
// the SDK itself would be twice the size of this program. Each PUT creates
// only (If-None-Match: *), is bound to the object's SHA-256 by the signature
// and by x-amz-checksum-sha256, and takes an object lock where one is asked
// for. Where the key exists its bytes are compared.
type s3Target struct {
	c      S3Config
	url    *url.URL // of the bucket
	client *http.Client
	creds  credentials
	parts  partSizes

	mu     sync.Mutex
	skew   time.Duration // the server's clock minus ours
	signer *v4.Signer
	signs  credential // what signer has signed with
}

func newS3Target(c S3Config) (Target, error) {
	u, err := checkURL("s3.endpoint", c.Endpoint)
	switch {
	case err != nil:
		return nil, err
	case u.Path != "" && u.Path != "/":
		return nil, fmt.Errorf("s3.endpoint: %q has a path; that is for bucket and prefix", c.Endpoint)
	case c.Bucket == "" || strings.ContainsAny(c.Bucket, "/?#"):
		return nil, fmt.Errorf("s3.bucket: %q is not a bucket's name", c.Bucket)
	case c.Retain < 0:
		return nil, fmt.Errorf("s3.retain: %v is negative", c.Retain)
	case strings.HasPrefix(c.Prefix, "/") || path.Clean("/"+c.Prefix) != "/"+strings.TrimSuffix(c.Prefix, "/"):
		return nil, fmt.Errorf("s3.prefix: %q is not a path without slash at the start", c.Prefix)
	}
	if c.Region == "" {
		c.Region = "us-east-1"
	}
	if c.PathStyle {
		u.Path = "/" + c.Bucket
	} else {
		u.Host = c.Bucket + "." + u.Host
	}
	t := &s3Target{c: c, url: u, client: newClient(tlsFiles{}), parts: defaultParts}
	if c.Ticket != nil {
		return newTicketTarget(c, t)
	}
	if c.CredentialsFile != "" {
		t.creds = fileCredentials(c.CredentialsFile)
	} else {
		t.creds = newRoleCredentials(metadataURL)
	}
	return t, nil
}

func (t *s3Target) Name() string { return "s3:" + t.url.Host + path.Join("/", t.url.Path, t.c.Prefix) }

// Deliver implements Target.
func (t *s3Target) Deliver(ctx context.Context, d *Delivery) (Receipt, error) {
	for _, o := range d.objects() {
		key := path.Join(t.c.Prefix, d.Manifest.Path(o.suffix))
		if _, err := t.store(ctx, key, o); err != nil {
			return Receipt{}, err
		}
	}
	stored := d.Manifest.Stored
	return Receipt{stored.SHA256, stored.Bytes, "s3://" + t.c.Bucket + "/" + path.Join(t.c.Prefix, d.Manifest.Path(d.Manifest.StoredSuffix()))}, nil
}

// store puts o at key, or finds that it is there.
func (t *s3Target) store(ctx context.Context, key string, o object) (created bool, err error) {
	if o.Bytes > t.parts.from {
		return t.multipart(ctx, key, o)
	}
	req := s3Request{method: http.MethodPut, key: key, header: t.createOnly(), open: o.open, size: o.Bytes, sha256: o.SHA256}
	req.header.Set("X-Amz-Checksum-Sha256", toBase64(o.SHA256))
	answer, err := t.send(ctx, req)
	switch {
	case err != nil:
		return false, fmt.Errorf("put %s: %w", key, err)
	case answer.status == http.StatusOK:
		if got := answer.header.Get("X-Amz-Checksum-Sha256"); got != "" && got != toBase64(o.SHA256) {
			return false, fmt.Errorf("put %s: the server says that it stored SHA-256 %q", key, got)
		}
		return true, nil
	case answer.status == http.StatusPreconditionFailed:
		return false, t.compare(ctx, key, o, toBase64(o.SHA256))
	}
	return false, answer.failure("put " + key)
}

// createOnly returns the headers that make an object new and lasting.
func (t *s3Target) createOnly() http.Header {
	h := http.Header{}
	h.Set("If-None-Match", "*")
	t.lock(h)
	return h
}

func (t *s3Target) lock(h http.Header) {
	if t.c.Retain > 0 {
		h.Set("X-Amz-Object-Lock-Mode", "COMPLIANCE")
		h.Set("X-Amz-Object-Lock-Retain-Until-Date", t.now().Add(t.c.Retain).UTC().Format(time.RFC3339))
	}
}

var errOther = errors.New("the bucket has another")

// compare looks at what is at key already: an earlier try of ours, whose answer
// was lost, or something else.
func (t *s3Target) compare(ctx context.Context, key string, o object, checksum string) error {
	h := http.Header{}
	h.Set("X-Amz-Checksum-Mode", "ENABLED")
	answer, err := t.send(ctx, s3Request{method: http.MethodHead, key: key, header: h, sha256: emptySHA256})
	if err != nil {
		return fmt.Errorf("look at %s: %w", key, err)
	}
	if answer.status != http.StatusOK {
		return answer.failure("look at " + key)
	}
	// The length first: the checksum is what the server remembers of the object.
	if n := answer.resp.ContentLength; n != o.Bytes {
		return refuse("%w %q (%d bytes, not %d)", errOther, key, n, o.Bytes)
	}
	if answer.header.Get("X-Amz-Checksum-Sha256") == checksum {
		return nil
	}
	// The server kept no checksum, or one of another kind: read the object.
	got, err := t.hash(ctx, key)
	if err != nil {
		return err
	}
	if got != o.SHA256 {
		return refuse("%w %q (SHA-256 %s, not %s)", errOther, key, got, o.SHA256)
	}
	return nil
}

func (t *s3Target) hash(ctx context.Context, key string) (string, error) {
	sum := manifest.NewHasher(io.Discard)
	answer, err := t.send(ctx, s3Request{method: http.MethodGet, key: key, sha256: emptySHA256, into: sum})
	if err != nil {
		return "", fmt.Errorf("read %s: %w", key, err)
	}
	if answer.status != http.StatusOK {
		return "", answer.failure("read " + key)
	}
	return sum.Hex(), nil
}

// now is the server's time, as far as we know it.
func (t *s3Target) now() time.Time {
	t.mu.Lock()
	defer t.mu.Unlock()
	return time.Now().Add(t.skew)
}

func (t *s3Target) sign(ctx context.Context, r *http.Request, payload string) error {
	c, err := t.creds.get(ctx)
	if err != nil {
		return fmt.Errorf("credentials: %w", err)
	}
	r.Header.Set("X-Amz-Content-Sha256", payload)
	return t.signerFor(c).SignHTTP(ctx, aws.Credentials{AccessKeyID: c.id, SecretAccessKey: c.secret, SessionToken: c.token},
		r, payload, "s3", t.c.Region, t.now())
}

// signerFor returns a signer for the credential. A signer remembers the key
// that it derived for an id, for a day, whatever the secret is now.
func (t *s3Target) signerFor(c credential) *v4.Signer {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.signer == nil || t.signs != c {
		t.signs = c
		t.signer = v4.NewSigner(func(o *v4.SignerOptions) { o.DisableURIPathEscaping = true }) // S3 signs the path as it is sent
	}
	return t.signer
}

// emptySHA256 is that of no bytes.
const emptySHA256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

// headersStay keeps a presigned request's headers out of its URL: what stands
// in the URL alone, not every server reads.
func headersStay(o *v4.SignerOptions) { o.DisableHeaderHoisting = true }

func toBase64(hexSum string) string {
	sum, _ := hex.DecodeString(hexSum)
	return base64.StdEncoding.EncodeToString(sum)
}
