// SPDX-License-Identifier: AGPL-3.0-or-later

package guard

import (
	"os"
	"strconv"
	"strings"
	"time"
)

// A descriptor of a terminal can be used without being in any table for longer
// than a write takes: as a file that was registered with an io_uring, and on
// its way through a socket, taken out for each write and put back in. fdinfo
// (proc_pid_fdinfo(5)) tells of both.

// Links of /proc/PID/fd that lead to what may hide descriptors.
const (
	ringLink   = "anon_inode:[io_uring]"
	socketLink = "socket:"
)

// registered says which of the terminals is registered with the io_uring that
// fdinfo describes: "UserFiles:", and below it "  0: /dev/pts/3". Where another
// process's mounts are not ours the path begins at the mount: "/3".
func (w wanted) registered(fdinfo string) (terminal, bool) {
	_, list, _ := strings.Cut(fdinfo, "UserFiles:")
	for line := range strings.Lines(list) {
		_, path, ok := strings.Cut(strings.TrimSpace(line), ": ")
		if !ok {
			continue
		}
		number, err := strconv.ParseUint(strings.TrimPrefix(strings.TrimPrefix(path, "/dev/pts"), "/"), 10, 32)
		if err != nil {
			continue
		}
		for tty := range w {
			if tty.minor == uint32(number) {
				return tty, true
			}
		}
	}
	return terminal{}, false
}

// inFlight counts the descriptors that wait in the socket that fdinfo
// describes, or in the connections that wait at it.
func inFlight(fdinfo string) int {
	_, rest, ok := strings.Cut(fdinfo, "\nscm_fds:")
	if !ok {
		return 0
	}
	first, _, _ := strings.Cut(strings.TrimSpace(rest), "\n")
	n, _ := strconv.Atoi(first)
	return n
}

// hiding looks at a descriptor that is no terminal. flying says that there are
// descriptors on their way in it; which, nobody can tell.
func (w wanted) hiding(task, fd string) (tty terminal, found, flying bool) {
	link, err := os.Readlink(task + "/fd/" + fd)
	if err != nil || link != ringLink && !strings.HasPrefix(link, socketLink) {
		return terminal{}, false, false
	}
	info, err := os.ReadFile(task + "/fdinfo/" + fd)
	if err != nil {
		return terminal{}, false, false
	}
	if link == ringLink {
		tty, found = w.registered(string(info))
		return tty, found, false
	}
	return terminal{}, false, inFlight(string(info)) > 0
}

// A descriptor that is sent is received at once, where nothing is hidden.
const (
	flightLooks = 3
	flightPause = 10 * time.Millisecond
)

// keepsFlying says that p has descriptors on their way whenever one looks.
func keepsFlying(p process) bool {
	for range flightLooks {
		if !flies(p) {
			return false
		}
		time.Sleep(flightPause)
	}
	return true
}

func flies(p process) bool {
	for _, task := range tables(p.pid) {
		names, err := readNames(task + "/fd")
		if err != nil {
			continue
		}
		for _, name := range names {
			if _, _, flying := (wanted{}).hiding(task, name); flying {
				return true
			}
		}
	}
	return false
}

// of returns a terminal of a session of uid's, if there is one. Another's
// process can't be ended for what it might have.
func (w wanted) of(uid uint32) (terminal, bool) {
	for tty, s := range w {
		if s.uid == uid {
			return tty, true
		}
	}
	return terminal{}, false
}

// exempt says that p is one of the processes that every session has.
func (w wanted) exempt(p process) bool {
	for _, s := range w {
		if s.mayHold(p) {
			return true
		}
	}
	return false
}
