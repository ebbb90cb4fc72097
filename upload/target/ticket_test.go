// SPDX-License-Identifier: AGPL-3.0-or-later

package target_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"castgate/upload/client"
	"castgate/upload/manifest"

	. "castgate/upload/target"
	. "castgate/upload/uploadtest"
)

// TestATicketIsForOneObject uses a ticket for what it is not for.
func TestATicketIsForOneObject(t *testing.T) {
	b := New(t)
	d := b.Packed(Whole(1))
	p := TicketPlace(t, b, true)
	target := p.Target.(*TicketTarget)
	srv := p.Faults.Handler.(*S3Server)
	o := d.Objects()[0]
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
		"another hash":    {func(r *http.Request) { r.Header.Set("X-Amz-Checksum-Sha256", Base64Sum(manifest.Hash(nil))) }, 403},
		"as a GET":        {func(r *http.Request) { r.Method = http.MethodGet }, 403},
		"as it was given": {func(*http.Request) {}, 200},
	} {
		delete(srv.Objects, "pre fix/é/"+d.Manifest.Path(o.Suffix()))
		answer, err := target.Ask(t.Context(), d.Manifest, o, nil)
		if err != nil || answer.URL == "" {
			t.Fatalf("%+v, %v", answer, err)
		}
		want := []int{tt.status}
		if tt.status == 200 {
			want = append(want, 412) // a second time
		}
		for _, status := range want {
			if got := useTicket(t, answer, o.Open, o.Bytes, tt.spoil); got != status {
				t.Errorf("%s: status %d, want %d", name, got, status)
			}
		}
	}
}

// useTicket sends a PUT that spoil has changed and returns the bucket's status.
func useTicket(t *testing.T, answer TicketAnswer, open func() (io.ReadSeekCloser, error), size int64, spoil func(*http.Request)) int {
	t.Helper()
	Body, err := open()
	if err != nil {
		t.Fatal(err)
	}
	r, err := http.NewRequest(http.MethodPut, answer.URL, Body)
	if err != nil {
		t.Fatal(err)
	}
	r.ContentLength = size
	for k, v := range answer.Headers {
		r.Header.Set(k, v)
	}
	spoil(r)
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	return resp.StatusCode
}

// TestATicketForAWholeObjectNamesNoParts reads what the archive is asked.
func TestATicketForAWholeObjectNamesNoParts(t *testing.T) {
	b := New(t)
	d := b.Packed(Whole(1))
	p := TicketPlace(t, b, false)
	archive, asked := p.Faults.Handler, ""
	p.Faults.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		text, _ := io.ReadAll(r.Body)
		asked += string(text)
		r.Body = io.NopCloser(bytes.NewReader(text))
		archive.ServeHTTP(w, r)
	})
	if _, err := p.Deliver(t.Context(), d); err != nil || !strings.Contains(asked, d.Manifest.Stored.SHA256) || strings.Contains(asked, "parts") {
		t.Errorf("%v; asked: %s", err, asked)
	}
}

// inParts makes both ends cut what is sent into small parts.
func inParts(p Place) (*TicketTarget, *S3Server) {
	target := p.Target.(*TicketTarget)
	BucketOf(target).Parts, p.Signer.Parts = smallParts, smallParts
	return target, p.Faults.Handler.(*S3Server)
}

func TestTicketsForPartsGoOnWhereTheyStopped(t *testing.T) {
	b := New(t)
	d := noise(b)
	p := TicketPlace(t, b, true)
	_, srv := inParts(p)
	want := smallParts.Count(d.Manifest.Stored.Bytes)
	p.Faults.Then("", "", "", "reset")
	if _, err := p.Deliver(t.Context(), d); err == nil || client.IsRefused(err) {
		t.Fatalf("the cut try: %v", err)
	}
	for range 2 { // and once more, when it is there
		if _, err := p.Deliver(t.Context(), d); err != nil {
			t.Fatal(err)
		}
		if srv.Parts != want {
			t.Errorf("%d parts were sent for %d", srv.Parts, want)
		}
		if n, err := p.Copies(d); n != 1 || err != nil { // with their locks
			t.Errorf("%d copies, %v", n, err)
		}
	}
	if len(srv.Uploads) != 0 {
		t.Errorf("%d uploads are left", len(srv.Uploads))
	}
	p.Spoil(d)
	if _, err := p.Deliver(t.Context(), d); !client.IsRefused(err) {
		t.Errorf("over another: %v", err)
	}
}

// TestATicketForAPartIsForThatPart uses one for what it is not for.
func TestATicketForAPartIsForThatPart(t *testing.T) {
	b := New(t)
	d := noise(b)
	p := TicketPlace(t, b, true)
	target, srv := inParts(p)
	o := d.Objects()[0]
	sums, err := BucketOf(target).Parts.Sums(o.Object)
	if err != nil {
		t.Fatal(err)
	}
	query := func(k, v string) func(*http.Request) {
		return func(r *http.Request) {
			q := r.URL.Query()
			q.Set(k, v)
			r.URL.RawQuery = q.Encode()
		}
	}
	open := smallParts.Section(o.Object, 0).Open
	for name, tt := range map[string]struct {
		spoil  func(r *http.Request)
		status int
	}{
		"other bytes": {func(r *http.Request) {
			r.Body = io.NopCloser(bytes.NewReader(make([]byte, smallParts.Each)))
		}, 400},
		"another number": {query("partNumber", "2"), 403},
		"another upload": {query("uploadId", "upload-9"), 403},
		"the whole":      {func(r *http.Request) { r.URL.RawQuery = strings.Replace(r.URL.RawQuery, "partNumber=1&", "", 1) }, 403},
		"another key":    {func(r *http.Request) { r.URL.Path, r.URL.RawPath = r.URL.Path+"x", "" }, 403},
		"another hash":   {func(r *http.Request) { r.Header.Set("X-Amz-Checksum-Sha256", sums[1]) }, 403},
		"to complete":    {func(r *http.Request) { r.Method = http.MethodPost }, 403},
		"to abort":       {func(r *http.Request) { r.Method = http.MethodDelete }, 403},
	} {
		answer, err := target.Ask(t.Context(), d.Manifest, o, sums)
		if err != nil || answer.Part != 1 {
			t.Fatalf("%+v, %v", answer, err)
		}
		if got := useTicket(t, answer, open, smallParts.Each, tt.spoil); got != tt.status || srv.Parts != 0 {
			t.Errorf("%s: status %d, want %d; %d parts", name, got, tt.status, srv.Parts)
		}
	}
	// What the host says of its own parts is what it is held to.
	lie := slices.Clone(sums)
	lie[0] = sums[1]
	for name, parts := range map[string][]string{"too few": sums[1:], "none": nil, "too many": append(slices.Clone(sums), sums[0])} {
		if _, err := target.Ask(t.Context(), d.Manifest, o, parts); !client.IsRefused(err) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if answer, err := target.Ask(t.Context(), d.Manifest, o, lie); err != nil || useTicket(t, answer, open, smallParts.Each, func(*http.Request) {}) != 400 {
		t.Errorf("bytes that were not announced: %+v, %v", answer, err)
	}
	if answer, err := target.Ask(t.Context(), d.Manifest, o, sums); err != nil || useTicket(t, answer, open, smallParts.Each, func(*http.Request) {}) != 200 {
		t.Errorf("as it was given: %+v, %v", answer, err)
	}
	if answer, err := target.Ask(t.Context(), d.Manifest, o, sums); err != nil || answer.Part != 2 || len(srv.Objects) != 0 {
		t.Errorf("then: %+v, %v", answer, err)
	}
	if answer, err := target.Ask(t.Context(), d.Manifest, o, lie); err != nil || answer.Part != 1 {
		t.Errorf("a part that is there with other bytes: %+v, %v", answer, err)
	}
}

// TestAnArchiveThatGoesInCirclesIsLeft has one that gives the same ticket over
// and over, or tickets for parts that there are not.
func TestAnArchiveThatGoesInCirclesIsLeft(t *testing.T) {
	for _, part := range []int{-1, 0, 1, 7000} {
		b := New(t)
		d := noise(b)
		p := TicketPlace(t, b, true)
		inParts(p)
		asked := 0
		mine := Mutual(t, b, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			var o struct {
				SHA256 string
				Bytes  int64
			}
			_ = json.NewDecoder(r.Body).Decode(&o)
			asked++
			at := p.S3.Endpoint + "/recordings/pre%20fix/%C3%A9/x"
			_ = json.NewEncoder(w).Encode(map[string]any{"sha256": o.SHA256, "bytes": o.Bytes, "path": "x", "url": at, "part": part})
		}))
		c := ArchiveConfig{URL: mine.URL, CAFile: b.Path("ca.pem"), CertFile: b.Path("cert.pem"), KeyFile: b.Path("key.pem")}
		SetArchive(p.Target, Make(t, Config{Archive: &c}))
		BucketOf(p.Target).Client = PipeClient(func(c net.Conn) {
			defer c.Close()
			r, err := http.ReadRequest(bufio.NewReader(c))
			if err == nil {
				_, _ = io.Copy(io.Discard, r.Body)
				_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
			}
		})
		if _, err := p.Deliver(t.Context(), d); err == nil || client.IsRefused(err) || asked > 2 {
			t.Errorf("part %d: %v, asked %d times", part, err, asked)
		}
	}
}

func TestATicketThatLeadsElsewhereIsNotUsed(t *testing.T) {
	b := New(t)
	d := b.Packed(Whole(1))
	p := TicketPlace(t, b, true)
	c := p.S3
	c.Bucket = "another"
	SetBucket(p.Target, OpenBucket(t, c))
	_, err := p.Deliver(t.Context(), d)
	var hint interface{ Hint() string }
	if err == nil || client.IsRefused(err) || !errors.As(err, &hint) || !strings.Contains(hint.Hint(), "receive.tickets") || p.Faults.Seen != 0 {
		t.Errorf("%v, %d requests", err, p.Faults.Seen)
	}
}

func TestTicketsFollowTheBucketsClock(t *testing.T) {
	b := New(t)
	d := b.Packed(Whole(1))
	p := TicketPlace(t, b, true)
	p.Faults.Handler.(*S3Server).Skew = 3 * time.Hour
	if _, err := p.Deliver(t.Context(), d); err != nil {
		t.Fatal(err)
	}
	if n, err := p.Copies(d); n != 1 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
}

func TestTicketConfig(t *testing.T) {
	a := &ArchiveConfig{URL: "https://a", CAFile: "ca", CertFile: "cert", KeyFile: "key"}
	for name, c := range map[string]S3Config{
		"credential too": {Endpoint: "https://h", Bucket: "b", CredentialsFile: "/f", Ticket: a},
		"retain too":     {Endpoint: "https://h", Bucket: "b", Retain: time.Hour, Ticket: a},
		"no certificate": {Endpoint: "https://h", Bucket: "b", Ticket: &ArchiveConfig{URL: "https://a"}},
		"no bucket":      {Endpoint: "https://h", Ticket: a},
	} {
		if target, err := (Config{S3: &c}).New(); err == nil {
			t.Errorf("%s: %v", name, target)
		}
	}
}
