// SPDX-License-Identifier: AGPL-3.0-or-later

package ca

import (
	"crypto"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"regexp"
	"strings"
)

// hostName is a host name in the form in which it becomes a directory of the
// archive: RFC 1123 labels, lower case, so that no two spellings are one host.
var hostName = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*$`)

// CheckHost refuses what is not a host name in lower case.
func CheckHost(name string) error {
	if len(name) > 253 || !hostName.MatchString(name) {
		return fmt.Errorf("%q is not a host name in lower case", name)
	}
	return nil
}

// HostOf returns the host for which a client certificate stands: its first DNS
// name, else its common name. Case is folded, as DNS does.
func HostOf(cert *x509.Certificate) (string, error) {
	name := cert.Subject.CommonName
	if len(cert.DNSNames) > 0 {
		name = cert.DNSNames[0]
	}
	name = strings.ToLower(name)
	return name, CheckHost(name)
}

func writeKey(path string, key crypto.Signer) error {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	return writeNew(path, 0o600, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
}

func writeCert(path string, der []byte) error {
	return writeNew(path, 0o644, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}

// existsError is a file in the way.
type existsError struct{ path string }

func (e *existsError) Error() string { return fmt.Sprintf("%q is there already", e.path) }
func (e *existsError) Unwrap() error { return fs.ErrExist }
func (e *existsError) Hint() string {
	return "nothing was changed; move it away first, or name another directory"
}

func writeNew(path string, mode fs.FileMode, data []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if errors.Is(err, fs.ErrExist) {
		return &existsError{path}
	}
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	return errors.Join(err, f.Sync(), f.Close())
}

func parseCert(data []byte) (*x509.Certificate, error) {
	block, _ := pem.Decode(data)
	if block == nil || block.Type != "CERTIFICATE" {
		return nil, errors.New("no certificate in it")
	}
	return x509.ParseCertificate(block.Bytes)
}

func parseKey(data []byte) (crypto.Signer, error) {
	block, _ := pem.Decode(data)
	if block == nil {
		return nil, errors.New("no key in it")
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, err
	}
	signer, ok := key.(crypto.Signer)
	if !ok {
		return nil, errors.New("its key can't sign")
	}
	return signer, nil
}
