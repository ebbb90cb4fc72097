// SPDX-License-Identifier: AGPL-3.0-or-later

package guard

import (
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// peer is a process that has connected, as the kernel names it.
type peer struct {
	process
	uid, gid uint32 // effective, at the moment of connect(2)
	pidfd    int
	conn     *os.File
}

// identify asks the kernel who is at the other end. Kernels since 6.5 answer
// with a pidfd, which names the process that connected for ever. Before that
// there is a pid, which may be another's by now: alive tells, because nobody
// but the recorder has its descriptor, and so a connection that is still open
// means a process that still lives.
func identify(conn *os.File) (peer, error) {
	w := peer{conn: conn, pidfd: -1}
	raw, err := conn.SyscallConn()
	if err != nil {
		return w, err
	}
	var cred *unix.Ucred
	var callErr error
	err = raw.Control(func(fd uintptr) {
		if cred, callErr = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED); callErr != nil {
			return
		}
		if w.pidfd, callErr = unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_PEERPIDFD); callErr != nil {
			w.pidfd, callErr = unix.PidfdOpen(int(cred.Pid), 0)
		}
	})
	if err = errors.Join(err, callErr); err != nil {
		return w, fmt.Errorf("peer: %w", err)
	}
	w.uid, w.gid = cred.Uid, cred.Gid
	if w.process, err = readProcess(int(cred.Pid)); err == nil && !w.alive() {
		err = errors.New("it has ended")
	}
	if err != nil {
		w.close()
		return w, fmt.Errorf("peer: %w", err)
	}
	return w, nil
}

// alive says that the process that connected still runs, and so that its pid
// still names it.
func (w peer) alive() bool {
	if gone(w.pidfd, 0) {
		return false
	}
	hung := true
	raw, err := w.conn.SyscallConn()
	if err != nil {
		return false
	}
	err = raw.Control(func(fd uintptr) {
		fds := []unix.PollFd{{Fd: int32(fd), Events: 0}}
		n, err := unix.Poll(fds, 0)
		hung = err != nil || n > 0 // POLLHUP and POLLERR come unasked
	})
	return err == nil && !hung
}

func (w peer) close() { _ = unix.Close(w.pidfd) }

// receiveHello reads the first packet and the terminal that may come with it.
func receiveHello(conn *os.File) (Hello, *os.File, error) {
	msg, fds, err := receive(conn, maxHello)
	var tty *os.File
	for i, fd := range fds {
		f := os.NewFile(uintptr(fd), "tty")
		if i == 0 {
			tty = f
			continue
		}
		_ = f.Close() // one terminal is all that a session has
	}
	if err != nil {
		return Hello{}, tty, err
	}
	h, err := decodeHello(msg)
	return h, tty, err
}

// maxFDs is room for more descriptors than anybody should send: they arrive,
// and are closed, instead of being cut off by the kernel.
const maxFDs = 4

func receive(conn *os.File, limit int) (msg []byte, fds []int, err error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return nil, nil, err
	}
	buf, oob := make([]byte, limit+1), make([]byte, unix.CmsgSpace(4*maxFDs))
	var n, oobn int
	var callErr error
	err = raw.Read(func(fd uintptr) bool {
		n, oobn, _, _, callErr = unix.Recvmsg(int(fd), buf, oob, unix.MSG_CMSG_CLOEXEC)
		return callErr != unix.EAGAIN && callErr != unix.EINTR
	})
	if err = errors.Join(err, callErr); err != nil {
		return nil, nil, err
	}
	fds = passed(oob[:oobn])
	if n == 0 {
		return nil, fds, io.EOF
	}
	return buf[:n], fds, nil
}

func passed(oob []byte) []int {
	msgs, err := unix.ParseSocketControlMessage(oob)
	if err != nil {
		return nil
	}
	var fds []int
	for i := range msgs {
		if list, err := unix.ParseUnixRights(&msgs[i]); err == nil {
			fds = append(fds, list...)
		}
	}
	return fds
}

// send sends a packet, and with it a descriptor unless that is negative.
func send(conn *os.File, packet []byte, pass int) error {
	raw, err := conn.SyscallConn()
	if err != nil {
		return err
	}
	var rights []byte
	if pass >= 0 {
		rights = unix.UnixRights(pass)
	}
	var callErr error
	err = raw.Write(func(fd uintptr) bool {
		callErr = unix.Sendmsg(int(fd), packet, rights, nil, unix.MSG_NOSIGNAL)
		return callErr != unix.EAGAIN && callErr != unix.EINTR
	})
	return errors.Join(err, callErr)
}

// exchange sends the facts and waits until the recorder has taken them.
func exchange(conn *os.File, packet []byte) error {
	if err := send(conn, packet, -1); err != nil {
		return err
	}
	msg, fds, err := receive(conn, 1)
	closeAll(fds)
	if err == nil && (len(msg) != 1 || msg[0] != started) {
		err = errors.New("not the packet that starts a session")
	}
	return err
}

func closeAll(fds []int) {
	for _, fd := range fds {
		_ = unix.Close(fd)
	}
}

// attend hears what the recorder says until it has closed the connection, or
// says what the protocol has no place for. When the guard itself ends, which a
// deadline tells, it still hears what has been said before.
func attend(conn *os.File, hear func(Line)) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return
	}
	for {
		var msg []byte
		var callErr error
		next := func(fd uintptr) bool {
			msg, callErr = packet(int(fd))
			return callErr != unix.EAGAIN && callErr != unix.EINTR
		}
		if err = raw.Read(next); err != nil {
			err = raw.Control(func(fd uintptr) { next(fd) })
		}
		l, lineErr := decodeLine(msg)
		if errors.Join(err, callErr, lineErr) != nil {
			return
		}
		hear(l)
	}
}

// packet reads the next one, if it is there. Thousands of sessions wait for
// theirs: it is asked for its size before there is a buffer for it.
func packet(fd int) ([]byte, error) {
	size, _, err := unix.Recvfrom(fd, nil, unix.MSG_PEEK|unix.MSG_TRUNC)
	if err != nil {
		return nil, err
	}
	if size > maxLine {
		return nil, unix.EMSGSIZE
	}
	buf, oob := make([]byte, size), make([]byte, unix.CmsgSpace(4*maxFDs))
	n, oobn, _, _, err := unix.Recvmsg(fd, buf, oob, unix.MSG_CMSG_CLOEXEC)
	if err != nil {
		return nil, err
	}
	closeAll(passed(oob[:oobn]))
	return buf[:n], nil
}
