// SPDX-License-Identifier: AGPL-3.0-or-later

package upload

import (
	"bytes"
	"context"
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// s3Request is one request to a bucket.
type s3Request struct {
	method string
	key    string
	query  url.Values
	header http.Header
	open   func() (io.ReadSeekCloser, error) // the body, nil for none
	size   int64
	sha256 string    // of the body
	into   io.Writer // takes the answer's body when all is well
}

// s3Answer is what came back.
type s3Answer struct {
	resp   *http.Response
	status int
	header http.Header
	text   []byte
	at     time.Time
}

// maxSkew is what S3 puts up with. The answer to a HEAD has no body that could
// say so, only a date.
const maxSkew = 15 * time.Minute

// send signs and sends a request. When the server finds our clock wrong it is
// sent once more, by the server's clock.
func (t *s3Target) send(ctx context.Context, req s3Request) (*s3Answer, error) {
	answer, err := t.sendOnce(ctx, req)
	if err != nil || answer.status != http.StatusForbidden {
		return answer, err
	}
	theirs, err := http.ParseTime(answer.header.Get("Date"))
	if err != nil || answer.code() != "RequestTimeTooSkewed" && (req.method != http.MethodHead || theirs.Sub(t.now()).Abs() < maxSkew) {
		return answer, nil
	}
	t.mu.Lock()
	t.skew = time.Until(theirs)
	t.mu.Unlock()
	return t.sendOnce(ctx, req)
}

func (t *s3Target) sendOnce(ctx context.Context, req s3Request) (*s3Answer, error) {
	u := t.at(req.key, req.query)
	r, err := http.NewRequest(req.method, u.String(), nil)
	if err != nil {
		return nil, err
	}
	r.URL = u
	for k, v := range req.header {
		r.Header[k] = v
	}
	if req.open != nil {
		body, err := req.open()
		if err != nil {
			return nil, err
		}
		defer body.Close()
		r.Body, r.ContentLength = io.NopCloser(body), req.size
		r.GetBody = func() (io.ReadCloser, error) { return req.open() }
		if req.size == 0 {
			r.Body = http.NoBody
		}
	}
	if err := t.sign(ctx, r, req.sha256); err != nil {
		return nil, err
	}
	resp, err := do(ctx, t.client, r)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	a := &s3Answer{resp: resp, status: resp.StatusCode, header: resp.Header, at: time.Now()}
	if req.into != nil && resp.StatusCode == http.StatusOK {
		_, err = io.Copy(req.into, resp.Body)
		return a, err
	}
	a.text = readAnswer(resp)
	return a, nil
}

// escapeKey escapes a key as S3 wants it signed: all but the unreserved
// characters of RFC 3986 and the slash.
func escapeKey(key string) string {
	var b strings.Builder
	for i := range len(key) {
		c := key[i]
		if 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.IndexByte("-_.~/", c) >= 0 {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}

// s3Error is the XML of an error.
type s3Error struct {
	Code, Message string
}

func (a *s3Answer) problem() (e s3Error) {
	if bytes.Contains(a.text, []byte("<Error>")) {
		_ = xml.Unmarshal(a.text, &e) // what isn't XML has no code
	}
	return e
}

func (a *s3Answer) code() string { return a.problem().Code }

// failure makes an error of an answer. Credentials, permissions, the bucket
// and the clock are the administrator's to put right; only what is about this
// object's bytes is for good.
func (a *s3Answer) failure(what string) error {
	e := a.problem()
	text := a.text
	if e.Code != "" {
		text = []byte(e.Code + ": " + e.Message)
	}
	err := fmt.Errorf("%s: %w", what, notTaken(a.resp, text, a.at))
	if e.Code == "EntityTooLarge" {
		return &Refused{err}
	}
	return err
}
