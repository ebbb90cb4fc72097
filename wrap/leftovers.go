// SPDX-License-Identifier: AGPL-3.0-or-later

package wrap

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"castgate/wrap/terminal"
)

// leftovers does with the processes that outlive the session what policy says.
// As a subreaper the recorder is the parent of all of them. With a guard this
// is the guard's: it sees those that got away, too.
func (s *session) leftovers() {
	if s.policy.Leftovers == "keep" || s.guarded() {
		return
	}
	for round := range sweepRounds {
		pids := descendants(os.Getpid())
		if len(pids) == 0 {
			return
		}
		if round == 0 {
			s.log.Warn("leftovers", s.who("policy", s.policy.Leftovers, "processes", names(pids))...)
		}
		if s.policy.Leftovers != "end" {
			return
		}
		sig := unix.SIGHUP
		if round > 0 {
			sig = unix.SIGKILL
		}
		for _, pid := range pids {
			_ = unix.Kill(pid, sig)
			_ = unix.Kill(pid, unix.SIGCONT)
		}
		time.Sleep(sweepPause)
		terminal.Reap()
	}
}

// A process that forks faster than it is found must not keep the recorder for
// ever: without a guard, that is as much as can be done.
const (
	sweepRounds = 20
	sweepPause  = 20 * time.Millisecond
)

// descendants lists the children of pid and theirs (proc(5), children).
func descendants(pid int) []int {
	var all []int
	queue := []int{pid}
	for len(queue) > 0 && len(all) < 10_000 {
		text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", queue[0], queue[0]))
		queue = queue[1:]
		for _, f := range strings.Fields(string(text)) {
			if n, err := strconv.Atoi(f); err == nil {
				all, queue = append(all, n), append(queue, n)
			}
		}
	}
	return all
}

// names lists processes for the log.
func names(pids []int) string {
	var b strings.Builder
	for i, pid := range pids {
		if i == 20 {
			fmt.Fprintf(&b, " and %d more", len(pids)-i)
			break
		}
		fmt.Fprintf(&b, " %d(%s)", pid, comm(pid))
	}
	return strings.TrimSpace(b.String())
}

func comm(pid int) string {
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid))
	return strings.TrimSuffix(string(text), "\n")
}
