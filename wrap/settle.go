// SPDX-License-Identifier: AGPL-3.0-or-later

package wrap

import (
	"strconv"
	"strings"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

// constant is one of them.
const constant = "a text that the linker puts among the constants"

// settled says that settle has run: once in a process is enough.
var settled atomic.Bool

// settle lets go of the pages of the program's constants and tables that only a
// session's start has touched. The kernel maps sixteen for each that is used,
// and what is mapped is harder for it to reclaim: a megabyte in a session that
// may be idle for days. Nothing is lost: they are the file's, and the few that
// are needed again come back with a minor fault each.
func settle() {
	from, to, ok := constants()
	// Linked in another way the area may be another, whose pages are not the
	// file's any longer.
	if at := uintptr(unsafe.Pointer(unsafe.StringData(constant))); ok && from <= at && at < to {
		_, _, _ = unix.Syscall(unix.SYS_MADVISE, from, to-from, unix.MADV_DONTNEED)
	}
}

// constants finds the program's own read-only data in the first lines of
// /proc/self/maps (proc(5)), "00565000-006fa000 r--p ...": a static program is
// mapped below everything else, its code first.
func constants() (from, to uintptr, ok bool) {
	f, err := open("/proc/self/maps")
	if err != nil {
		return 0, 0, false
	}
	defer f.Close()
	var buf [512]byte
	n, _ := f.Read(buf[:])
	for line := range strings.Lines(string(buf[:n])) {
		area, rest, _ := strings.Cut(line, " ")
		if !strings.HasPrefix(rest, "r--p ") {
			continue
		}
		a, b, _ := strings.Cut(area, "-")
		low, err := strconv.ParseUint(a, 16, 64)
		high, err2 := strconv.ParseUint(b, 16, 64)
		return uintptr(low), uintptr(high), err == nil && err2 == nil && low < high
	}
	return 0, 0, false
}
