// SPDX-License-Identifier: AGPL-3.0-or-later

package e2e_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"castgate/packaging/hosttest"
)

const (
	ownSpool = "/home/" + account + "/spool"
	audit    = "cat /proc/self/sessionid; echo; tty | tr -d 0-9; exit 4"
)

// hosts are those where something is not as Debian has it.
var hosts = []struct {
	name, sshd, wrap string
	before, after    string // scripts of root's
	guard            bool
	audit            bool   // sshd gives the session a number of its own
	mode             string // of the recorder
}{
	{name: "a guard beside the recorder", guard: true, audit: true, mode: "setgid"},
	{name: "no audit session id: UsePAM no", sshd: "UsePAM no", guard: true, mode: "setgid"},
	{
		name: "no audit session id: no pam_loginuid", mode: "setgid", guard: true,
		before: "sed -i.away '/pam_loginuid/d' /etc/pam.d/sshd", after: "mv /etc/pam.d/sshd.away /etc/pam.d/sshd",
	},
	{
		name: "nosuid mount, plain: yes", audit: true, mode: "plain", wrap: "plain: yes\nspool: " + ownSpool + "\n",
		before: "mount --bind " + recorder + " " + recorder + " && mount -o remount,bind,nosuid " + recorder + " && install -d -o " + account + " " + ownSpool + "/live " + ownSpool + "/incoming " + ownSpool + "/bad",
		after:  "umount " + recorder,
	},
}

func TestOddHostsAreTheSameEveryWay(t *testing.T) {
	m := newMatrix(t)
	found := table{part: "5-hosts", title: "Odd hosts"}
	for _, h := range hosts {
		t.Run(h.name, func(t *testing.T) {
			m.t = t
			m.as("/bin/bash")
			hosttest.Config(t, "wrap", "notice: \"\"\nshells: {"+account+": /bin/bash}\n"+h.wrap)
			if h.guard {
				hosttest.StartGuard(t)
			}
			if h.before != "" {
				hosttest.Run(t, "sh", "-ec", h.before)
				defer hosttest.Run(t, "sh", "-ec", h.after)
			}
			m.listen(t, h.sshd)
			l := line{what: h.name}
			var plain string
			for i, w := range m.ways[:3] {
				forget(t)
				shown := ""
				for _, options := range [][]string{{"-T"}, {"-tt"}} {
					got := hosttest.Do(t, m.ssh(w, options, audit), nil)
					if w.recorded {
						rec := lastRecording(t, h.mode)
						if string(rec.output) != got.Stdout+got.Stderr || rec.exit != "4" || rec.header.Session.Mode != h.mode {
							t.Errorf("%s: %s; recorded %q, exit %q, mode %s", w.name, show(got), rec.output, rec.exit, rec.header.Session.Mode)
						}
					}
					id, rest, _ := strings.Cut(got.Stdout, "\n")
					if own := strings.TrimSpace(id) != ours(t); own != h.audit {
						t.Errorf("%s: audit session %q", w.name, id)
					}
					got.Stdout = rest
					shown += show(got)
				}
				if i == 0 {
					plain = shown
				}
				if shown != plain || !strings.Contains(shown, "/dev/pts/") {
					t.Errorf("%s: %s\nplain: %s", w.name, shown, plain)
				}
				l.add(i, shown == plain, "")
			}
			found.add(l)
		})
	}
	found.hold(t)
}

// ours is the audit session of this test, which sshd hands down where it makes
// no other.
func ours(t *testing.T) string {
	t.Helper()
	id, err := os.ReadFile("/proc/self/sessionid")
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(id))
}

// lastRecording waits for the only recording, in the spool of that mode, and
// removes it.
func lastRecording(t *testing.T, mode string) recording {
	t.Helper()
	if mode != "plain" {
		return finished(t, 1)[0]
	}
	var made []string
	hosttest.WaitFor(t, "the recording", func() bool {
		made, _ = filepath.Glob(ownSpool + "/incoming/*.cast")
		return len(made) == 1
	})
	rec := readRecording(t, made[0])
	if err := os.Remove(made[0]); err != nil {
		t.Fatal(err)
	}
	return rec
}
