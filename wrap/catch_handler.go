// SPDX-License-Identifier: AGPL-3.0-or-later

//go:build amd64 || arm64

package wrap

import (
	"os"
	"runtime"
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
	return unblock(signals)
}

// unblock has signals delivered that were blocked when the recorder was
// started, which is the choice of whoever ran before it. A mask is each
// thread's: one thread that takes them is enough, and the shell inherits what
// it would have inherited without castgate.
func unblock(signals []syscall.Signal) error {
	var ours, now unix.Sigset_t
	for _, sig := range signals {
		ours.Val[0] |= 1 << (uint(sig) - 1)
	}
	if err := unix.PthreadSigmask(unix.SIG_BLOCK, nil, &now); err != nil {
		return os.NewSyscallError("rt_sigprocmask", err)
	}
	if now.Val[0]&ours.Val[0] == 0 {
		return nil
	}
	done := make(chan error)
	go func() {
		runtime.LockOSThread()
		done <- unix.PthreadSigmask(unix.SIG_UNBLOCK, &ours, nil)
		select {}
	}()
	return <-done
}

// Flags of sigaction(2), from asm-generic/signal-defs.h.
const (
	saOnStack = 0x08000000
	saRestart = 0x10000000
)
