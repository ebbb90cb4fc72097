// SPDX-License-Identifier: AGPL-3.0-or-later

package uploadtest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"testing"
	"time"
)

// authority is a certificate authority for a test.
type authority struct {
	t    testing.TB
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t testing.TB) *authority {
	a := &authority{t: t}
	a.cert, a.key = a.sign(&x509.Certificate{Subject: pkix.Name{CommonName: "test"}, IsCA: true, BasicConstraintsValid: true})
	return a
}

func (a *authority) sign(c *x509.Certificate) (*x509.Certificate, *ecdsa.PrivateKey) {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	if c.NotBefore.IsZero() {
		c.NotBefore = time.Now().Add(-time.Hour)
	}
	c.SerialNumber, c.NotAfter = big.NewInt(1), c.NotBefore.Add(2*time.Hour)
	parent, signer := a.cert, a.key
	if parent == nil {
		parent, signer = c, key
	}
	der, err := x509.CreateCertificate(rand.Reader, c, parent, key.Public(), signer)
	if err != nil {
		a.t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		a.t.Fatal(err)
	}
	return cert, key
}

func pemCert(c *x509.Certificate) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw}))
}

func (a *authority) pemKey(key *ecdsa.PrivateKey) string {
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		a.t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der}))
}

// host signs a client certificate in the name of web1.
func (a *authority) host() (*x509.Certificate, *ecdsa.PrivateKey) {
	return a.sign(&x509.Certificate{Subject: pkix.Name{CommonName: "web1"}, DNSNames: []string{"web1"}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}})
}

// strangers replaces a client certificate with one of the same name that
// another authority has signed.
func (b *Bench) strangers(certFile, keyFile string) {
	a := newAuthority(b.T)
	cert, key := a.host()
	for name, text := range map[string]string{certFile: pemCert(cert), keyFile: a.pemKey(key)} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			b.T.Fatal(err)
		}
	}
}

// Mutual starts a server that wants client certificates of a new authority,
// and writes the client's files: ca.pem, cert.pem, key.pem.
func Mutual(t *testing.T, b *Bench, h http.Handler) *httptest.Server {
	t.Helper()
	return MutualFrom(t, b, h, time.Now().Add(-time.Hour))
}

// MutualFrom is Mutual with a server whose certificate begins to be valid then.
func MutualFrom(t *testing.T, b *Bench, h http.Handler, from time.Time) *httptest.Server {
	t.Helper()
	a := newAuthority(t)
	cert, key := a.sign(&x509.Certificate{NotBefore: from, Subject: pkix.Name{CommonName: "srv"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}})
	srv := httptest.NewUnstartedServer(h)
	pool := x509.NewCertPool()
	pool.AddCert(a.cert)
	srv.TLS = &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{cert.Raw}, PrivateKey: key}}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: pool}
	srv.StartTLS()
	t.Cleanup(srv.Close)
	own, ownKey := a.host()
	b.Put("ca.pem", pemCert(a.cert))
	b.Put("cert.pem", pemCert(own))
	b.Put("key.pem", a.pemKey(ownKey))
	return srv
}
