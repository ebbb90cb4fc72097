// SPDX-License-Identifier: AGPL-3.0-or-later

//go:build bench

package bench

import (
	"fmt"
	"runtime"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// holdingSyncs calls start, whose child then has each fsync(2) and the like
// held for that long before it is carried out, as on a slow disk; every other
// call runs at full speed. A seccomp filter asks us about the calls
// (seccomp_unotify(2)); it is inherited from the thread that starts the child,
// which therefore ends here. Root may set one without no_new_privs, which
// would make a set-gid program an ordinary one.
func holdingSyncs(hold time.Duration, start func() error) error {
	result := make(chan error)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread goes with the goroutine
		listener, err := filterSyncs()
		if err == nil {
			go answerSyncs(listener, hold)
			err = start()
		}
		result <- err
	}()
	return <-result
}

// filterSyncs installs the filter on this thread.
func filterSyncs() (listener int, err error) {
	calls := []uint32{unix.SYS_FSYNC, unix.SYS_FDATASYNC, unix.SYS_SYNCFS, unix.SYS_SYNC_FILE_RANGE, unix.SYS_SYNC, unix.SYS_MSYNC}
	program := []unix.SockFilter{{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: 0}} // the number of the call
	for i, nr := range calls {
		program = append(program, unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, Jt: uint8(len(calls) - i), K: nr})
	}
	program = append(program,
		unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ALLOW},
		unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_USER_NOTIF})
	fprog := unix.SockFprog{Len: uint16(len(program)), Filter: &program[0]}
	fd, _, errno := unix.RawSyscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, unix.SECCOMP_FILTER_FLAG_NEW_LISTENER, uintptr(unsafe.Pointer(&fprog)))
	if errno != 0 {
		return 0, fmt.Errorf("hold syncs: seccomp: %w", errno)
	}
	return int(fd), nil
}

// question and answer are the kernel's struct seccomp_notif and _resp.
type (
	question struct {
		ID         uint64
		PID, Flags uint32
		Data       [64]byte
	}
	answer struct {
		ID    uint64
		Val   int64
		Error int32
		Flags uint32
	}
)

const goOn = 1 // SECCOMP_USER_NOTIF_FLAG_CONTINUE

// answerSyncs lets each call go on after a while, until nobody is left who
// could make one.
func answerSyncs(listener int, hold time.Duration) {
	defer unix.Close(listener)
	fds := []unix.PollFd{{Fd: int32(listener), Events: unix.POLLIN}}
	for {
		if _, err := unix.Poll(fds, -1); err != nil && err != unix.EINTR || fds[0].Revents&unix.POLLHUP != 0 {
			return
		}
		var q question
		if !control(listener, unix.SECCOMP_IOCTL_NOTIF_RECV, unsafe.Pointer(&q)) {
			continue // who asked was killed meanwhile
		}
		go func() {
			time.Sleep(hold)
			a := answer{ID: q.ID, Flags: goOn}
			control(listener, unix.SECCOMP_IOCTL_NOTIF_SEND, unsafe.Pointer(&a))
		}()
	}
}

func control(fd int, request uint, arg unsafe.Pointer) bool {
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), uintptr(request), uintptr(arg))
	return errno == 0
}
