// SPDX-License-Identifier: AGPL-3.0-or-later

package upload

import (
	"crypto/sha256"
	"encoding/hex"
	"hash"
	"io"
)

// hasher passes on what is written to it, counts it and hashes it.
type hasher struct {
	w   io.Writer
	sum hash.Hash
	n   int64
}

func newHasher(w io.Writer) *hasher { return &hasher{w: w, sum: sha256.New()} }

func (h *hasher) Write(p []byte) (int, error) {
	n, err := h.w.Write(p)
	h.sum.Write(p[:n])
	h.n += int64(n)
	return n, err
}

func (h *hasher) hex() string { return hex.EncodeToString(h.sum.Sum(nil)) }
