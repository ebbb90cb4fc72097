// SPDX-License-Identifier: AGPL-3.0-or-later

package receive

import (
	"crypto/sha256"
	"encoding/base64"
	"strings"
)

// parseDigest reads the sha-256 member of a Content-Digest header, RFC 9530:
// a dictionary (RFC 8941) of byte sequences, `sha-256=:BASE64:, other=:...:`.
func parseDigest(header string) (sum [sha256.Size]byte, err error) {
	found := false
	for member := range strings.SplitSeq(header, ",") {
		key, value, _ := strings.Cut(strings.Trim(member, " \t"), "=")
		if key != "sha-256" {
			continue
		}
		enc, ok1 := strings.CutPrefix(value, ":")
		enc, ok2 := strings.CutSuffix(enc, ":")
		raw, err := base64.StdEncoding.Strict().DecodeString(enc)
		// The decoder skips line breaks, so the length is held, too.
		if !ok1 || !ok2 || err != nil || len(enc) != base64.StdEncoding.EncodedLen(len(sum)) || len(raw) != len(sum) || found {
			return sum, wrong("the Content-Digest header is not sha-256=:BASE64:")
		}
		found = true
		copy(sum[:], raw)
	}
	if !found {
		return sum, wrong("there is no sha-256 in a Content-Digest header")
	}
	return sum, nil
}
