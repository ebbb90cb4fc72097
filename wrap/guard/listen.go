// SPDX-License-Identifier: AGPL-3.0-or-later

package guard

import (
	"errors"
	"fmt"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// backlog is what may wait while the guard looks at somebody; a recorder that
// finds it full waits for its turn as long as it would for an answer.
const backlog = 128

// firstFD is where systemd passes descriptors from, SD_LISTEN_FDS_START in sd_listen_fds(3).
const firstFD = 3

// Activated returns the socket that systemd listens on for us (sd_listen_fds(3)).
func Activated(getenv func(string) string) (*os.File, error) {
	if getenv("LISTEN_PID") != strconv.Itoa(os.Getpid()) || getenv("LISTEN_FDS") != "1" {
		return nil, errors.New("no socket was passed")
	}
	unix.CloseOnExec(firstFD)
	kind, err := unix.GetsockoptInt(firstFD, unix.SOL_SOCKET, unix.SO_TYPE)
	if err != nil || kind != unix.SOCK_SEQPACKET {
		return nil, errors.New("the socket passed is not ListenSequentialPacket=")
	}
	return pollable(firstFD, "guard.sock")
}

// Listen makes the socket itself, for hosts without systemd and for tests. gid
// and the mode 0660 say who may call; a socket that is left over is replaced.
func Listen(path string, gid int) (*os.File, error) {
	if st, err := os.Lstat(path); err == nil && st.Mode()&os.ModeSocket != 0 {
		if err := os.Remove(path); err != nil {
			return nil, err
		}
	}
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	err = listen(fd, path, gid)
	if err != nil {
		_ = unix.Close(fd)
		return nil, fmt.Errorf("listen on %q: %w", path, err)
	}
	return pollable(fd, path)
}

func listen(fd int, path string, gid int) error {
	// Nobody connects before listen(2): the mode is right by then.
	if err := unix.Bind(fd, &unix.SockaddrUnix{Name: path}); err != nil {
		return err
	}
	if err := unix.Chown(path, -1, gid); err != nil {
		return err
	}
	if err := unix.Chmod(path, 0o660); err != nil {
		return err
	}
	return unix.Listen(fd, backlog)
}

// nobody is no user's or group's id: chown(2) takes it for "unchanged".
const nobody = ^uint32(0)

// groupOf says who may call, by the socket that systemd or listen has made.
func groupOf(l *os.File) uint32 {
	raw, err := l.SyscallConn()
	if err != nil {
		return nobody
	}
	var st unix.Stat_t
	st.Gid = nobody
	_ = raw.Control(func(fd uintptr) {
		if sa, err := unix.Getsockname(int(fd)); err == nil {
			if at, is := sa.(*unix.SockaddrUnix); is {
				_ = unix.Stat(at.Name, &st)
			}
		}
	})
	return st.Gid
}

// pollable makes fd an *os.File whose reads Go's poller waits for.
func pollable(fd int, name string) (*os.File, error) {
	if err := unix.SetNonblock(fd, true); err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), name), nil
}

func accept(l *os.File) (*os.File, error) {
	raw, err := l.SyscallConn()
	if err != nil {
		return nil, err
	}
	var fd int
	var callErr error
	err = raw.Read(func(s uintptr) bool {
		fd, _, callErr = unix.Accept4(int(s), unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK)
		return callErr != unix.EAGAIN
	})
	if err = errors.Join(err, callErr); err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), "recorder"), nil
}

// Ready tells systemd that the guard is up (sd_notify(3), Type=notify).
func Ready(getenv func(string) string) error {
	name := getenv("NOTIFY_SOCKET")
	if name == "" {
		return nil
	}
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return unix.Sendto(fd, []byte("READY=1"), unix.MSG_NOSIGNAL, &unix.SockaddrUnix{Name: name})
}
