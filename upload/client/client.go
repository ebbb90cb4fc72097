// SPDX-License-Identifier: AGPL-3.0-or-later

// Package client is the one way in which this program makes an HTTP request:
// who the server is, how long it may say nothing, and what its answer means.
package client

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"time"
)

const (
	dialTime = 10 * time.Second
	maxIdle  = 64 // connections kept to one host; as many as may be busy
)

// TLS names the files of a mutual TLS server, and its host.
type TLS struct{ CA, Cert, Key, Host string }

// New returns a client that is bounded (see Bounded) and takes no redirects: they
// would carry a recording to where nobody configured.
func New(files TLS) *http.Client {
	d := &net.Dialer{Timeout: dialTime}
	t := &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		DialContext:           d.DialContext,
		TLSHandshakeTimeout:   dialTime,
		ExpectContinueTimeout: 2 * time.Second,
		IdleConnTimeout:       90 * time.Second,
		MaxIdleConnsPerHost:   maxIdle,
	}
	t.TLSClientConfig = files.config()
	return &http.Client{Transport: &Bounded{t}, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

// config reads the files at every handshake: certificates are renewed while
// the uploader runs.
func (f TLS) config() *tls.Config {
	c := &tls.Config{MinVersion: tls.VersionTLS12}
	if f.Cert != "" {
		c.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			pair, err := tls.LoadX509KeyPair(f.Cert, f.Key)
			if err != nil {
				return nil, fmt.Errorf("the client certificate: %w", err)
			}
			return &pair, nil
		}
	}
	if f.CA != "" {
		// The library has no hook to read the authorities late, so it is told
		// not to verify and the same verification is done here.
		c.InsecureSkipVerify = true
		c.VerifyConnection = func(s tls.ConnectionState) error { return f.verify(s) }
	}
	return c
}

// verify is what crypto/tls does by default, with the authorities of the file.
// The name is the URL's, which is the only one that is ever dialed: the state's
// own is empty where the host is an address.
func (f TLS) verify(s tls.ConnectionState) error {
	pem, err := os.ReadFile(f.CA)
	if err != nil {
		return fmt.Errorf("the certificate authorities: %w", err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		return fmt.Errorf("the certificate authorities: %q has no certificate", f.CA)
	}
	between := x509.NewCertPool()
	for _, c := range s.PeerCertificates[1:] {
		between.AddCert(c)
	}
	_, err = s.PeerCertificates[0].Verify(x509.VerifyOptions{Roots: roots, Intermediates: between, DNSName: f.Host})
	return err
}

// CheckURL refuses a target's URL that would carry recordings in the clear.
func CheckURL(key, text string) (*url.URL, error) {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return nil, fmt.Errorf("%s: %q is not a URL of the form https://host/path", key, text)
	}
	ip := net.ParseIP(u.Hostname())
	loopback := u.Hostname() == "localhost" || ip != nil && ip.IsLoopback()
	if u.Scheme != "https" && (u.Scheme != "http" || !loopback) {
		return nil, fmt.Errorf("%s: %q is not https (http is for loopback only)", key, text)
	}
	return u, nil
}
