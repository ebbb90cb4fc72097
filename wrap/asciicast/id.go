// SPDX-License-Identifier: AGPL-3.0-or-later

package asciicast

import (
	"encoding/binary"
	"encoding/hex"
	"time"

	"golang.org/x/sys/unix"
)

// NewID returns a UUIDv7 (RFC 9562 section 5.7): recordings sort by their start.
func NewID(now time.Time) string {
	var u [16]byte
	_, _ = unix.Getrandom(u[:], 0) // 16 bytes never fail once the kernel is up (getrandom(2))
	binary.BigEndian.PutUint64(u[:8], uint64(now.UnixMilli())<<16|uint64(u[6])<<8|uint64(u[7]))
	u[6] = u[6]&0x0f | 0x70
	u[8] = u[8]&0x3f | 0x80
	h := hex.EncodeToString(u[:])
	return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]
}
