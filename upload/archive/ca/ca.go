// SPDX-License-Identifier: AGPL-3.0-or-later

// Package ca makes the certificates of a fleet: one authority, a server
// certificate for the archive, and a client certificate for each host. The
// name in a host's certificate is the name under which the archive files what
// that host sends, so only somebody with the authority's key decides it.
//
// It is for fleets that have no authority of their own. Any other that issues
// client certificates with one host name each does as well.
package ca

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

// Validity. The authority outlives several generations of hosts. Server and
// host certificates last 825 days, the most that Apple's and most other TLS
// stacks accept of any authority.
const (
	authorityDays = 3650
	LeafDays      = 825
)

// File names within an authority's directory.
const (
	CertFile = "ca.crt"
	keyFile  = "ca.key"
	logFile  = "issued.log"
)

// Authority is an authority whose key is at hand.
type Authority struct {
	Dir  string
	Cert *x509.Certificate
	key  crypto.Signer
	now  func() time.Time
}

// Init makes a new authority in dir. It refuses to touch one that is there:
// with a new key, every certificate of the old one would be worthless.
func Init(dir, name string) (*Authority, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	now := time.Now()
	tmpl := &x509.Certificate{
		SerialNumber:          serial(),
		Subject:               pkix.Name{CommonName: name},
		NotBefore:             now.Add(-time.Hour), // clocks differ
		NotAfter:              now.AddDate(0, 0, authorityDays),
		IsCA:                  true,
		BasicConstraintsValid: true,
		MaxPathLenZero:        true,
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, key.Public(), key)
	if err != nil {
		return nil, err
	}
	if err := writeKey(filepath.Join(dir, keyFile), key); err != nil {
		return nil, err
	}
	if err := writeCert(filepath.Join(dir, CertFile), der); err != nil {
		return nil, err
	}
	return Open(dir)
}

// Open reads the authority in dir.
func Open(dir string) (*Authority, error) {
	certPEM, err := os.ReadFile(filepath.Join(dir, CertFile))
	if err != nil {
		return nil, err
	}
	keyPEM, err := os.ReadFile(filepath.Join(dir, keyFile))
	if err != nil {
		return nil, err
	}
	cert, err := parseCert(certPEM)
	if err != nil {
		return nil, fmt.Errorf("%q: %w", filepath.Join(dir, CertFile), err)
	}
	key, err := parseKey(keyPEM)
	if err != nil {
		return nil, fmt.Errorf("%q: %w", filepath.Join(dir, keyFile), err)
	}
	if pub, ok := key.Public().(*ecdsa.PublicKey); !ok || !pub.Equal(cert.PublicKey) {
		return nil, fmt.Errorf("%q: %s is not the key of %s", dir, keyFile, CertFile)
	}
	return &Authority{Dir: dir, Cert: cert, key: key, now: time.Now}, nil
}

// Host issues a client certificate for the host name. With pub nil a new key
// is made, written beside the certificate in out; else pub, from the host's
// own request, is certified and the key never leaves the host.
func (a *Authority) Host(name, out string, pub crypto.PublicKey) (files []string, err error) {
	if err := CheckHost(name); err != nil {
		return nil, err
	}
	tmpl := a.leaf(name, x509.ExtKeyUsageClientAuth)
	tmpl.DNSNames = []string{name}
	return a.issue(tmpl, out, name, pub)
}

// Server issues the archive's own certificate for its names and addresses.
func (a *Authority) Server(names []string, out string) (files []string, err error) {
	if len(names) == 0 {
		return nil, errors.New("a server certificate needs a name")
	}
	tmpl := a.leaf(names[0], x509.ExtKeyUsageServerAuth)
	for _, n := range names {
		if ip := net.ParseIP(n); ip != nil {
			tmpl.IPAddresses = append(tmpl.IPAddresses, ip)
			continue
		}
		if err := CheckHost(n); err != nil {
			return nil, err
		}
		tmpl.DNSNames = append(tmpl.DNSNames, n)
	}
	return a.issue(tmpl, out, "server", nil)
}

func (a *Authority) leaf(name string, use x509.ExtKeyUsage) *x509.Certificate {
	now := a.now()
	return &x509.Certificate{
		SerialNumber: serial(),
		Subject:      pkix.Name{CommonName: name},
		NotBefore:    now.Add(-time.Hour),
		NotAfter:     now.AddDate(0, 0, LeafDays),
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{use},
	}
}

func (a *Authority) issue(tmpl *x509.Certificate, out, base string, pub crypto.PublicKey) ([]string, error) {
	if err := os.MkdirAll(out, 0o700); err != nil {
		return nil, err
	}
	certPath, keyPath := filepath.Join(out, base+".crt"), filepath.Join(out, base+".key")
	var files []string
	if pub == nil {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			return nil, err
		}
		if err := writeKey(keyPath, key); err != nil {
			return nil, err
		}
		files, pub = append(files, keyPath), key.Public()
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, a.Cert, pub, a.key)
	if err != nil {
		return files, err
	}
	if err := writeCert(certPath, der); err != nil {
		return files, err
	}
	return append(files, certPath), a.log(tmpl)
}

// log keeps what was issued, so that the administrator of a fleet can tell
// which certificates exist.
func (a *Authority) log(c *x509.Certificate) error {
	f, err := os.OpenFile(filepath.Join(a.Dir, logFile), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	use := "host"
	if c.ExtKeyUsage[0] == x509.ExtKeyUsageServerAuth {
		use = "server"
	}
	_, err = fmt.Fprintf(f, "%s %s %s serial=%x until=%s\n",
		a.now().UTC().Format(time.RFC3339), use, c.Subject.CommonName, c.SerialNumber, c.NotAfter.UTC().Format(time.DateOnly))
	return err
}

// Request reads a certificate request (PEM) and returns its public key. The
// names in it are not looked at: who asks doesn't decide what it is called.
func Request(file string) (crypto.PublicKey, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(data)
	if block == nil || block.Type != "CERTIFICATE REQUEST" {
		return nil, fmt.Errorf("%q is no certificate request", file)
	}
	req, err := x509.ParseCertificateRequest(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("%q: %w", file, err)
	}
	if err := req.CheckSignature(); err != nil {
		return nil, fmt.Errorf("%q: %w", file, err)
	}
	return req.PublicKey, nil
}

func serial() *big.Int {
	n, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		panic(err) // crypto/rand does not fail (Go 1.24)
	}
	return n.Add(n, big.NewInt(1))
}
