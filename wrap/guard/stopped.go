// SPDX-License-Identifier: AGPL-3.0-or-later

package guard

import (
	"errors"
	"os"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// A person may stop what runs under their uid, and that is sshd's process of
// their connection and the recorder, too. Stopped, the first does not see that
// the client has gone, and the second not that sshd has: the session would have
// no end, and nothing would be swept. Nothing stops these two but a signal that
// somebody sent, or the freezer of a cgroup, which they can have their own
// systemd move them into: the first time they are continued, and who does it
// again, or has frozen them, ends the session. An administrator who stops one
// now and then does not.
const (
	maxStops = 2
	forgiven = 10 // looks in a row that found nothing
)

// strikes counts the looks that found a session stopped.
type strikes struct{ stops, clean int }

// count says that this was one too many.
func (s *strikes) count(held bool) bool {
	if !held {
		if s.clean++; s.clean >= forgiven {
			s.stops = 0
		}
		return false
	}
	s.clean = 0
	s.stops++
	return s.stops >= maxStops
}

// unstop looks at the processes that the sessions hang from.
func (g *Guard) unstop() {
	for _, s := range append(g.bySSHD(), g.unknown()...) {
		if ended, _ := s.peer.ended(); ended {
			// A child that it was just making may hold the connection open.
			s.hangUp()
			continue
		}
		var held []process
		for _, p := range []process{s.place.session, s.peer} {
			if stopped(p) || frozen(p.pid) && !frozen(s.place.monitor.pid) {
				held = append(held, p)
			}
		}
		end := s.strikes.count(len(held) > 0)
		for _, p := range held {
			g.free(s, p, end)
		}
	}
}

// unknown lists the sessions that began before this guard and have not called
// it: they may be kept from it. They are looked for once.
func (g *Guard) unknown() []*session {
	if g.strangers == nil {
		g.strangers = strangers(g.group)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.strangers = slices.DeleteFunc(g.strangers, func(s *session) bool {
		ended, _ := s.peer.ended()
		return ended || g.sessions[s.peer.procID] != nil
	})
	return g.strangers
}

// strangers finds the recorders that sshd has started.
func strangers(group uint32) []*session {
	list := []*session{} // not nil: it has been looked for
	all, _ := pids()
	for _, pid := range all {
		if !isRecorder(pid, group) {
			continue
		}
		p, err := readProcess(pid)
		u, uidErr := readUIDs(pid)
		chain, chainErr := ancestors(pid)
		if errors.Join(err, uidErr, chainErr) != nil {
			continue // it has ended
		}
		nested := func(p process) (string, bool) { return "", isRecorder(p.pid, group) }
		if pl := find(chain, u[0], nested); pl.bySSHD() {
			list = append(list, &session{peer: p, uid: u[0], place: pl, hangUp: func() {}})
		}
	}
	return list
}

// bySSHD lists the sessions that sshd started and that go on.
func (g *Guard) bySSHD() []*session {
	g.mu.Lock()
	defer g.mu.Unlock()
	var list []*session
	for _, s := range g.sessions {
		if s.started && s.place.bySSHD() {
			list = append(list, s)
		}
	}
	return list
}

// stopped says that a thread of p is, or is about to be: one that gets hardly
// any of a processor, which its user can see to, takes its time to stop.
func stopped(p process) bool {
	dir := "/proc/" + strconv.Itoa(p.pid) + "/task"
	tasks, err := readNames(dir)
	if err != nil {
		return false
	}
	held := slices.ContainsFunc(tasks, func(task string) bool {
		status, err := os.ReadFile(dir + "/" + task + "/status")
		return err == nil && stops(string(status))
	})
	now, err := readProcess(p.pid)
	return held && err == nil && now.same(p)
}

// stops understands /proc/PID/status: the state, and the signals that wait for
// the thread or its process.
func stops(status string) bool {
	const sigstop = 1 << (unix.SIGSTOP - 1)
	for line := range strings.Lines(status) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), ":\t")
		switch name {
		case "State":
			if strings.HasPrefix(value, "T") {
				return true
			}
		case "SigPnd", "ShdPnd":
			if n, err := strconv.ParseUint(value, 16, 64); err == nil && n&sigstop != 0 {
				return true
			}
		}
	}
	return false
}

// cgroupRoot is where the unified hierarchy of cgroups(7) is.
const cgroupRoot = "/sys/fs/cgroup"

// frozen says that the cgroup of a process is. The monitor, which is root's,
// tells whether that is the host's doing.
func frozen(pid int) bool {
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/cgroup")
	if err != nil {
		return false
	}
	_, path, unified := strings.Cut("\n"+string(b), "\n0::")
	path, _, _ = strings.Cut(path, "\n")
	if !unified {
		return false
	}
	events, err := os.ReadFile(cgroupRoot + path + "/cgroup.events")
	return err == nil && strings.Contains(string(events), "frozen 1")
}

// free continues p, or ends it. What is root's is only continued.
func (g *Guard) free(s *session, p process, end bool) {
	sig := unix.SIGCONT
	if u, err := readUIDs(p.pid); err == nil && u[0] != 0 && end {
		sig = unix.SIGKILL
	}
	fd, err := unix.PidfdOpen(p.pid, 0)
	if err != nil {
		return // it has ended
	}
	defer unix.Close(fd)
	if now, err := readProcess(p.pid); err != nil || !now.same(p) {
		return
	}
	if unix.PidfdSendSignal(fd, sig, nil, 0) == nil {
		// Nobody's session is looked at later because syslog is slow.
		go g.Log.Warn("session was stopped", "session", s.Session, "uid", s.uid, "pid", s.peer.pid,
			"stopped", p.pid, "stopped name", p.comm, "sent", unix.SignalName(sig))
	}
}
