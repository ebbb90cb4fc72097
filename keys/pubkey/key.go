// SPDX-License-Identifier: AGPL-3.0-or-later

// Package pubkey is an SSH public key as castgate-keys handles it: taken apart,
// checked field by field, and written anew. It reads the forms in which keys
// come: the line that GitHub shows, the two parts that sshd passes, a file of
// ssh-keygen's, an authorized_keys file of root's; and it knows which options a
// line may have that castgate prints. It knows nothing of people or teams.
package pubkey

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"math/bits"
	"strings"
)

// Key is one SSH public key, taken apart and checked. What leaves this program
// is always built from these two parts, never from the text they came in: a
// line of somebody else's making could carry options or a second line.
type Key struct {
	Type string
	Blob []byte // RFC 4253 section 6.6: the type again, then the key's numbers
}

// maxBlob bounds a key: RSA with 16384 bits, the most OpenSSH takes
// (SSHBUF_MAX_BIGNUM), needs 2,100 bytes.
const maxBlob = 4096

var errNotAKey = errors.New("not a public key")

// ParseLine reads "TYPE BASE64 [comment]", which is how GitHub gives a key.
// Options before the type are not taken.
func ParseLine(line string) (Key, error) {
	fields := strings.Fields(line)
	if len(fields) < 2 || strings.ContainsAny(line, "\r\n") {
		return Key{}, errNotAKey
	}
	return Parse(fields[0], fields[1])
}

// Parse reads the two parts that sshd passes as %t and %k.
func Parse(typ, b64 string) (Key, error) {
	if len(b64) > base64.StdEncoding.EncodedLen(maxBlob) {
		return Key{}, fmt.Errorf("%w: longer than %d bytes", errNotAKey, maxBlob)
	}
	blob, err := base64.StdEncoding.Strict().DecodeString(b64)
	if err != nil || strings.ContainsAny(b64, "\r\n") { // the decoder skips line ends
		return Key{}, fmt.Errorf("%w: bad base64", errNotAKey)
	}
	return check(Key{Type: typ, Blob: blob})
}

// check returns the key if its blob is one of its type.
func check(k Key) (Key, error) {
	if _, err := k.bits(); err != nil {
		return Key{}, err
	}
	return k, nil
}

// shapes lists the fields after the type's name of every key type that may
// open an account: sshkey.c of OpenSSH, and PROTOCOL.u2f for the sk- types.
// Certificates and DSA are not among them.
var shapes = map[string][]field{
	"ssh-ed25519":                        {fixed(32)},
	"ssh-rsa":                            {mpint, mpint},
	"ecdsa-sha2-nistp256":                {name("nistp256"), fixed(65)},
	"ecdsa-sha2-nistp384":                {name("nistp384"), fixed(97)},
	"ecdsa-sha2-nistp521":                {name("nistp521"), fixed(133)},
	"sk-ssh-ed25519@openssh.com":         {fixed(32), text},
	"sk-ecdsa-sha2-nistp256@openssh.com": {name("nistp256"), fixed(65), text},
}

// field checks one length-prefixed field of a key blob.
type field func([]byte) bool

func fixed(n int) field { return func(b []byte) bool { return len(b) == n } }

func name(s string) field { return func(b []byte) bool { return string(b) == s } }

func text(b []byte) bool { return len(b) > 0 && len(b) < 256 }

// mpint is a positive number without a needless leading zero (RFC 4251).
func mpint(b []byte) bool {
	if len(b) == 0 || b[0]&0x80 != 0 {
		return false
	}
	return b[0] != 0 || len(b) > 1 && b[1]&0x80 != 0
}

// bits checks the whole blob and returns the key's size: the length of the
// modulus for RSA, of the last field else.
func (k Key) bits() (int, error) {
	shape, known := shapes[k.Type]
	if !known {
		return 0, fmt.Errorf("key type %q is not supported", k.Type)
	}
	got, rest, ok := cutField(k.Blob)
	if !ok || string(got) != k.Type {
		return 0, fmt.Errorf("%w: it is not of type %q", errNotAKey, k.Type)
	}
	size := 0
	for _, fits := range shape {
		if got, rest, ok = cutField(rest); !ok || !fits(got) {
			return 0, fmt.Errorf("%w: it is cut or malformed", errNotAKey)
		}
		size = 8 * len(got)
		if got[0] != 0 {
			size -= bits.LeadingZeros8(got[0])
		} else {
			size -= 8 // the zero that keeps an mpint positive
		}
	}
	if len(rest) > 0 {
		return 0, fmt.Errorf("%w: %d bytes too long", errNotAKey, len(rest))
	}
	return size, nil
}

func cutField(b []byte) (val, rest []byte, ok bool) {
	if len(b) < 4 {
		return nil, nil, false
	}
	n := binary.BigEndian.Uint32(b)
	if uint64(n) > uint64(len(b)-4) {
		return nil, nil, false
	}
	return b[4 : 4+n], b[4+n:], true
}

// Bits is the size of the key as ssh-keygen -l prints it for RSA; it is of no
// meaning for the other types, whose size is part of their name.
func (k Key) Bits() int {
	n, err := k.bits()
	if err != nil {
		return 0
	}
	return n
}

// String is the key as authorized_keys has it, without options or comment.
func (k Key) String() string {
	return k.Type + " " + base64.StdEncoding.EncodeToString(k.Blob)
}

// Fingerprint is what ssh-keygen -l and sshd's log call the key.
func (k Key) Fingerprint() string {
	sum := sha256.Sum256(k.Blob)
	return "SHA256:" + base64.RawStdEncoding.EncodeToString(sum[:])
}

// Equal reports whether both are the same key.
func (k Key) Equal(o Key) bool {
	return k.Type == o.Type && string(k.Blob) == string(o.Blob)
}

// Known reports whether keys of a type may open an account at all.
func Known(typ string) bool {
	_, known := shapes[typ]
	return known
}

// sealBits is the least that age takes of an RSA key (agessh.ParseRecipient).
const sealBits = 2048

// Seals reports whether age can encrypt to the key: hardware keys and ECDSA
// can only sign.
func (k Key) Seals() bool {
	return k.Type == "ssh-ed25519" || k.Type == "ssh-rsa" && k.Bits() >= sealBits
}
