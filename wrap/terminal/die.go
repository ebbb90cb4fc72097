// SPDX-License-Identifier: AGPL-3.0-or-later

package terminal

import (
	"os"
	"runtime"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// DieOf ends the process by a signal, so that sshd tells the client of an
// exit-signal (RFC 4254 section 6.10). No core is left. It returns only when
// the signal didn't end the process.
func DieOf(sig syscall.Signal) {
	_ = unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{})
	runtime.LockOSThread()
	// The Go runtime has a handler for every signal; put the default back
	// (rt_sigaction(2) with an all-zero struct sigaction is SIG_DFL).
	var dfl [4]uintptr
	_, _, _ = unix.RawSyscall6(unix.SYS_RT_SIGACTION, uintptr(sig), uintptr(unsafe.Pointer(&dfl)), 0, 8, 0, 0)
	var set unix.Sigset_t
	set.Val[0] = 1 << (uint(sig) - 1)
	_ = unix.PthreadSigmask(unix.SIG_UNBLOCK, &set, nil)
	// To this thread: the process may have another one take a signal that dumps
	// core, and be through with exit(2) before that has happened.
	_ = unix.Tgkill(os.Getpid(), unix.Gettid(), sig)
}
