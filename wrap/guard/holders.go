// SPDX-License-Identifier: AGPL-3.0-or-later

package guard

import (
	"os"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// hold is a process that has a session's terminal open and no right to.
type hold struct {
	tty terminal
	process
	uid uint32
}

// devTTY is /dev/tty: for whoever opens it, their own controlling terminal.
const devTTYMajor, devTTYMinor = 5, 0

// wanted are the terminals to look for, and whose they are.
type wanted map[terminal]*session

// holders looks through every descriptor of every process until deadline. What
// is in flight between two sockets, or registered with an io_uring, is in
// nobody's table: the watch looks again, and finds the first when it comes out.
// What fdinfo says of the two is no evidence to end a process by, nor complete.
func holders(want wanted, deadline time.Time) (found []hold, complete bool) {
	list, err := pids()
	if err != nil {
		return nil, false
	}
	for _, pid := range list {
		if time.Now().After(deadline) {
			return found, false
		}
		p, err := readProcess(pid)
		if err != nil || pid == os.Getpid() {
			continue
		}
		tty, ok := holdsOne(p, want, deadline)
		if !ok {
			continue
		}
		if u, err := readUIDs(pid); err == nil { // else it has just ended
			found = append(found, hold{tty, p, u[0]})
		}
	}
	return found, true
}

// holdsOne says whether p has a terminal of a session open that it may not
// hold. One process with ten thousand tables, or a table of a million, must not
// hold up everybody's logins: after deadline it is left.
func holdsOne(p process, want wanted, deadline time.Time) (terminal, bool) {
	for _, task := range tables(p.pid) {
		if time.Now().After(deadline) {
			break
		}
		if tty, ok := searchFDs(task+"/fd", p, want, deadline); ok {
			return tty, true
		}
	}
	return terminal{}, false
}

// kcmpFiles asks kcmp(2) whether two tasks share one table of descriptors.
const kcmpFiles = 2

// tables returns the tasks of a process that have tables of descriptors of
// their own. A thread can leave the common one (unshare(2), CLONE_FILES), and
// the first thread can end before the others: /proc/PID/fd alone shows less
// than there is.
func tables(pid int) []string {
	dir := "/proc/" + strconv.Itoa(pid)
	names, err := readNames(dir + "/task")
	if err != nil {
		return nil
	}
	list := []string{dir}
	for _, name := range names {
		tid, err := strconv.Atoi(name)
		if err != nil || tid == pid {
			continue
		}
		r, _, errno := unix.Syscall6(unix.SYS_KCMP, uintptr(pid), uintptr(tid), kcmpFiles, 0, 0, 0)
		if errno == 0 && r == 0 {
			continue
		}
		list = append(list, dir+"/task/"+name)
	}
	return list
}

func readNames(dir string) ([]string, error) {
	d, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	defer d.Close()
	return d.Readdirnames(-1)
}

// fdsAtOnce is how many descriptors are looked at between two looks at the clock.
const fdsAtOnce = 256

func searchFDs(dir string, p process, want wanted, deadline time.Time) (terminal, bool) {
	d, err := os.Open(dir)
	if err != nil {
		return terminal{}, false
	}
	defer d.Close()
	names, err := d.Readdirnames(-1)
	if err != nil {
		return terminal{}, false
	}
	for i, name := range names {
		if i%fdsAtOnce == fdsAtOnce-1 && time.Now().After(deadline) {
			break
		}
		got, _, err := statTerminal(int(d.Fd()), name)
		if err != nil {
			continue
		}
		if got.major == devTTYMajor && got.minor == devTTYMinor {
			got = want.controlling(p)
		}
		if s, ok := want[got]; ok && !s.mayHold(p) {
			return got, true
		}
	}
	return terminal{}, false
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

// spared says that a holder of s's terminal is told of and not ended.
func (h hold) spared(s *session) bool { return h.uid == 0 || aDaemons(h.uid) && h.uid != s.uid }

// evict ends a process that holds somebody's terminal. Root's are left alone:
// whoever is root needs no terminal held open to see everything, and an
// administrator's tool is none of our business. So are the host's daemons, unless
// the session is such an account's own: any person can pass a descriptor to the
// bus (D-Bus, UNIX_FD), and would have us kill it. The session is in doubt then,
// and when the descriptor comes out at a person's process the watch finds it. The order of the checks is
// what makes it safe: the pidfd names whoever has the pid, which is h; it has
// the terminal open; and since the recorder lives, which has it open too, its
// number was not given to another terminal meanwhile.
func (h hold) evict(want wanted) bool {
	if s := want[h.tty]; s == nil || h.spared(s) {
		return false
	}
	fd, err := unix.PidfdOpen(h.pid, 0)
	if err != nil {
		return err == unix.ESRCH
	}
	defer unix.Close(fd)
	if p, err := readProcess(h.pid); err != nil || !p.same(h.process) {
		return true
	}
	tty, ok := holdsOne(h.process, want, time.Now().Add(evictTime))
	if !ok {
		return false
	}
	recorder := want[tty].peer
	if p, err := readProcess(recorder.pid); err != nil || !p.same(recorder) || p.dead() {
		return false
	}
	return unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0) == nil && gone(fd, evictWait)
}

// evictTime bounds the look whether a process still holds what it was found with.
const evictTime = time.Second

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
