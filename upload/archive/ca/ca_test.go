// SPDX-License-Identifier: AGPL-3.0-or-later

package ca

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestFleet(t *testing.T) {
	dir := t.TempDir()
	a, err := Init(filepath.Join(dir, "ca"), "test authority")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := a.Server([]string{"archive.example.org", "127.0.0.1"}, dir); err != nil {
		t.Fatal(err)
	}
	if _, err := a.Host("web1.example.org", dir, nil); err != nil {
		t.Fatal(err)
	}
	host := handshake(t, a, filepath.Join(dir, "server"), filepath.Join(dir, "web1.example.org"))
	if host != "web1.example.org" {
		t.Errorf("the server sees %q", host)
	}
	issued, err := os.ReadFile(filepath.Join(dir, "ca", logFile))
	if err != nil || !strings.Contains(string(issued), " host web1.example.org serial=") {
		t.Errorf("issued.log: %q, %v", issued, err)
	}
}

// handshake returns the host that a TLS server sees.
func handshake(t *testing.T, a *Authority, server, client string) string {
	t.Helper()
	pool := x509.NewCertPool()
	pool.AddCert(a.Cert)
	load := func(base string) []tls.Certificate {
		c, err := tls.LoadX509KeyPair(base+".crt", base+".key")
		if err != nil {
			t.Fatal(err)
		}
		return []tls.Certificate{c}
	}
	c1, c2 := net.Pipe()
	srv := tls.Server(c1, &tls.Config{Certificates: load(server), ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: pool})
	cli := tls.Client(c2, &tls.Config{Certificates: load(client), RootCAs: pool, ServerName: "127.0.0.1"})
	done := make(chan error, 1)
	go func() { done <- cli.Handshake() }()
	if err := errors.Join(srv.Handshake(), <-done); err != nil {
		t.Fatal(err)
	}
	host, err := HostOf(srv.ConnectionState().PeerCertificates[0])
	if err != nil {
		t.Fatal(err)
	}
	return host
}

func TestServerCertificateIsNoHost(t *testing.T) {
	dir := t.TempDir()
	a, err := Init(filepath.Join(dir, "ca"), "test")
	if err != nil {
		t.Fatal(err)
	}
	files, err := a.Server([]string{"archive"}, dir)
	if err != nil {
		t.Fatal(err)
	}
	data, _ := os.ReadFile(files[1])
	cert, err := parseCert(data)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(a.Cert)
	_, err = cert.Verify(x509.VerifyOptions{Roots: pool, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}})
	if err == nil {
		t.Error("a server certificate may be used as a host's")
	}
}

func TestNothingIsOverwritten(t *testing.T) {
	dir := t.TempDir()
	a, err := Init(dir, "test")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Init(dir, "test"); !errors.Is(err, fs.ErrExist) {
		t.Errorf("second Init: %v", err)
	}
	if _, err := a.Host("web1", dir, nil); err != nil {
		t.Fatal(err)
	}
	if _, err := a.Host("web1", dir, nil); !errors.Is(err, fs.ErrExist) {
		t.Errorf("second Host: %v", err)
	}
	for _, f := range []string{"ca.key", "web1.key"} {
		st, err := os.Stat(filepath.Join(dir, f))
		if err != nil || st.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", f, st.Mode(), err)
		}
	}
}

func TestRequestDoesNotChooseItsName(t *testing.T) {
	dir := t.TempDir()
	a, err := Init(dir, "test")
	if err != nil {
		t.Fatal(err)
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{
		Subject: pkix.Name{CommonName: "other"}, DNSNames: []string{"other"},
	}, key)
	if err != nil {
		t.Fatal(err)
	}
	csr := filepath.Join(dir, "x.csr")
	if err := os.WriteFile(csr, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	pub, err := Request(csr)
	if err != nil {
		t.Fatal(err)
	}
	files, err := a.Host("web2", dir, pub)
	if err != nil || len(files) != 1 {
		t.Fatalf("%q, %v", files, err)
	}
	data, _ := os.ReadFile(files[0])
	cert, err := parseCert(data)
	if err != nil {
		t.Fatal(err)
	}
	if host, err := HostOf(cert); err != nil || host != "web2" {
		t.Errorf("%q, %v", host, err)
	}
}

func TestCheckHost(t *testing.T) {
	for name, ok := range map[string]bool{
		"web1": true, "web1.example.org": true, "10-0-0-1": true,
		"": false, ".": false, "..": false, "a/b": false, "Web1": false, "-a": false, "a-": false,
		"a..b": false, "a.": false, "é": false, "a b": false, "*.example.org": false, "a\n": false,
		strings.Repeat("a", 64): false,
	} {
		if err := CheckHost(name); (err == nil) != ok {
			t.Errorf("%q: %v", name, err)
		}
	}
}
