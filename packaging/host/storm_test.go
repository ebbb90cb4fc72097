// SPDX-License-Identifier: AGPL-3.0-or-later

package host_test

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"sync"
	"testing"
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
			// No pipes: -f leaves a process behind that would hold them open.
			if err := master.Run(); err != nil {
				t.Fatalf("connection %d: %v", m, err)
			}
			for range each {
				workers.Go(func() {
					for n := range next {
						// To a file, not a pipe: the shared connection's process has
						// it open, too, and lets go of it when it has time.
						name := fmt.Sprintf("%s/out-%d", dir, n)
						out, err := os.Create(name)
						if err != nil {
							t.Error(err)
							continue
						}
						cmd := d.Ssh(d.key, "octocat", control, fmt.Sprintf("echo storm-$((%d+0)).", n))
						cmd.Stdout = out
						err = cmd.Run()
						out.Close()
						text, _ := os.ReadFile(name)
						if want := fmt.Sprintf("storm-%d.\n", n); string(text) != want || err != nil {
							t.Errorf("session %d: %q, %v", n, text, err)
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
