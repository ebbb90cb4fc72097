// SPDX-License-Identifier: AGPL-3.0-or-later

package once

import (
	"fmt"
	"io"
	"net"
	"os"

	"golang.org/x/sys/unix"
)

// The recorder's loops poll file descriptors; the channel has none. A
// socketpair stands in for the client's terminal, pipes for its three streams:
// whoever is slow makes the other side wait, as a real one would, and the end
// of a stream travels on.

// bridgeTerminal returns the recorder's end of the client's terminal.
func (t *task) bridgeTerminal() (ours int, closeOurs func(), err error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return 0, nil, os.NewSyscallError("socketpair", err)
	}
	f := os.NewFile(uintptr(fds[1]), "client")
	conn, err := net.FileConn(f)
	f.Close()
	if err != nil {
		unix.Close(fds[0])
		return 0, nil, fmt.Errorf("bridge the channel: %w", err)
	}
	client := conn.(*net.UnixConn)
	go func() {
		_, _ = io.Copy(client, t.channel)
		_ = client.CloseWrite()
		_, _ = io.Copy(io.Discard, t.channel) // nobody reads it: the client must not wait for that
	}()
	t.copies.Go(func() {
		_, _ = io.Copy(t.channel, client)
		client.Close()
	})
	return fds[0], func() { unix.Close(fds[0]) }, nil
}

// bridgePipes returns the recorder's ends of the client's standard streams.
// terminal.Pipes closes them.
func (t *task) bridgePipes() (ours [3]int, err error) {
	var files [3]*os.File
	for i := range ours {
		var p [2]int
		if err := unix.Pipe2(p[:], unix.O_CLOEXEC|unix.O_NONBLOCK); err != nil {
			return ours, os.NewSyscallError("pipe2", err)
		}
		mine := 1 // of the first pipe the client's end is the one to write to
		if i > 0 {
			mine = 0
		}
		ours[i], files[i] = p[1-mine], os.NewFile(uintptr(p[mine]), "client")
	}
	go func() {
		_, _ = io.Copy(files[0], t.channel)
		files[0].Close()
		_, _ = io.Copy(io.Discard, t.channel)
	}()
	for i, w := range []io.Writer{t.channel, t.channel.Stderr()} {
		t.copies.Go(func() {
			_, _ = io.Copy(w, files[i+1])
			files[i+1].Close()
		})
	}
	return ours, nil
}
