// SPDX-License-Identifier: AGPL-3.0-or-later

package receive

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"hash"
	"io"
	"time"
)

// sumWriter counts and hashes what it passes on.
type sumWriter struct {
	w io.Writer
	h hash.Hash
	n int64
}

func newSum(w io.Writer) *sumWriter { return &sumWriter{w: w, h: sha256.New()} }

func (s *sumWriter) Write(p []byte) (int, error) {
	n, err := s.w.Write(p)
	s.h.Write(p[:n])
	s.n += int64(n)
	if err != nil {
		err = &storeError{err}
	}
	return n, err
}

func (s *sumWriter) sum() (sum [sha256.Size]byte) {
	s.h.Sum(sum[:0])
	return sum
}

func (s *sumWriter) hex() string {
	sum := s.sum()
	return hex.EncodeToString(sum[:])
}

// newID returns a UUIDv7 (RFC 9562): the time in milliseconds, then chance.
func newID(now time.Time) string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails (Go 1.24)
	binary.BigEndian.PutUint16(b[0:], uint16(now.UnixMilli()>>32))
	binary.BigEndian.PutUint32(b[2:], uint32(now.UnixMilli()))
	b[6] = b[6]&0x0f | 0x70
	b[8] = b[8]&0x3f | 0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[0:4], b[4:6], b[6:8], b[8:10], b[10:])
}
