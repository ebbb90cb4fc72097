// SPDX-License-Identifier: AGPL-3.0-or-later

package serve

import (
	"fmt"
	"net"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// firstFD is the first descriptor that a socket unit passes, sd_listen_fds(3).
const firstFD = 3

// Inherited returns the listeners that systemd passed to this process. Try it
// by hand: systemd-socket-activate -l 8022 -l 8443 castgate serve
func Inherited(getenv func(string) string) ([]net.Listener, error) {
	if getenv("LISTEN_PID") != strconv.Itoa(os.Getpid()) {
		return nil, nil
	}
	n, err := strconv.Atoi(getenv("LISTEN_FDS"))
	if err != nil || n < 0 || n > 16 {
		return nil, fmt.Errorf("LISTEN_FDS is %q", getenv("LISTEN_FDS"))
	}
	var all []net.Listener
	for fd := firstFD; fd < firstFD+n; fd++ {
		unix.CloseOnExec(fd)
		f := os.NewFile(uintptr(fd), "socket")
		l, err := net.FileListener(f)
		_ = f.Close() // the listener has a copy
		if err != nil {
			return nil, fmt.Errorf("the socket that systemd passed: %w", err)
		}
		all = append(all, l)
	}
	return all, nil
}
