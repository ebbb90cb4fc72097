// SPDX-License-Identifier: AGPL-3.0-or-later

package target

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"castgate/upload/client"
	"castgate/upload/manifest"
)

// ArchiveConfig is the target "archive": another host's `castgate serve`.
type ArchiveConfig struct {
	URL      string `yaml:"url"`
	CAFile   string `yaml:"ca_file"`
	CertFile string `yaml:"cert_file"`
	KeyFile  string `yaml:"key_file"`
}

// archive puts each object to
// /v1/recordings/<user>/<YYYY>/<MM>/<DD>/<name>, with its hash in
// Content-Digest (RFC 9530). The host is the name in our certificate. The
// server answers 201 (stored) or 200 (the same bytes are there) with a
// receipt; 400, 409 and 413 are for good, everything else is tried again.
type archive struct {
	url    *url.URL
	client *http.Client
	cert   string // the file of our certificate
}

func newArchive(c ArchiveConfig) (Target, error) {
	u, err := client.CheckURL("archive.url", c.URL)
	if err != nil {
		return nil, err
	}
	if c.CertFile == "" || c.KeyFile == "" || c.CAFile == "" {
		return nil, errors.New("archive: wants ca_file, cert_file and key_file")
	}
	return &archive{u, client.New(client.TLS{CA: c.CAFile, Cert: c.CertFile, Key: c.KeyFile, Host: u.Hostname()}), c.CertFile}, nil
}

func (t *archive) Name() string { return "archive:" + t.url.String() }

// Deliver implements Target.
func (t *archive) Deliver(ctx context.Context, d *Delivery) (Receipt, error) {
	if err := t.ours(d.Manifest.Session.Host); err != nil {
		return Receipt{}, err
	}
	var first Receipt
	for _, o := range d.objects() {
		receipt, err := t.put(ctx, d.Manifest, o)
		if err != nil {
			return Receipt{}, err
		}
		if first.Where == "" {
			first = receipt
		}
	}
	return first, nil
}

// ours refuses to send under another host's certificate. The server would
// refuse it for good, but it is the certificate that is wrong, and every
// recording would end in bad/.
func (t *archive) ours(host string) error {
	text, err := os.ReadFile(t.cert)
	if err != nil {
		return fmt.Errorf("the client certificate: %w", err)
	}
	block, _ := pem.Decode(text)
	if block == nil {
		return fmt.Errorf("the client certificate: %q has none", t.cert)
	}
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return fmt.Errorf("the client certificate: %w", err)
	}
	name := cert.Subject.CommonName // as the server reads it
	if len(cert.DNSNames) > 0 {
		name = cert.DNSNames[0]
	}
	if !manifest.SameHost(name, host) {
		return fmt.Errorf("the client certificate is for %q, but this host is %q", name, host)
	}
	return nil
}

// at returns the URL of an object.
func (t *archive) at(m *manifest.Manifest, suffix string) string {
	user, _, _ := strings.Cut(m.Dir(), "/")
	return t.url.JoinPath("v1/recordings", url.PathEscape(user), m.Start.UTC().Format("2006/01/02"), m.Session.ID+suffix).String()
}

func (t *archive) put(ctx context.Context, m *manifest.Manifest, o object) (Receipt, error) {
	body, err := o.Open()
	if err != nil {
		return Receipt{}, err
	}
	defer body.Close()
	r, err := http.NewRequest(http.MethodPut, t.at(m, o.suffix), body)
	if err != nil {
		return Receipt{}, err
	}
	r.ContentLength = o.Bytes
	r.GetBody = func() (io.ReadCloser, error) { return o.Open() }
	sum, _ := hex.DecodeString(o.SHA256)
	r.Header.Set("Content-Digest", "sha-256=:"+base64.StdEncoding.EncodeToString(sum)+":")
	resp, err := client.Do(ctx, t.client, r)
	if err != nil {
		return Receipt{}, fmt.Errorf("send %s: %w", o.suffix, err)
	}
	defer resp.Body.Close()
	text := client.ReadAnswer(resp)
	switch resp.StatusCode {
	case http.StatusOK, http.StatusCreated:
		return archiveReceipt(text, o, t.url)
	case http.StatusBadRequest, http.StatusConflict, http.StatusRequestEntityTooLarge:
		return Receipt{}, &Refused{Err: client.NotTaken(resp, text, time.Now())}
	}
	return Receipt{}, client.NotTaken(resp, text, time.Now())
}

func archiveReceipt(text []byte, o object, at *url.URL) (Receipt, error) {
	var got struct {
		SHA256 string `json:"sha256"`
		Bytes  int64  `json:"bytes"`
		Path   string `json:"path"`
	}
	if err := json.Unmarshal(text, &got); err != nil {
		return Receipt{}, fmt.Errorf("the server's receipt can't be read: %w", err)
	}
	if got.SHA256 != o.SHA256 || got.Bytes != o.Bytes {
		return Receipt{}, fmt.Errorf("the server's receipt is for %d bytes with SHA-256 %q, not for %d with %s", got.Bytes, got.SHA256, o.Bytes, o.SHA256)
	}
	return Receipt{got.SHA256, got.Bytes, at.Host + ":" + got.Path}, nil
}

// PutLive implements Live. The archive goes by the certificate's host: it returns how much the server has then.
func (t *archive) PutLive(ctx context.Context, _, id string, offset int64, part []byte) (int64, error) {
	ctx, cancel := context.WithTimeout(ctx, liveTime)
	defer cancel()
	at := t.url.JoinPath("v1/live", id, strconv.FormatInt(offset, 10)).String()
	r, err := http.NewRequest(http.MethodPut, at, bytes.NewReader(part))
	if err != nil {
		return offset, err
	}
	resp, err := client.Do(ctx, t.client, r)
	if err != nil {
		return offset, fmt.Errorf("send a live part: %w", err)
	}
	defer resp.Body.Close()
	text := client.ReadAnswer(resp)
	var has struct{ Size *int64 }
	_ = json.Unmarshal(text, &has) // an error's answer has none
	switch {
	case resp.StatusCode == http.StatusOK && has.Size != nil && *has.Size > offset:
		return *has.Size, nil
	case resp.StatusCode == http.StatusConflict && has.Size != nil && *has.Size >= 0 && *has.Size < offset:
		return *has.Size, nil // it lost something: go on from there
	case resp.StatusCode == http.StatusBadRequest, resp.StatusCode == http.StatusConflict, resp.StatusCode == http.StatusRequestEntityTooLarge:
		return offset, &Refused{Err: client.NotTaken(resp, text, time.Now())}
	}
	return offset, client.NotTaken(resp, text, time.Now())
}
