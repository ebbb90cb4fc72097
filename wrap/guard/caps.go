// SPDX-License-Identifier: AGPL-3.0-or-later

package guard

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The guard's four capabilities, capabilities(7).
const (
	needed = 1<<unix.CAP_CHOWN | // give a terminal to root
		1<<unix.CAP_KILL | // end what is left of a session
		1<<unix.CAP_SYS_PTRACE | // see other people's programs, and copy sshd's end of a terminal
		1<<unix.CAP_SYS_TTY_CONFIG // hang a terminal up

	// The last is the helpers' alone: the daemon has it to give to them.
	helpers = 1 << unix.CAP_SYS_TTY_CONFIG
	daemons = needed &^ helpers
)

// Confine gives up every capability but four, in every thread and for good,
// and then looks whether that is so.
func Confine() error { return confine(needed, daemons) }

func confine(permitted, effective uint64) error {
	have, err := capabilities("self")
	if err != nil {
		return err
	}
	if missing := permitted &^ have["CapPrm"]; missing != 0 {
		return fmt.Errorf("capabilities %#x are missing: the guard needs CAP_CHOWN, CAP_KILL, CAP_SYS_PTRACE and CAP_SYS_TTY_CONFIG", missing)
	}
	if err := giveUp(have["CapEff"], permitted, effective); err != nil {
		return fmt.Errorf("give up capabilities: %w", err)
	}
	return confined(permitted, effective)
}

func giveUp(have, permitted, effective uint64) error {
	if have&(1<<unix.CAP_SETPCAP) != 0 { // else systemd has bounded us
		for c := range uintptr(64) {
			if needed&(1<<c) != 0 {
				continue
			}
			// EINVAL: past the last capability of this kernel, prctl(2).
			if err := everyThread(unix.SYS_PRCTL, unix.PR_CAPBSET_DROP, c, 0); err != nil && err != unix.EINVAL {
				return err
			}
		}
	}
	if err := everyThread(unix.SYS_PRCTL, unix.PR_SET_NO_NEW_PRIVS, 1, 0); err != nil {
		return err
	}
	if err := everyThread(unix.SYS_PRCTL, unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_CLEAR_ALL, 0); err != nil {
		return err
	}
	capData[0] = unix.CapUserData{Permitted: uint32(permitted), Effective: uint32(effective)}
	return everyThread(unix.SYS_CAPSET, uintptr(unsafe.Pointer(&capHeader)), uintptr(unsafe.Pointer(&capData)), 0)
}

// What capset(2) reads. They are globals because a stack may move while every
// thread makes the call.
var (
	capHeader = unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	capData   [2]unix.CapUserData // all four are below 32
)

func everyThread(call, a, b, c uintptr) error {
	if _, _, errno := syscall.AllThreadsSyscall6(call, a, b, c, 0, 0, 0); errno != 0 {
		return errno
	}
	return nil
}

// confined reads back what every thread has.
func confined(permitted, effective uint64) error {
	tasks, err := readNames("/proc/self/task")
	if err != nil {
		return err
	}
	for _, task := range tasks {
		have, err := capabilities("self/task/" + task)
		if errors.Is(err, os.ErrNotExist) {
			continue // the thread has ended
		}
		if err != nil {
			return err
		}
		for name, want := range map[string]uint64{"CapPrm": permitted, "CapEff": effective, "CapInh": 0, "CapAmb": 0} {
			if have[name] != want {
				return fmt.Errorf("thread %s still has %s %#x, not %#x", task, name, have[name], want)
			}
		}
		if more := have["CapBnd"] &^ needed; more != 0 {
			return fmt.Errorf("thread %s could still get capabilities %#x", task, more)
		}
	}
	return nil
}

// capabilities reads the Cap lines of a status file below /proc.
func capabilities(task string) (map[string]uint64, error) {
	b, err := os.ReadFile("/proc/" + task + "/status")
	if err != nil {
		return nil, err
	}
	have := map[string]uint64{}
	for line := range strings.Lines(string(b)) {
		name, value, ok := strings.Cut(line, ":")
		if !ok || !strings.HasPrefix(name, "Cap") {
			continue
		}
		if have[name], err = strconv.ParseUint(strings.TrimSpace(value), 16, 64); err != nil {
			return nil, errProc
		}
	}
	return have, nil
}
