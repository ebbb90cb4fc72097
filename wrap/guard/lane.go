// SPDX-License-Identifier: AGPL-3.0-or-later

package guard

import (
	"iter"
	"os"
	"slices"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// lane is the look at the processes of one user.
type lane struct {
	uid  uint32
	now  []*look // whose pass is under way
	next []*look // who asked since it began
	step func() (struct{}, bool)
	stop func()

	work int // bits of it that the pass has done
}

// join puts l in for the next pass. The watch, which comes again, is in a lane
// once. A pass that is under way for it alone gives way to a login, which has
// less time, and begins again.
func (ln *lane) join(l *look) {
	aWatchs := func(l *look) bool { return l.owner == nobody }
	if aWatchs(l) && slices.ContainsFunc(ln.looks(), aWatchs) {
		return
	}
	l.left[ln.uid] = true
	ln.next = append(ln.next, l)
	aLogins := func(l *look) bool { return l.owner != nobody }
	if l.owner == ln.uid && !ln.free() && !slices.ContainsFunc(ln.now, aLogins) {
		ln.next = append(ln.next, ln.finish()...)
	}
}

// start begins a pass over the processes in pids.
func (ln *lane) start(pids []int) {
	ln.now, ln.next, ln.work = ln.next, nil, 0
	want := wanted{}
	for _, l := range ln.now {
		want.add(l.want)
	}
	ln.step, ln.stop = iter.Pull(holders(pids, want, ln.found))
}

// found gives a holder to everybody who asked for its session's terminal.
func (ln *lane) found(h hold) {
	for _, l := range ln.now {
		if l.want[h.of.tty] != h.of {
			continue
		}
		select {
		case l.found <- h:
		default:
			l.lost.Store(true)
		}
	}
}

// sliceTime is how long a lane has the scanner before the next has its turn.
const sliceTime = time.Millisecond

// A long pass is one that only the lane's own user waits for: 250 processes or
// 50,000 descriptors, some 50 ms of a processor that has nothing else to do.
// What is root's is the host's: nobody has it grow by as much as they like.
const (
	longPass  = 800
	rootsPass = 5 * longPass
)

func (ln *lane) long() bool {
	if ln.uid == 0 {
		return ln.work >= rootsPass
	}
	return ln.work >= longPass
}

// slice goes on with the pass for a while. It says whether there is more of
// it, and whether it has just become a long one.
func (ln *lane) slice() (more, long bool) {
	begin, before := time.Now(), ln.long()
	for more = true; more && time.Since(begin) < sliceTime; ln.work++ {
		_, more = ln.step()
	}
	return more, !before && ln.long()
}

// finish ends the pass and returns whose it was.
func (ln *lane) finish() []*look {
	ln.stop()
	through := ln.now
	ln.now, ln.step = nil, nil
	return through
}

func (ln *lane) free() bool { return ln.step == nil }

func (ln *lane) looks() []*look { return slices.Concat(ln.now, ln.next) }

// urgent says that the lane's own user is waiting to get in.
func (ln *lane) urgent() bool {
	return slices.ContainsFunc(ln.looks(), func(l *look) bool { return l.owner == ln.uid && l.waiting.Load() })
}

// firstBeyond is where user ids begin that a host has no accounts for, as a
// rule: a person gets 65536 of them for their containers (subuid(5)). All of
// these are one lane: they must not make one person the many that turns are
// taken between. Who logs in has a lane in any case.
const firstBeyond = 1 << 16

// census lists the processes of each user, by who started them: a set-id
// program is as much theirs as what they had open when they started it.
func census(known func(uid uint32) bool) (map[uint32][]int, error) {
	list, err := pids()
	if err != nil {
		return nil, err
	}
	all := map[uint32][]int{}
	for _, pid := range list {
		uid, ok := owner(pid)
		if !ok || pid == os.Getpid() {
			continue
		}
		if uid >= firstBeyond && !known(uid) {
			uid = firstBeyond
		}
		all[uid] = append(all[uid], pid)
	}
	return all, nil
}

// owner is cheap for who is not root: /proc/PID belongs to its process's user,
// unless that is a set-id program, which the kernel hides as root's.
func owner(pid int) (uint32, bool) {
	var st unix.Statx_t
	if err := unix.Statx(unix.AT_FDCWD, "/proc/"+strconv.Itoa(pid), 0, unix.STATX_UID, &st); err != nil {
		return 0, false
	}
	if st.Uid != 0 {
		return st.Uid, true
	}
	u, err := readUIDs(pid)
	return u[0], err == nil
}
