// SPDX-License-Identifier: AGPL-3.0-or-later

package bucket

import (
	"cmp"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// server answers without a network.
type server func(r *http.Request) (status int, body io.Reader)

func (s server) RoundTrip(r *http.Request) (*http.Response, error) {
	status, body := s(r)
	return &http.Response{StatusCode: status, Status: http.StatusText(status), Header: http.Header{}, Body: io.NopCloser(body), Request: r}, nil
}

func open(t *testing.T, c Config, s server) *Bucket {
	t.Helper()
	c.CredentialsFile = filepath.Join(t.TempDir(), "credentials")
	if err := os.WriteFile(c.CredentialsFile, []byte("aws_access_key_id = id\naws_secret_access_key = secret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	b, err := Open(c)
	if err != nil {
		t.Fatal(err)
	}
	b.Client = &http.Client{Transport: s}
	return b
}

// TestRequestsGoWhereTheConfigurationSays has names of Amazon's, which the
// library would change, one of them to another region.
func TestRequestsGoWhereTheConfigurationSays(t *testing.T) {
	for _, tt := range []struct{ endpoint, region, want string }{
		{"https://s3.amazonaws.com", "", "rec.s3.amazonaws.com"},
		{"https://s3.eu-new-9.amazonaws.com", "eu-new-9", "rec.s3.eu-new-9.amazonaws.com"},
		{"https://s3.example.org:8443", "", "rec.s3.example.org:8443"},
	} {
		asked := 0
		b := open(t, Config{Endpoint: tt.endpoint, Region: tt.region, Bucket: "rec"}, func(r *http.Request) (int, io.Reader) {
			asked++
			if r.URL.Host != tt.want || r.Host != tt.want || !strings.Contains(r.Header.Get("Authorization"), "/"+cmp.Or(tt.region, "us-east-1")+"/s3/") {
				t.Errorf("%s: %s, signed %q", tt.endpoint, r.URL, r.Header.Get("Authorization"))
			}
			return http.StatusOK, strings.NewReader("<ListBucketResult/>")
		})
		if _, err := fs.ReadDir(b, "."); err != nil || asked != 1 {
			t.Errorf("%s: %v, asked %d times", tt.endpoint, err, asked)
		}
	}
}

// endless repeats a text.
type endless struct {
	text string
	read int64
}

func (e *endless) Read(p []byte) (int, error) {
	n := 0
	for n < len(p) {
		n += copy(p[n:], e.text[(e.read+int64(n))%int64(len(e.text)):])
	}
	e.read += int64(n)
	return n, nil
}

func TestAnEndlessListIsLeft(t *testing.T) {
	body := &endless{text: "<Contents><Key>" + strings.Repeat("k", 1000) + "</Key></Contents>"}
	b := open(t, Config{Endpoint: "https://s3.example.org", Bucket: "rec"}, func(*http.Request) (int, io.Reader) {
		return http.StatusOK, io.MultiReader(strings.NewReader("<ListBucketResult>"), body)
	})
	if entries, err := fs.ReadDir(b, "."); err == nil || body.read > 2*maxPage {
		t.Errorf("%d entries, %v, after %d bytes", len(entries), err, body.read)
	}
}

// TestAWrongClockIsCorrectedOnce has a server whose clock is never where it was.
func TestAWrongClockIsCorrectedOnce(t *testing.T) {
	asked := 0
	b := open(t, Config{Endpoint: "https://s3.example.org", Bucket: "rec"}, nil)
	b.Client.Transport = skewed(func() { asked++ })
	if _, err := fs.Stat(b, "x"); err == nil || asked != 2 {
		t.Errorf("%v, asked %d times", err, asked)
	}
}

type skewed func()

func (s skewed) RoundTrip(r *http.Request) (*http.Response, error) {
	s()
	return &http.Response{
		StatusCode: http.StatusForbidden, Status: "403 Forbidden", Request: r,
		Header: http.Header{"Date": {"Fri, 20 Nov 2026 10:00:00 GMT"}},
		Body:   io.NopCloser(strings.NewReader("<Error><Code>RequestTimeTooSkewed</Code></Error>")),
	}, nil
}
