// SPDX-License-Identifier: AGPL-3.0-or-later

package guard

import (
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// scope tells which processes belong to one connection.
type scope struct {
	audit  uint32          // audit session id; nobody without CAP_AUDIT_CONTROL leaves it
	cgroup string          // where there is none: the session's own scope unit
	seen   map[int]process // where there is neither: who was ever seen below the recorder
	// sshd's processes of this connection. All that still hangs from them is
	// kept: other channels, and the shell of one that is just being started.
	keep []process
	// The shells that stood between sshd and a recorder that has ended. They
	// hang from sshd, too, but have nothing more to do there.
	drop []process
}

// scopeOf finds what bounds the sessions of a connection.
func scopeOf(pl place, peer process) scope {
	s := scope{audit: audit(peer.pid), keep: []process{pl.session, pl.monitor}}
	// A sshd that an administrator started by hand hands its own audit session
	// down when pam_loginuid doesn't make a new one. That is not ours to sweep.
	if s.audit != AuditUnset && (pl.listener.pid == 0 || audit(pl.listener.pid) != s.audit) {
		return s
	}
	s.audit = AuditUnset
	if cg := sessionCgroup(peer.pid); cg != "" && sessionCgroup(pl.listener.pid) != cg {
		s.cgroup = cg
		return s
	}
	s.seen = map[int]process{}
	return s
}

// sessionCgroup is the path of the scope that logind made for a session, ""
// when a process is in none.
func sessionCgroup(pid int) string {
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/cgroup")
	if err != nil {
		return ""
	}
	return parseCgroup(string(b))
}

// parseCgroup looks for "0::/user.slice/user-1000.slice/session-3.scope" or a
// path below that, in the unified hierarchy (cgroups(7)).
func parseCgroup(text string) string {
	for line := range strings.Lines(text) {
		path, ok := strings.CutPrefix(strings.TrimSuffix(line, "\n"), "0::/user.slice/")
		if !ok {
			continue
		}
		user, rest, _ := strings.Cut(path, "/")
		unit, _, _ := strings.Cut(rest, "/")
		if strings.HasPrefix(unit, "session-") && strings.HasSuffix(unit, ".scope") {
			return user + "/" + unit
		}
	}
	return ""
}

// note remembers who is below the recorder now, for a scope that has nothing better.
func (s *scope) note(t table, peer process) {
	if s.seen == nil {
		return
	}
	for _, p := range t {
		if p.same(peer) {
			continue
		}
		if t.under(p, peer) || s.below(t, p) {
			s.seen[p.pid] = p
		}
	}
	for pid, p := range s.seen {
		if now, ok := t[pid]; !ok || !now.same(p) {
			delete(s.seen, pid)
		}
	}
}

// below says that p descends from one that was seen.
func (s *scope) below(t table, p process) bool {
	for range maxAncestors {
		if q, ok := s.seen[p.pid]; ok && q.same(p) {
			return true
		}
		parent, ok := t[p.ppid]
		if !ok || p.ppid == 0 {
			return false
		}
		p = parent
	}
	return false
}

func (s *scope) has(t table, p process) bool {
	switch {
	case s.audit != AuditUnset:
		return audit(p.pid) == s.audit
	case s.cgroup != "":
		return sessionCgroup(p.pid) == s.cgroup
	}
	return s.below(t, p)
}

// leftovers are the processes of the scope that no sshd of the connection has
// below it any more.
func (s *scope) leftovers(t table) []process {
	under := func(p process) func(process) bool {
		return func(root process) bool { return t.under(p, root) }
	}
	var list []process
	for _, p := range t {
		if p.dead() || !s.has(t, p) {
			continue
		}
		if slices.ContainsFunc(s.keep, under(p)) && !slices.ContainsFunc(s.drop, under(p)) {
			continue
		}
		list = append(list, p)
	}
	return list
}

// The sweep stops everything before it ends anything: what is stopped forks
// no more and still counts against its owner's limit of processes, so that a
// fork bomb gets slower with every round.
const (
	sweepTime  = time.Minute           // a process in a dead server's hands can't be ended at all
	sweepPause = 10 * time.Millisecond // lets the killed die
	stopRounds = 50                    // then somebody must be continuing them: kill as they are
)

// sweep ends every left-over of the scope, and returns whom it met and whether
// somebody is left. Root's processes are never ended: a daemon that was
// started with sudo, sshd itself perhaps, is the host's.
func (s *scope) sweep() (met map[procID]process, clean bool) {
	met = map[procID]process{}
	stopping := 0
	for deadline := time.Now().Add(sweepTime); time.Now().Before(deadline); {
		t, err := snapshot()
		if err != nil {
			return met, false
		}
		s.note(t, process{})
		moving, left := 0, s.mine(s.leftovers(t))
		if len(left) == 0 {
			return met, true
		}
		for _, p := range left {
			if len(met) < maxMet {
				met[p.procID] = p
			}
			if p.state != 'T' {
				moving++
				s.signal(t, p, unix.SIGSTOP)
			}
		}
		if stopping++; moving > 0 && stopping < stopRounds {
			continue // look again at once: they fork while we count
		}
		for _, p := range left {
			s.signal(t, p, unix.SIGKILL)
		}
		stopping = 0
		time.Sleep(sweepPause)
	}
	return met, false
}

// maxMet bounds what a sweep remembers for the log.
const maxMet = 10_000

// mine leaves out the processes of root.
func (s *scope) mine(list []process) []process {
	mine := list[:0]
	for _, p := range list {
		if u, err := readUIDs(p.pid); err == nil && u[0] != 0 {
			mine = append(mine, p)
		}
	}
	return mine
}

// signal sends sig to p, if it is still p and still of the scope.
func (s *scope) signal(t table, p process, sig unix.Signal) {
	fd, err := unix.PidfdOpen(p.pid, 0)
	if err != nil {
		return
	}
	defer unix.Close(fd)
	if now, err := readProcess(p.pid); err == nil && now.same(p) && s.has(t, p) {
		_ = unix.PidfdSendSignal(fd, sig, nil, 0) // it may have ended meanwhile
	}
}
