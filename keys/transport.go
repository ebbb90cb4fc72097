// SPDX-License-Identifier: AGPL-3.0-or-later

package keys

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"os"
	"time"
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

// newHTTP is a client that follows a redirect on the same host only (a renamed
// login answers 301), never asks the environment for a proxy, and trusts
// ca_file instead of the system's authorities when one is set.
func newHTTP(g GitHub) (*http.Client, *http.Transport, error) {
	proxy, err := g.proxy()
	if err != nil {
		return nil, nil, err
	}
	net := &http.Transport{
		Proxy:                  func(*http.Request) (*url.URL, error) { return proxy, nil },
		TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12},
		ForceAttemptHTTP2:      true,
		MaxResponseHeaderBytes: 64 << 10,
		TLSHandshakeTimeout:    g.Timeout,
		MaxIdleConnsPerHost:    4,
		IdleConnTimeout:        time.Minute,
	}
	if g.CAFile != "" {
		pem, err := os.ReadFile(g.CAFile)
		if err != nil {
			return nil, nil, fmt.Errorf("read the certificate authorities: %w", err)
		}
		net.TLSClientConfig.RootCAs = x509.NewCertPool()
		if !net.TLSClientConfig.RootCAs.AppendCertsFromPEM(pem) {
			return nil, nil, fmt.Errorf("read the certificate authorities: %q has none in PEM", g.CAFile)
		}
	}
	return &http.Client{Timeout: g.Timeout, CheckRedirect: maxRedirects}, net, nil
}

// HTTP is a client for a single question that the operator's check asks: the
// same way to GitHub as a login's, and no redirect at all.
func (g GitHub) HTTP() (*http.Client, error) {
	hc, net, err := newHTTP(g)
	if err != nil {
		return nil, err
	}
	hc.Transport = net
	hc.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return hc, nil
}

func maxRedirects(_ *http.Request, via []*http.Request) error {
	if len(via) > 3 {
		return errors.New("GitHub redirected us more than 3 times")
	}
	return nil
}
