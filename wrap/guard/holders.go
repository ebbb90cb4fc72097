// SPDX-License-Identifier: AGPL-3.0-or-later

package guard

import (
	"iter"
	"os"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// hold is a process that has a session's terminal open and no right to.
type hold struct {
	of *session
	process
	uid         uint32
	table, name string // the descriptor it was seen at
}

// devTTY is /dev/tty: for whoever opens it, their own controlling terminal.
const devTTYMajor, devTTYMinor = 5, 0

// wanted are the terminals to look for, and whose they are.
type wanted map[terminal]*session

// add puts more terminals to w. A number goes to the next session when one has
// ended: where two claim one, it is the other's if that one's recorder has not
// ended, which has the terminal open.
func (w wanted) add(more wanted) {
	for tty, s := range more {
		if other := w[tty]; other != nil {
			if ended, _ := other.peer.ended(); !ended {
				continue
			}
		}
		w[tty] = s
	}
}

// holders looks through every descriptor of the processes in list, and yields
// after each bit of it. What is in flight between two sockets, or registered
// with an io_uring, is in nobody's table: the watch looks again, and finds the
// first when it comes out. What fdinfo says of the two is no evidence to end a
// process by, nor complete.
func holders(list []int, want wanted, found func(hold)) iter.Seq[struct{}] {
	return func(yield func(struct{}) bool) {
		s := search{want: want, found: found, rest: func() bool { return yield(struct{}{}) }}
		for _, pid := range list {
			if p, err := readProcess(pid); err == nil && !p.kernel {
				s.process(p)
			}
			if !s.goOn() {
				return
			}
		}
	}
}

// search looks through the descriptors of one process after the other.
type search struct {
	want    wanted
	found   func(hold)  // called once for each process and terminal
	rest    func() bool // called after each bit; false ends the search
	stopped bool
	told    map[terminal]bool // of the process
}

func (s *search) goOn() bool {
	s.stopped = s.stopped || !s.rest()
	return !s.stopped
}

// process looks for terminals that p has open and may not hold.
func (s *search) process(p process) {
	s.told = nil
	dir := "/proc/" + strconv.Itoa(p.pid)
	s.table(dir+"/fd", p)
	s.chunks(dir+"/task", func(_ int, task string) {
		if ownTable(p.pid, task) {
			s.table(dir+"/task/"+task+"/fd", p)
		}
	})
}

// kcmpFiles asks kcmp(2) whether two tasks share one table of descriptors.
const kcmpFiles = 2

// ownTable says that a thread has a table of descriptors of its own. It can
// leave the common one (unshare(2), CLONE_FILES), and the first thread can end
// before the others: /proc/PID/fd alone shows less than there is.
func ownTable(pid int, task string) bool {
	tid, err := strconv.Atoi(task)
	if err != nil || tid == pid {
		return false
	}
	r, _, errno := unix.Syscall6(unix.SYS_KCMP, uintptr(pid), uintptr(tid), kcmpFiles, 0, 0, 0)
	return errno != 0 || r != 0
}

func (s *search) table(dir string, p process) {
	s.chunks(dir, func(table int, name string) {
		got, _, err := statTerminal(table, name)
		if err != nil {
			return
		}
		if got.major == devTTYMajor && got.minor == devTTYMinor {
			got = s.want.controlling(p)
		}
		session, ok := s.want[got]
		if !ok || s.told[got] || session.mayHold(p) {
			return
		}
		u, err := readUIDs(p.pid)
		if err != nil {
			return // it has just ended
		}
		if s.told == nil {
			s.told = map[terminal]bool{}
		}
		s.told[got] = true
		s.found(hold{of: session, process: p, uid: u[0], table: dir, name: name})
	})
}

// namesAtOnce is the bit of work between two calls of rest; a table of a
// million descriptors is never held in memory.
const namesAtOnce = 64

// chunks calls do for each name in a directory.
func (s *search) chunks(path string, do func(dir int, name string)) {
	d, err := os.Open(path)
	if err != nil {
		return
	}
	defer d.Close()
	for {
		names, err := d.Readdirnames(namesAtOnce)
		for _, name := range names {
			do(int(d.Fd()), name)
		}
		if err != nil || !s.goOn() {
			return
		}
	}
}

// controlling returns the terminal that p has open as /dev/tty, if it is one of
// ours: only the processes of one session, in the sense of setsid(2), have it
// as their controlling terminal, and the recorder is one of them.
func (w wanted) controlling(p process) terminal {
	for tty, s := range w {
		if s.peer.sid == p.sid {
			return tty
		}
	}
	return terminal{}
}

// aDaemons says that uid is one of the host's services: a system account
// (login.defs(5), UID_MIN) or one that systemd made up (systemd.exec(5),
// DynamicUser=), nobody among them.
func aDaemons(uid uint32) bool { return uid < 1000 || uid >= 61184 && uid < 65536 }

// spared says that a holder is told of and not ended.
func (h hold) spared() bool { return h.uid == 0 || aDaemons(h.uid) && h.uid != h.of.uid }

// evict ends a process that holds somebody's terminal. Root's are left alone:
// whoever is root needs no terminal held open to see everything, and an
// administrator's tool is none of our business. So are the host's daemons, unless
// the session is such an account's own: any person can pass a descriptor to the
// bus (D-Bus, UNIX_FD), and would have us kill it. The session is in doubt then,
// and when the descriptor comes out at a person's process the watch finds it.
//
// The order of the checks is what makes it safe: the pidfd names whoever has
// the pid, which is h; it has the terminal open; and since the recorder lives,
// which has it open too, its number was not given to another terminal meanwhile.
func (h hold) evict() bool {
	if h.spared() {
		return false
	}
	fd, err := unix.PidfdOpen(h.pid, 0)
	if err != nil {
		return err == unix.ESRCH
	}
	defer unix.Close(fd)
	if ended, err := h.ended(); ended || err != nil {
		return ended
	}
	if !h.stillHolds() {
		ended, _ := h.ended()
		return ended
	}
	if ended, err := h.of.peer.ended(); ended || err != nil {
		return false
	}
	return unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0) == nil && gone(fd, evictWait)
}

// stillHolds looks again: where the terminal was seen, then everywhere.
func (h hold) stillHolds() bool {
	tty, _, err := statTerminal(unix.AT_FDCWD, h.table+"/"+h.name)
	if err == nil && tty == h.of.tty {
		return true
	}
	holds, end := false, time.Now().Add(evictTime)
	s := search{
		want: wanted{h.of.tty: h.of}, found: func(hold) { holds = true },
		rest: func() bool { return !holds && time.Now().Before(end) },
	}
	s.process(h.process)
	return holds
}

// evictTime bounds the look whether a process still holds what it was found with.
const evictTime = 200 * time.Millisecond

// evictWait bounds the wait for a killed holder to have let go.
const evictWait = 200 * time.Millisecond

// gone waits until the process behind a pidfd has ended: then its descriptors
// are closed and its children have new parents (pidfd_open(2)). It asks again
// and again instead of blocking, because a thousand sessions that end together
// must not hold a thousand threads.
func gone(pidfd int, timeout time.Duration) bool {
	const askAgain = 2 * time.Millisecond
	for deadline := time.Now().Add(timeout); ; time.Sleep(askAgain) {
		fds := []unix.PollFd{{Fd: int32(pidfd), Events: unix.POLLIN}}
		n, err := unix.Poll(fds, 0)
		switch {
		case err == nil && n == 1:
			return true
		case err != nil && err != unix.EINTR, !time.Now().Before(deadline):
			return false
		}
	}
}
