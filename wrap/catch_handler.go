// SPDX-License-Identifier: AGPL-3.0-or-later

//go:build amd64 || arm64

package wrap

import (
	"os"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// onSignal is what the kernel calls (sigaction(2)): never to be called from Go.
// It runs on the alternate stack that the Go runtime gives each thread, with
// every signal blocked, and makes one system call, write(2).
func onSignal()

// onReturn is where onSignal returns to: rt_sigreturn(2).
func onReturn()

// handlerAddresses returns those of the two.
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
