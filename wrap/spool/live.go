// SPDX-License-Identifier: AGPL-3.0-or-later

package spool

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// LiveOf counts the recordings in live/ that belong to uid: its sessions. Every
// login on a host with many of them reads the directory, in a program that has
// no collector, so it allocates no more for thousands than for one.
func (d *Dir) LiveOf(uid int) (int, error) {
	f, err := d.root.Open(Live)
	if err != nil {
		return 0, hint(fmt.Errorf("list the spool: %w", err), d.Path)
	}
	defer f.Close()
	fd, n := int(f.Fd()), 0
	buf := make([]byte, 4096)
	for {
		size, err := unix.Getdents(fd, buf)
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case err != nil:
			return n, hint(fmt.Errorf("list the spool: %w", os.NewSyscallError("getdents", err)), d.Path)
		case size == 0:
			return n, nil
		}
		for rest := buf[:size]; len(rest) > 0; {
			var name []byte
			name, rest = nextEntry(rest)
			if bytes.HasSuffix(name, []byte(Suffix+"\x00")) && ownerAt(fd, name) == uid {
				n++
			}
		}
	}
}

// nextEntry splits off the first of getdents(2)'s entries: inode and offset, of
// 64 bits, its length, of 16, a byte for the type, and then the name, which
// ends with a zero byte.
func nextEntry(p []byte) (name, rest []byte) {
	const length, start = 16, 19
	size := int(binary.NativeEndian.Uint16(p[length:]))
	name = p[start:size]
	return name[:bytes.IndexByte(name, 0)+1], p[size:]
}

// ownerAt returns the uid that a file in the directory fd belongs to, -1 when
// it has just ended. unix.Statx would make a string of the name, which ends with
// a zero byte already; a sandbox may know no statx(2), and then that is done.
func ownerAt(fd int, name []byte) int {
	var stx unix.Statx_t
	_, _, e := unix.Syscall6(unix.SYS_STATX, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(name))),
		unix.AT_SYMLINK_NOFOLLOW, unix.STATX_UID, uintptr(unsafe.Pointer(&stx)), 0)
	if e == 0 {
		return int(stx.Uid)
	}
	var st unix.Stat_t
	if e == unix.ENOENT || unix.Fstatat(fd, string(name[:len(name)-1]), &st, unix.AT_SYMLINK_NOFOLLOW) != nil {
		return -1
	}
	return int(st.Uid)
}
