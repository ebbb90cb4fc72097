// SPDX-License-Identifier: AGPL-3.0-or-later

package github

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"time"

	"castgate/keys/settings"
)

// newHTTP is a client that follows a redirect on the same host only (a renamed
// login answers 301), never asks the environment for a proxy, and trusts
// ca_file instead of the system's authorities when one is set.
func newHTTP(g settings.GitHub) (*http.Client, *http.Transport, error) {
	proxy, err := g.ProxyURL()
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

// Plain is a client for a single question that the operator's check asks: the
// same way to GitHub as a login's, and no redirect at all.
func Plain(g settings.GitHub) (*http.Client, error) {
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
