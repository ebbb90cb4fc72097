// SPDX-License-Identifier: AGPL-3.0-or-later

package host_test

import (
	"fmt"
	"regexp"
	"strings"
	"sync"
	"testing"

	"castgate/packaging/hosttest"
)

// 500 short sessions, as many at once as one account may have: each is
// answered, each is delivered, and the path unit lives.
func TestStorm(t *testing.T) {
	const (
		sessions = 500
		masters  = 6  // connections
		each     = 10 // sshd's MaxSessions; together below wrap's sessions_per_user
	)
	eachDoor(t, func(t *testing.T, d *door) {
		dir := t.TempDir()
		next := make(chan int)
		var workers sync.WaitGroup
		for m := range masters {
			control := []string{"-o", fmt.Sprintf("ControlPath=%s/%d", dir, m)}
			master := d.Ssh(d.key, "octocat", append([]string{"-M", "-N", "-f"}, control...))
			if got := hosttest.Do(t, master, nil); got.Status != 0 {
				t.Fatalf("connection %d: %+v", m, got)
			}
			for range each {
				workers.Go(func() {
					for n := range next {
						got := hosttest.Do(t, d.Ssh(d.key, "octocat", control, fmt.Sprintf("echo storm-$((%d+0)).", n)), nil)
						if want := fmt.Sprintf("storm-%d.\n", n); got.Stdout != want || got.Status != 0 {
							t.Errorf("session %d: %+v", n, got)
						}
					}
				})
			}
		}
		for n := range sessions {
			next <- n
		}
		close(next)
		workers.Wait()
		d.WaitFor("an empty spool", func() (string, bool) {
			left := append(d.Glob("/var/spool/castgate/live/*"), d.Glob("/var/spool/castgate/incoming/*")...)
			return strings.Join(left, "\n"), len(left) == 0
		})
		all := d.Sh("find " + archive + " -name '*.cast.zst' -exec zstd -dc {} +")
		seen := map[string]bool{}
		for _, word := range regexp.MustCompile(`storm-\d+\.`).FindAllString(all, -1) {
			seen[word] = true
		}
		if len(seen) != sessions {
			t.Errorf("%d of %d sessions are in the archive", len(seen), sessions)
		}
		d.Run("systemctl", "is-active", "castgate-upload.path", "castgate-upload.timer")
		if out := d.Run("systemctl", "list-units", "--failed", "--no-legend"); strings.TrimSpace(out) != "" {
			t.Errorf("failed units:\n%s", out)
		}
	})
}
