// SPDX-License-Identifier: AGPL-3.0-or-later

package guard

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"strings"
)

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

// acceptedKey finds the accepted key in SSH_AUTH_INFO_0, which sshd sets for
// PAM: one line for each method, "publickey ssh-ed25519 AAAA…". With several
// keys required the last one is named: it completed the login.
func acceptedKey(info string) (kind, fingerprint string, err error) {
	err = errKey
	for line := range strings.Lines(info) {
		f := strings.Fields(line)
		if len(f) < 3 || f[0] != "publickey" {
			continue
		}
		blob, decodeErr := base64.StdEncoding.DecodeString(f[2])
		if decodeErr != nil {
			continue
		}
		if plain, plainErr := plainKey(f[1], blob); plainErr == nil {
			sum := sha256.Sum256(plain)
			kind, fingerprint, err = f[1], "SHA256:"+base64.RawStdEncoding.EncodeToString(sum[:]), nil
		}
	}
	return kind, fingerprint, err
}

// plainKey returns the key's own blob. The fingerprint of a certificate is
// that of the key in it, as ssh-keygen -l and sshd's log have it.
func plainKey(kind string, blob []byte) ([]byte, error) {
	name, rest, ok := cutString(blob)
	if !ok || string(name) != kind {
		return nil, errKey
	}
	base, isCert := strings.CutSuffix(kind, certSuffix)
	if !isCert {
		return blob, nil
	}
	n, known := keyFields[base]
	if _, rest, ok = cutString(rest); !ok || !known {
		return nil, errKey
	}
	if strings.HasPrefix(base, "sk-") {
		base += "@openssh.com"
	}
	plain := appendString(nil, []byte(base))
	for range n {
		var field []byte
		if field, rest, ok = cutString(rest); !ok {
			return nil, errKey
		}
		plain = appendString(plain, field)
	}
	return plain, nil
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
