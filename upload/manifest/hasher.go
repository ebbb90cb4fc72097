// SPDX-License-Identifier: AGPL-3.0-or-later

package manifest

import (
	"crypto/sha256"
	"encoding/hex"
	"hash"
	"io"
)

// Hasher passes on what is written to it, counts it and hashes it: the two
// facts that a manifest, a receipt and a digest state of an object.
type Hasher struct {
	N   int64 // bytes passed on
	w   io.Writer
	sum hash.Hash
}

// NewHasher returns a Hasher that passes on to w.
func NewHasher(w io.Writer) *Hasher { return &Hasher{w: w, sum: sha256.New()} }

func (h *Hasher) Write(p []byte) (int, error) {
	n, err := h.w.Write(p)
	h.sum.Write(p[:n])
	h.N += int64(n)
	return n, err
}

// Sum is the SHA-256 of the bytes passed on.
func (h *Hasher) Sum() (sum [sha256.Size]byte) {
	h.sum.Sum(sum[:0])
	return sum
}

// Hex is the same in lower-case hex.
func (h *Hasher) Hex() string {
	sum := h.Sum()
	return hex.EncodeToString(sum[:])
}
