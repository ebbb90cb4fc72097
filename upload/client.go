// SPDX-License-Identifier: AGPL-3.0-or-later

package upload

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"
)

// Time limits of a request. There is none for the whole: a gigabyte over a
// slow line takes its time, and a limit of 30 s lost recordings elsewhere.
const (
	dialTime   = 10 * time.Second
	answerTime = 5 * time.Minute // from the last byte sent to the answer: the server checks and syncs
	stallTime  = 60 * time.Second
)

// tlsFiles are the files of a mutual TLS target, and its host.
type tlsFiles struct{ ca, cert, key, host string }

// newClient returns a client that takes no redirects: they would carry a
// recording to where nobody configured.
func newClient(files tlsFiles) *http.Client {
	d := &net.Dialer{Timeout: dialTime}
	t := &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		DialContext:           d.DialContext,
		TLSHandshakeTimeout:   dialTime,
		ResponseHeaderTimeout: answerTime,
		ExpectContinueTimeout: 2 * time.Second,
		IdleConnTimeout:       90 * time.Second,
		MaxIdleConnsPerHost:   maxParallel,
	}
	t.TLSClientConfig = files.config()
	return &http.Client{Transport: t, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

// config reads the files at every handshake: certificates are renewed while
// the uploader runs.
func (f tlsFiles) config() *tls.Config {
	c := &tls.Config{MinVersion: tls.VersionTLS12}
	if f.cert != "" {
		c.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			pair, err := tls.LoadX509KeyPair(f.cert, f.key)
			if err != nil {
				return nil, fmt.Errorf("the client certificate: %w", err)
			}
			return &pair, nil
		}
	}
	if f.ca != "" {
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
func (f tlsFiles) verify(s tls.ConnectionState) error {
	pem, err := os.ReadFile(f.ca)
	if err != nil {
		return fmt.Errorf("the certificate authorities: %w", err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		return fmt.Errorf("the certificate authorities: %q has no certificate", f.ca)
	}
	between := x509.NewCertPool()
	for _, c := range s.PeerCertificates[1:] {
		between.AddCert(c)
	}
	_, err = s.PeerCertificates[0].Verify(x509.VerifyOptions{Roots: roots, Intermediates: between, DNSName: f.host})
	return err
}

// checkURL refuses a target's URL that would carry recordings in the clear.
func checkURL(key, text string) (*url.URL, error) {
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

// do sends a request with a body that must keep moving.
func do(ctx context.Context, c *http.Client, r *http.Request) (*http.Response, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	timer := time.AfterFunc(stallTime, func() { cancel(errStalled) })
	if r.Body != nil {
		r.Body = &moving{r.Body, timer}
	} else {
		timer.Reset(answerTime)
	}
	resp, err := c.Do(r.WithContext(ctx))
	if err != nil {
		timer.Stop()
		defer cancel(nil)
		if cause := context.Cause(ctx); errors.Is(cause, errStalled) {
			err = cause
		}
		var u *url.Error // its text repeats method and URL
		if errors.As(err, &u) {
			err = u.Err
		}
		return nil, err
	}
	timer.Reset(answerTime)
	resp.Body = &closing{resp.Body, func() { timer.Stop(); cancel(nil) }}
	return resp, nil
}

var errStalled = fmt.Errorf("nothing has moved for %v", stallTime)

// moving puts the end off whenever something is read.
type moving struct {
	io.ReadCloser
	timer *time.Timer
}

func (m *moving) Read(p []byte) (int, error) {
	n, err := m.ReadCloser.Read(p)
	if err != nil { // the rest is up to the transport's own limit
		m.timer.Reset(answerTime + stallTime)
	} else {
		m.timer.Reset(stallTime)
	}
	return n, err
}

type closing struct {
	io.ReadCloser
	then func()
}

func (c *closing) Close() error {
	err := c.ReadCloser.Close()
	c.then()
	return err
}

// piped runs write beside a request whose body it makes. end, called after the
// answer, stops it and returns how it went: an answer that came before the
// whole body was sent is no receipt for it.
func piped(write func(w io.Writer) error) (body *io.PipeReader, end func() error) {
	body, sink := io.Pipe()
	done := make(chan error, 1)
	go func() {
		err := write(sink)
		sink.CloseWithError(err)
		done <- err
	}()
	return body, func() error {
		body.Close()
		return <-done
	}
}

// maxAnswer bounds what is read of an answer; S3's list of 1000 parts has some
// 300 kB.
const maxAnswer = 1 << 20

func readAnswer(resp *http.Response) []byte {
	text, _ := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	return text
}

// maxLater bounds what a server may ask us to wait: a day, against nonsense.
const maxLater = 24 * time.Hour

// notTaken makes an error of an answer, with the time that the server named.
func notTaken(resp *http.Response, text []byte, now time.Time) error {
	err := fmt.Errorf("the server answers %s%s", resp.Status, said(text))
	if at := retryAt(resp.Header, now); at.After(now) {
		return &Later{err, at}
	}
	return err
}

// retryAt reads Retry-After (RFC 9110: seconds or a date) and, without it,
// x-ratelimit-reset (unix seconds).
func retryAt(h http.Header, now time.Time) time.Time {
	var at time.Time
	if v := h.Get("Retry-After"); v != "" {
		if s, err := strconv.Atoi(v); err == nil && s >= 0 {
			at = now.Add(min(maxLater, time.Duration(min(s, 1<<20))*time.Second))
		} else if t, err := http.ParseTime(v); err == nil {
			at = t
		}
	} else if s, err := strconv.ParseInt(h.Get("X-Ratelimit-Reset"), 10, 64); err == nil && h.Get("X-Ratelimit-Remaining") == "0" {
		at = time.Unix(s, 0)
	}
	if limit := now.Add(maxLater); at.After(limit) {
		return limit
	}
	return at
}

// said returns what a server's answer says, for the end of a message.
func said(text []byte) string {
	var j struct{ Error, Message, Type string }
	if json.Unmarshal(text, &j) == nil {
		text = []byte(strings.TrimSpace(j.Type + " " + j.Message + j.Error))
	}
	s := strings.TrimSpace(string(text))
	if s == "" {
		return ""
	}
	const enough = 200
	return fmt.Sprintf(": %.*q", enough, s)
}
