// SPDX-License-Identifier: AGPL-3.0-or-later

package upload

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"castgate/upload/archive/receive"
)

// ticketPlace is a bucket that the host has no credential of, and the real
// receiver of `castgate serve` that signs. Either of them fails.
func ticketPlace(t *testing.T, b *bench, bucketFails bool) place {
	srv := newS3Server()
	srv.lock = true
	f := &faulty{Handler: srv}
	var bucket http.Handler = srv
	if bucketFails { // at what the host sends
		bucket = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodPut {
				f.ServeHTTP(w, r)
			} else {
				srv.ServeHTTP(w, r)
			}
		})
	}
	h := httptest.NewServer(bucket)
	t.Cleanup(h.Close)
	b.put("s3-credentials", "[default]\naws_access_key_id = testkey\naws_secret_access_key = testsecret\n")
	c := S3Config{Endpoint: h.URL, Bucket: "recordings", Prefix: "pre fix/é", PathStyle: true}
	signs := c
	signs.CredentialsFile, signs.Retain = b.path("s3-credentials"), time.Hour
	tickets, err := NewTickets(signs)
	if err != nil {
		t.Fatal(err)
	}
	dir, err := receive.OpenDir(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	a := serveArchiveWith(t, b, "web1", dir, func(s *receive.Server) http.Handler {
		s.Tickets = tickets
		if bucketFails {
			return s
		}
		f.Handler = s
		return f
	})
	c.Ticket = &a
	target, err := newS3Target(c)
	if err != nil {
		t.Fatal(err)
	}
	p := srv.place(target, f)
	p.wrong = b.wrongSecret // the archive's
	if !bucketFails {
		p.never = "400"
		p.wrong = func() { b.strangers(a.CertFile, a.KeyFile) }
	}
	return p
}

// TestATicketIsForOneObject uses a ticket for what it is not for.
func TestATicketIsForOneObject(t *testing.T) {
	b := newBench(t)
	d := b.packed(1, whole(1))
	p := ticketPlace(t, b, true)
	target := p.Target.(*ticketTarget)
	srv := p.faults.Handler.(*s3Server)
	o := d.objects()[0]
	for name, tt := range map[string]struct {
		spoil  func(r *http.Request)
		status int
	}{
		"other bytes": {func(r *http.Request) {
			r.Body = io.NopCloser(bytes.NewReader(make([]byte, o.Bytes)))
		}, 400},
		"no lock":         {func(r *http.Request) { r.Header.Del("X-Amz-Object-Lock-Mode") }, 403},
		"a shorter lock":  {func(r *http.Request) { r.Header.Set("X-Amz-Object-Lock-Retain-Until-Date", "2026-11-22T00:00:00Z") }, 403},
		"over another":    {func(r *http.Request) { r.Header.Del("If-None-Match") }, 403},
		"another key":     {func(r *http.Request) { r.URL.Path, r.URL.RawPath = r.URL.Path+"x", "" }, 403},
		"another hash":    {func(r *http.Request) { r.Header.Set("X-Amz-Checksum-Sha256", toBase64(emptySHA256)) }, 403},
		"as a GET":        {func(r *http.Request) { r.Method = http.MethodGet }, 403},
		"as it was given": {func(*http.Request) {}, 200},
	} {
		delete(srv.objects, "pre fix/é/"+d.Manifest.Path(o.suffix))
		answer, err := target.ask(t.Context(), d.Manifest, o)
		if err != nil || answer.URL == "" {
			t.Fatalf("%+v, %v", answer, err)
		}
		statuses := []int{tt.status}
		if tt.status == 200 {
			statuses = append(statuses, 412) // a second time
		}
		for _, want := range statuses {
			body, err := o.open()
			if err != nil {
				t.Fatal(err)
			}
			r, err := http.NewRequest(http.MethodPut, answer.URL, body)
			if err != nil {
				t.Fatal(err)
			}
			r.ContentLength = o.Bytes
			for k, v := range answer.Headers {
				r.Header.Set(k, v)
			}
			tt.spoil(r)
			resp, err := http.DefaultClient.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			if resp.StatusCode != want {
				t.Errorf("%s: status %d, want %d", name, resp.StatusCode, want)
			}
		}
	}
}

func TestATicketThatLeadsElsewhereIsNotUsed(t *testing.T) {
	b := newBench(t)
	d := b.packed(1, whole(1))
	p := ticketPlace(t, b, true)
	bucket := p.Target.(*ticketTarget).bucket
	bucket.c.Bucket, bucket.url.Path = "another", "/another"
	_, err := p.Deliver(t.Context(), d)
	var hint interface{ Hint() string }
	if err == nil || isRefused(err) || !errors.As(err, &hint) || !strings.Contains(hint.Hint(), "receive.tickets") || p.faults.seen != 0 {
		t.Errorf("%v, %d requests", err, p.faults.seen)
	}
}

func TestTicketsFollowTheBucketsClock(t *testing.T) {
	b := newBench(t)
	d := b.packed(1, whole(1))
	p := ticketPlace(t, b, true)
	p.faults.Handler.(*s3Server).skew = 3 * time.Hour
	if _, err := p.Deliver(t.Context(), d); err != nil {
		t.Fatal(err)
	}
	if n, err := p.copies(d); n != 1 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
}

func TestTicketConfig(t *testing.T) {
	a := &ArchiveConfig{"https://a", "ca", "cert", "key"}
	for name, c := range map[string]S3Config{
		"credential too": {Endpoint: "https://h", Bucket: "b", CredentialsFile: "/f", Ticket: a},
		"retain too":     {Endpoint: "https://h", Bucket: "b", Retain: time.Hour, Ticket: a},
		"no certificate": {Endpoint: "https://h", Bucket: "b", Ticket: &ArchiveConfig{URL: "https://a"}},
		"no bucket":      {Endpoint: "https://h", Ticket: a},
	} {
		if target, err := newS3Target(c); err == nil {
			t.Errorf("%s: %v", name, target)
		}
	}
	if _, err := NewTickets(S3Config{Endpoint: "https://h", Bucket: "b", Ticket: a}); err == nil {
		t.Error("tickets by ticket")
	}
}
