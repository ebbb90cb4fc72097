// SPDX-License-Identifier: AGPL-3.0-or-later

package restrict

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
)

// Key is a public key that opened a session.
type Key struct {
	Type string // "ssh-ed25519", "ssh-ed25519-cert-v01@openssh.com"
	Blob []byte // as RFC 4253 section 6.6 writes it; of a certificate, the key in it
	Cert *Cert  // nil without one
}

// Cert is what a certificate says of a session (PROTOCOL.certkeys of OpenSSH).
type Cert struct {
	Authority   []byte // the key that signed it
	Restriction        // its force-command
}

// Fingerprint is the key's as ssh-keygen -l and sshd's log have it, of a
// certificate that of the key in it.
func (k Key) Fingerprint() string {
	sum := sha256.Sum256(k.Blob)
	return "SHA256:" + base64.RawStdEncoding.EncodeToString(sum[:])
}

// maxAuth bounds what is read of a login: a few certificates.
const maxAuth = 256 << 10

// Keys returns the accepted keys that auth names: a line for each method, as
// sshd writes them for PAM (SSH_AUTH_INFO_0) and for ExposeAuthInfo.
func Keys(auth string) ([]Key, error) {
	if len(auth) > maxAuth {
		return nil, fmt.Errorf("%d bytes about one login", len(auth))
	}
	var all []Key
	for line := range strings.Lines(auth) {
		f := strings.Fields(line)
		if len(f) == 0 || f[0] != "publickey" {
			continue
		}
		if len(f) < 3 {
			return nil, errKey
		}
		blob, err := base64.StdEncoding.DecodeString(f[2])
		if err != nil {
			return nil, errKey
		}
		k, err := parseKey(f[1], blob)
		if err != nil {
			return nil, err
		}
		all = append(all, k)
	}
	return all, nil
}

// certSuffix ends the type of a certificate's key (PROTOCOL.certkeys of OpenSSH).
const certSuffix = "-cert-v01@openssh.com"

// keyFields is how many fields a public key has after its type. In a
// certificate they stand after the type and a nonce (PROTOCOL.certkeys, PROTOCOL.u2f).
var keyFields = map[string]int{
	"ssh-ed25519":            1,
	"ssh-rsa":                2,
	"ecdsa-sha2-nistp256":    2,
	"ecdsa-sha2-nistp384":    2,
	"ecdsa-sha2-nistp521":    2,
	"sk-ssh-ed25519":         2,
	"sk-ecdsa-sha2-nistp256": 3,
}

var errKey = errors.New("not a public key")

// parseKey reads the blob of a key or certificate. A certificate of a type that
// isn't known can't be looked into: an error.
func parseKey(kind string, blob []byte) (Key, error) {
	name, rest, ok := cutString(blob)
	if !ok || string(name) != kind {
		return Key{}, errKey
	}
	base, isCert := strings.CutSuffix(kind, certSuffix)
	if !isCert {
		return Key{Type: kind, Blob: blob}, nil
	}
	n, known := keyFields[base]
	if _, rest, ok = cutString(rest); !ok || !known { // the nonce
		return Key{}, errKey
	}
	if strings.HasPrefix(base, "sk-") {
		base += "@openssh.com"
	}
	plain := appendString(nil, []byte(base))
	for range n {
		var field []byte
		if field, rest, ok = cutString(rest); !ok {
			return Key{}, errKey
		}
		plain = appendString(plain, field)
	}
	cert, err := parseCert(rest)
	return Key{Type: kind, Blob: plain, Cert: cert}, err
}

// parseCert reads what follows the key: serial, type, key id, principals,
// validity, critical options, extensions, reserved, authority.
func parseCert(b []byte) (*Cert, error) {
	w := wire{b: b}
	w.skip(8 + 4)
	w.string()
	w.string()
	w.skip(8 + 8)
	critical := wire{b: w.string()}
	w.string()
	w.string()
	c := &Cert{Authority: w.string()}
	for len(critical.b) > 0 && !critical.short {
		name, data := critical.string(), wire{b: critical.string()}
		if string(name) == "force-command" {
			c.Forced, c.Command = true, string(data.string())
			critical.short = critical.short || data.short
		}
	}
	if w.short || critical.short || len(c.Authority) == 0 {
		return nil, errKey
	}
	return c, nil
}

// wire reads fields off the front of b; short says that one was missing.
type wire struct {
	b     []byte
	short bool
}

func (w *wire) string() (s []byte) {
	s, rest, ok := cutString(w.b)
	w.b, w.short = rest, w.short || !ok
	return s
}

func (w *wire) skip(n int) {
	if w.short = w.short || len(w.b) < n; !w.short {
		w.b = w.b[n:]
	}
}

// cutString takes a string as RFC 4251 section 5 writes it off the front of b.
func cutString(b []byte) (s, rest []byte, ok bool) {
	if len(b) < 4 {
		return nil, nil, false
	}
	n := binary.BigEndian.Uint32(b)
	if uint64(n) > uint64(len(b)-4) {
		return nil, nil, false
	}
	return b[4 : 4+n], b[4+n:], true
}

func appendString(b, s []byte) []byte {
	return append(binary.BigEndian.AppendUint32(b, uint32(len(s))), s...)
}
