// SPDX-License-Identifier: AGPL-3.0-or-later

package guard

import (
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// The outer terminal is taken away from everybody in these steps:
//
//  1. The guard gives it to root, mode 0600: nobody opens it by its name.
//  2. It offers the recorder sshd's own end of it, the master.
//  3. The recorder holds back what the person types, gives the terminal up as its
//     controlling terminal, reads what they have typed, and locks the terminal,
//     so that an open that is under way fails.
//  4. A helper of the guard's makes it its own for a moment and hangs it up:
//     every descriptor that is open on it is dead from then on, wherever it is
//     kept: in a table, in a socket, registered with an io_uring.
//  5. The recorder, whose own are dead as well, which is the proof, opens it
//     anew through the master and takes it back.
//
// Whatever ends on the way, the recorder can go on by itself: with the master
// it opens a terminal that has been hung up, and takes back one that has not.

// stealTime is how long somebody may keep the guard from having the terminal
// to itself. Together with the rest it is less than a recorder waits for.
const stealTime = 150 * time.Millisecond

// secure takes the outer terminal away from everybody but the recorder. Where
// it can't, the facts say why: the session is in doubt then, and to be refused
// where somebody has seen to it.
func (g *Guard) secure(conn *os.File, s *session, tty *os.File, facts *Facts) {
	if tty == nil {
		return
	}
	if err := take(int(tty.Fd()), s.uid); err != nil {
		facts.Doubt = "the terminal was not taken: " + err.Error()
		if errors.Is(err, errOthers) {
			facts.Refuse = facts.Doubt
		}
		return
	}
	facts.TTYTaken = true
	if !s.Revoke {
		return // it is called again, or older than this
	}
	if err := g.revoke(conn, s, int(tty.Fd()), facts); err != nil {
		facts.Doubt = notRevoked + ": " + err.Error()
	}
}

// notRevoked is how a doubt begins that is about it.
const notRevoked = "the terminal was not revoked"

func (g *Guard) revoke(conn *os.File, s *session, tty int, facts *Facts) error {
	if s.place.standing != Direct || s.peer.sid != s.peer.pid {
		return errors.New("a program stands between sshd and the recorder and has it as well")
	}
	// What follows does not fail by itself.
	refuse := func(err error) error {
		facts.Refuse = notRevoked + ": " + err.Error()
		return err
	}
	master, err := masterOf(s.place.session, s.peer.pid)
	if errors.Is(err, errNoMaster) {
		return refuse(err)
	}
	if err != nil {
		return err // this kernel, or this host, does not let us
	}
	defer unix.Close(master)
	if !ends(master, tty) {
		return refuse(errors.New("the recorder was started on another than sshd's"))
	}
	if err := offer(conn, master); err != nil {
		// Killed with the terminal given up, the recorder would leave it to whoever
		// has it open. Where the recorder has it, this does nothing.
		_ = g.revokers.revoke(tty, s.uid)
		return refuse(err)
	}
	for deadline := time.Now().Add(stealTime); ; {
		err := g.revokers.revoke(tty, s.uid)
		switch {
		case err == nil:
			facts.TTYRevoked = true
			return nil
		case err != unix.EPERM:
			return refuse(err)
		}
		// The recorder has given it up, and somebody else was faster.
		leader := leaderOf(master)
		if leader == s.peer.pid {
			return errors.New("the recorder has taken it back")
		}
		if leader != 0 {
			facts.Holders = append(facts.Holders, g.evict(master, leader, s.uid))
		}
		if time.Now().After(deadline) {
			return refuse(errors.New("others keep taking it"))
		}
	}
}

// offer passes the master on, and waits until the recorder has given the
// terminal up.
func offer(conn *os.File, master int) error {
	if err := send(conn, []byte{offered}, master); err != nil {
		return err
	}
	msg, fds, err := receive(conn, 1)
	closeAll(fds)
	if err != nil {
		return err
	}
	if len(msg) != 1 || msg[0] != given {
		return errors.New("the recorder could not give it up")
	}
	return nil
}

// evict ends a process that has made the terminal its own after the recorder
// gave it up. Nobody does that without meaning to. The pidfd names the leader
// when the terminal is still its after it was opened: a pid is not used again
// while it names a session.
func (g *Guard) evict(master, leader int, uid uint32) Holder {
	h := Holder{PID: leader}
	fd, err := unix.PidfdOpen(leader, 0)
	if err != nil {
		return h
	}
	defer unix.Close(fd)
	p, err := readProcess(leader)
	u, uidErr := readUIDs(leader)
	if errors.Join(err, uidErr) != nil || leaderOf(master) != leader {
		return h
	}
	h.UID, h.Comm = u[0], p.comm
	if u[0] == uid && uid != 0 {
		h.Ended = unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0) == nil && gone(fd, evictWait)
	}
	return h
}

// evictWait bounds the wait for a killed thief to have let go.
const evictWait = 50 * time.Millisecond

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

// String is a holder as the header has it.
func (h Holder) String() string { return fmt.Sprintf("%s %d %d", h.Comm, h.PID, h.UID) }
