// SPDX-License-Identifier: AGPL-3.0-or-later

//go:build amd64 || arm64

package wrap

import (
	"os"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// handlerAddresses returns those of the handler and of what it returns to; they
// are in the assembly files, and never to be called from Go.
func handlerAddresses() (handler, restorer uintptr)

// sigaction is the kernel's struct, not the C library's.
type sigaction struct {
	handler  uintptr
	flags    uint64
	restorer uintptr
	mask     uint64
}

func catch(signals []syscall.Signal) error {
	handler, restorer := handlerAddresses()
	action := sigaction{handler, handlerFlags, restorer, ^uint64(0)}
	for _, sig := range signals {
		_, _, e := unix.RawSyscall6(unix.SYS_RT_SIGACTION, uintptr(sig), uintptr(unsafe.Pointer(&action)), 0, unsafe.Sizeof(action.mask), 0, 0)
		if e != 0 {
			return os.NewSyscallError("rt_sigaction", e)
		}
	}
	return nil
}

// Flags of sigaction(2), from asm-generic/signal-defs.h.
const (
	saOnStack = 0x08000000
	saRestart = 0x10000000
)
