// SPDX-License-Identifier: AGPL-3.0-or-later

package wrap_test

import (
	"strings"
	"syscall"
	"testing"

	"castgate/packaging/hosttest"
)

// TestLinesAreTheGuards: with a guard, the lines about a session are its own,
// with the fields that they have without one; a recorder that is killed has a
// line of its end as well; and without the guard the recorder says it itself.
func TestLinesAreTheGuards(t *testing.T) {
	who := []string{"session", "account", "uid", "login", "key", "client", "kind", "tty", "mode", "nested", "parent"}
	for _, tt := range []struct {
		name, end string
		guard     func(g *hosttest.Guard)
		from      string
		want      map[string]string
	}{
		{name: "end", end: "exit 7", from: "castgate-guard[", want: map[string]string{"status": "7", "hangup": "false", "lost": ""}},
		{name: "killed", end: "kill -9 $PPID", from: "castgate-guard[", want: map[string]string{"lost": "the recorder was killed"}},
		{name: "guard gone", end: "exit 7", from: "castgate-wrap[", want: map[string]string{"status": "7"}, guard: func(g *hosttest.Guard) { g.Stop() }},
		{name: "guard dies", end: "exit 7", from: "castgate-wrap[", want: map[string]string{"status": "7"}, guard: func(g *hosttest.Guard) {
			_ = syscall.Kill(g.PID, syscall.SIGKILL)
			g.Stop()
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := newHost(t, "/bin/bash")
			g := hosttest.StartGuard(t)
			x := h.session(t)
			start := fields(t, h.log.Wait(t, "session start"))
			if from := h.log.Find("session start"); !strings.Contains(from, "castgate-guard[") {
				t.Errorf("the start is %q", from)
			}
			if tt.guard != nil {
				tt.guard(g)
				h.log.Wait(t, "guard left")
			}
			x.Type(tt.end + "\n")
			x.Wait()
			line := h.log.Wait(t, `"session end"`)
			end := fields(t, line)
			if !strings.Contains(line, tt.from) {
				t.Errorf("the end is %q", line)
			}
			for _, key := range who {
				if value, ok := end[key]; !ok || value != start[key] {
					t.Errorf("%s is %q, then %q", key, start[key], value)
				}
			}
			for key, want := range tt.want {
				if end[key] != want {
					t.Errorf("%s is %q, want %q", key, end[key], want)
				}
			}
			clear(t)
		})
	}
}
