// SPDX-License-Identifier: AGPL-3.0-or-later

package host_test

import (
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"castgate/packaging/host"
	"castgate/packaging/hosttest"
)

// guarded is a booted host with the recorder, the guard's units and the
// session hook, put there by hand: what is tested is how systemd, logind and
// PAM get on with them.
func guarded(t *testing.T, suite string) (*host.Host, *hosttest.Key) {
	t.Helper()
	h := host.New(t, suite)
	dir := t.TempDir()
	cmd := exec.Command("go", "build", "-trimpath", "-buildvcs=false", "-o", dir, "castgate/cmd/castgate-wrap", "castgate/cmd/castgate-guard")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	h.Boot()
	h.Copy("../sysusers/castgate.conf", "/usr/lib/sysusers.d/castgate.conf", 0o644)
	h.Copy("../tmpfiles/castgate.conf", "/usr/lib/tmpfiles.d/castgate.conf", 0o644)
	h.Sh("systemd-sysusers; systemd-tmpfiles --create castgate.conf; mkdir -p /etc/castgate /usr/lib/castgate")
	h.Copy(dir+"/castgate-guard", "/usr/lib/castgate/castgate-guard", 0o755)
	h.Copy(dir+"/castgate-wrap", "/usr/bin/castgate-wrap", 0o755)
	h.Sh("chgrp castgate /usr/bin/castgate-wrap; chmod 2755 /usr/bin/castgate-wrap")
	h.Write("/etc/castgate/wrap.yaml", "leftovers: end\nguard: require\nlimits: {free: 1MiB}\n", 0o644)
	for _, unit := range []string{"castgate-guard.socket", "castgate-guard.service"} {
		h.Copy("../systemd/"+unit, "/usr/lib/systemd/system/"+unit, 0o644)
	}
	h.Copy("../pam/castgate", "/usr/share/pam-configs/castgate", 0o644)
	h.Sh("DEBIAN_FRONTEND=noninteractive pam-auth-update --enable castgate")
	h.Write("/etc/ssh/sshd_config.d/10-castgate.conf", "ForceCommand exec /usr/bin/castgate-wrap\n", 0o644)
	h.Sh("systemctl daemon-reload; systemctl enable --now castgate-guard.socket 2>&1; systemctl restart ssh.service 2>&1")
	h.Sh("useradd --create-home --shell /bin/bash alice")
	key := hosttest.NewKey(t, "ed25519")
	h.Sh("install -d -o alice -m 700 ~alice/.ssh; echo '" + key.Line + "' >~alice/.ssh/authorized_keys; chown alice ~alice/.ssh/authorized_keys")
	return h, key
}

func eachGuarded(t *testing.T, test func(t *testing.T, h *host.Host, key *hosttest.Key)) {
	suites(t, func(t *testing.T, suite string) {
		h, key := guarded(t, suite)
		test(t, h, key)
	})
}

func TestGuardUnderSystemd(t *testing.T) {
	eachGuarded(t, func(t *testing.T, h *host.Host, key *hosttest.Key) {
		if state, _ := h.Try("systemctl", "is-active", "castgate-guard.service"); strings.TrimSpace(state) == "active" {
			t.Error("the guard runs before anybody called")
		}
		h.Sh("echo '" + key.Fingerprint + " octocat 583231' >/var/cache/castgate-keys/logins")
		x := hosttest.StartTerminal(t, h.Ssh(key, "alice", []string{"-tt"}), 80, 24)
		x.Type("(setsid nohup sleep 1002.1 </dev/null >/dev/null 2>&1 &); echo rea''dy\n")
		x.Expect("ready")
		pid := strings.TrimSpace(h.Run("systemctl", "show", "-P", "MainPID", "castgate-guard.service"))
		checkConfined(t, h, pid)
		header := h.Sh("head -n 1 /var/spool/castgate/live/*.cast")
		for _, want := range []string{`"key":"` + key.Fingerprint, `"login":"octocat"`} {
			if !strings.Contains(header, want) {
				t.Errorf("the header has no %s:\n%s", want, header)
			}
		}
		if strings.Contains(header, `"guard":`) {
			t.Errorf("the guard could not do all it does:\n%s", header)
		}
		if out := h.Run("journalctl", "--no-pager", "-u", "castgate-guard"); !strings.Contains(out, "tty_revoked=true") {
			t.Errorf("the terminal was not revoked:\n%s", out)
		}
		x.Resize(100, 30)
		x.Type("stty size\n")
		x.Expect("30 100")
		// The sweep ends what is left, in logind's scope, and nothing of sshd's.
		x.Type("exit 5\n")
		if r := x.Wait(); r.Status != 5 {
			t.Errorf("status %d", r.Status)
		}
		h.WaitFor("the sweep", func() (string, bool) {
			out := h.Run("journalctl", "--no-pager", "-t", "castgate-guard")
			return out, strings.Contains(out, "session ended")
		})
		if out, err := h.Try("pgrep", "-f", "sleep 1002.1"); err == nil {
			t.Errorf("left over: %s", out)
		}
	})
}

// checkConfined holds the running guard to its four capabilities and its unit
// to what systemd thinks of it.
func checkConfined(t *testing.T, h *host.Host, pid string) {
	t.Helper()
	status := h.Run("cat", "/proc/"+pid+"/status")
	for _, want := range []string{"CapPrm:\t0000000004080021", "CapEff:\t0000000000080021", "CapBnd:\t0000000004080021", "CapInh:\t0000000000000000", "NoNewPrivs:\t1", "Seccomp:\t2"} {
		if !strings.Contains(status, want) {
			t.Errorf("the guard's status has no %q:\n%s", want, status)
		}
	}
	out, _ := h.Try("systemd-analyze", "security", "--no-pager", "castgate-guard.service")
	score := regexp.MustCompile(`exposure level for castgate-guard.service: ([0-9.]+)`).FindStringSubmatch(out)
	if score == nil {
		t.Fatalf("systemd-analyze said:\n%s", out)
	}
	const most = 2.0 // 1.6 on Debian 12; four capabilities and the host's processes have their price
	if n, _ := strconv.ParseFloat(score[1], 64); n > most {
		t.Errorf("exposure level %s:\n%s", score[1], out)
	}
	t.Logf("exposure level %s", score[1])
}

// TestGuardUpgradeAndCrash: a session outlives both, the next guard knows it,
// and no number of crashes makes the socket give up.
func TestGuardUpgradeAndCrash(t *testing.T) {
	eachGuarded(t, func(t *testing.T, h *host.Host, key *hosttest.Key) {
		x := hosttest.StartTerminal(t, h.Ssh(key, "alice", []string{"-tt"}), 80, 24)
		x.Type("echo rea''dy\n")
		x.Expect("ready")
		back := 0
		for _, end := range [][]string{
			{"systemctl", "restart", "castgate-guard.service"},
			{"systemctl", "kill", "--kill-whom=main", "--signal=KILL", "castgate-guard.service"},
		} {
			h.Run(end...)
			back++
			h.WaitFor("the session to call again", func() (string, bool) {
				out := h.Run("journalctl", "--no-pager", "-u", "castgate-guard")
				return out, strings.Count(out, "guard back") >= back
			})
		}
		x.Type("echo still''there; exit 6\n")
		x.Expect("stillthere")
		if r := x.Wait(); r.Status != 6 {
			t.Errorf("status %d", r.Status)
		}
		h.Sh("mv /usr/lib/castgate/castgate-guard /usr/lib/castgate/away; systemctl stop castgate-guard.service; for i in $(seq 30); do " +
			"runuser -u alice -- castgate-wrap -c true; done >/dev/null 2>&1; mv /usr/lib/castgate/away /usr/lib/castgate/castgate-guard")
		h.WaitFor("the guard to be back", func() (string, bool) {
			r := hosttest.Do(t, h.Ssh(key, "alice", nil, "echo in"), nil)
			return r.Stdout + r.Stderr, r.Stdout == "in\n"
		})
	})
}
