// SPDX-License-Identifier: AGPL-3.0-or-later

package github

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
)

// maxBody bounds one answer: a page of 100 keys with 16384 bits is 300 KB.
const maxBody = 8 << 20

// transport is between go-github and the network. It adds the token, for the
// configured host only; revalidates with ETags; and hands on nothing but whole
// JSON documents: go-github takes an empty body for an empty list, and would
// so turn a broken proxy into "this member has no keys".
type transport struct {
	next  http.RoundTripper
	base  *url.URL
	auth  func(*http.Request) (string, error)
	etags *etags
	rate  *rate

	rejected func() // hears of a 401; may be nil
}

func (t *transport) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.URL.Scheme != t.base.Scheme || req.URL.Host != t.base.Host {
		return nil, fmt.Errorf("GitHub sent us to %q, which is not %q", req.URL.Host, t.base.Host)
	}
	auth, err := t.auth(req)
	if err != nil {
		return nil, err
	}
	req = req.Clone(req.Context())
	req.Header.Set("Authorization", auth)
	entry := t.etags.before(req)
	resp, err := t.next.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	t.rate.see(resp)
	if resp.StatusCode == http.StatusNotModified && entry != nil {
		_ = resp.Body.Close()
		return entry.response(req, resp), nil
	}
	if resp.StatusCode == http.StatusUnauthorized && t.rejected != nil {
		t.rejected()
	}
	if resp.StatusCode/100 != 2 {
		return resp, nil
	}
	body, err := document(resp)
	if err != nil {
		return nil, err
	}
	t.etags.after(req, resp, body)
	resp.Body = io.NopCloser(bytes.NewReader(body))
	return resp, nil
}

// document reads an answer to its end and makes sure that it is JSON.
func document(resp *http.Response) ([]byte, error) {
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxBody+1))
	switch kind, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type")); {
	case err != nil:
		return nil, fmt.Errorf("the answer was cut: %w", err)
	case len(body) > maxBody:
		return nil, fmt.Errorf("the answer is longer than %d bytes", maxBody)
	case kind == "text/html":
		return nil, fmt.Errorf("the answer is %q, not JSON", resp.Header.Get("Content-Type"))
	}
	text := bytes.TrimSpace(body)
	if len(text) == 0 || (text[0] != '[' && text[0] != '{') || !json.Valid(text) {
		return nil, errors.New("the answer is not a whole JSON document")
	}
	return body, nil
}
