// SPDX-License-Identifier: AGPL-3.0-or-later

package serve

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
	"sync"
	"time"
)

// Files are what a TLS door is made of. They are read again when they change,
// so that a renewed certificate needs no restart.
type Files struct {
	Cert, Key string
	CA        string // for client certificates; "" asks for none
}

// Config reads the files and returns a configuration that follows them.
func (f Files) Config() (*tls.Config, error) {
	r := &reloader{files: f}
	if _, err := r.config(nil); err != nil {
		return nil, err
	}
	return &tls.Config{MinVersion: tls.VersionTLS12, GetConfigForClient: r.config}, nil
}

type reloader struct {
	files  Files
	mu     sync.Mutex
	newest time.Time
	now    *tls.Config
}

// config returns what a new connection is answered with. Files that can't be
// read, while somebody is replacing them, leave the last good state.
func (r *reloader) config(*tls.ClientHelloInfo) (*tls.Config, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	newest := r.files.newest()
	if r.now != nil && newest.Equal(r.newest) {
		return r.now, nil
	}
	cfg, err := r.files.load()
	if err != nil {
		if r.now != nil {
			return r.now, nil
		}
		return nil, err
	}
	r.now, r.newest = cfg, newest
	return cfg, nil
}

func (f Files) newest() (t time.Time) {
	for _, p := range []string{f.Cert, f.Key, f.CA} {
		if st, err := os.Stat(p); err == nil && st.ModTime().After(t) {
			t = st.ModTime()
		}
	}
	return t
}

func (f Files) load() (*tls.Config, error) {
	cert, err := tls.LoadX509KeyPair(f.Cert, f.Key)
	if err != nil {
		return nil, err
	}
	cfg := &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{cert}}
	if f.CA == "" {
		return cfg, nil
	}
	pem, err := os.ReadFile(f.CA)
	if err != nil {
		return nil, err
	}
	cfg.ClientAuth, cfg.ClientCAs = tls.RequireAndVerifyClientCert, x509.NewCertPool()
	// HTTP/1.1 alone: a stream of HTTP/2 has no read deadline of its own, and
	// an upload fills a connection anyway.
	cfg.NextProtos = []string{"http/1.1"}
	if !cfg.ClientCAs.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("%q: no certificate in it", f.CA)
	}
	return cfg, nil
}
