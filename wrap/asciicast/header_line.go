// SPDX-License-Identifier: AGPL-3.0-or-later

package asciicast

import (
	"bytes"
	"encoding/json"
	"fmt"
)

// AppendHeader appends the header line to dst. The size is clamped, and what is
// not UTF-8 becomes U+FFFD.
func AppendHeader(dst []byte, h Header) []byte {
	h.Version = Version
	h.Term.Cols, h.Term.Rows = Clamp(h.Term.Cols, h.Term.Rows)
	line := bytes.NewBuffer(dst)
	enc := json.NewEncoder(line)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(h); err != nil { // only a number can fail: a NaN, or keys in More that are no JSON
		panic(fmt.Sprintf("asciicast: write a header: %v", err))
	}
	return line.Bytes()
}
