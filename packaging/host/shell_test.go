// SPDX-License-Identifier: AGPL-3.0-or-later

package host_test

import (
	"strings"
	"testing"

	"castgate/packaging/hosttest"
)

// everything that castgate enable may change, as one text.
const everything = sshFiles + "; cat /etc/passwd; sha256sum /etc/castgate/*.yaml; ls /etc/castgate"

// The recorder is the login shell of who gets in, and nobody notices: what does
// not come through sshd runs their own shell.
func TestLoginShell(t *testing.T) {
	suites(t, func(t *testing.T, suite string) {
		d := closedDoor(t, suite, built(t, "new"))
		d.Sh("usermod -s /bin/dash octocat; useradd -m -s /usr/sbin/nologin closed")
		before := d.Sh(everything)
		out := d.Run("castgate", "enable", "-yes")
		for _, want := range []string{"login shell of octocat: /bin/dash -> /usr/bin/castgate-wrap", `+  "octocat": "/bin/dash"`} {
			if !strings.Contains(out, want) {
				t.Errorf("enable does not say %q:\n%s", want, out)
			}
		}
		if got := d.Sh("getent passwd octocat root closed | cut -d: -f7"); got != "/usr/bin/castgate-wrap\n/bin/bash\n/usr/sbin/nologin\n" {
			t.Errorf("shells: %s", got)
		}
		d.step("over SSH", d.testOverSSH)
		d.step("not over SSH", d.testNotOverSSH)
		d.step("made later", d.testMadeLater)
		d.Run("castgate", "disable", "-yes")
		if after := d.Sh("userdel -r later 2>/dev/null; " + everything); after != before {
			t.Errorf("disable leaves\n%s\nof\n%s", after, before)
		}
		if out, err := d.Try("castgate", "disable", "-yes"); err == nil || !strings.Contains(out, "is not enabled") {
			t.Errorf("disable again: %s", out)
		}
	})
}

func (d *door) testOverSSH(t *testing.T) { d.testOverSSHAs(t, "/bin/dash") }

func (d *door) testOverSSHAs(t *testing.T, shell string) {
	got := hosttest.Do(t, d.Ssh(d.key, "octocat", nil, "echo $0 $SHELL $HOME ${CASTGATE_SESSION:+recorded}; exit 5"), nil)
	want := shell + " /home/octocat recorded"
	if got.Status != 5 || !strings.Contains(got.Stdout, want) {
		t.Errorf("got %+v", got)
	}
	manifest := d.Read(d.find(want))
	if strings.Contains(manifest, `"before"`) {
		t.Errorf("a shell ran before the recorder:\n%s", manifest)
	}
	if !strings.Contains(manifest, d.key.Fingerprint) {
		t.Errorf("the hook is off: the recording does not say which key it was\n%s", manifest)
	}
}

// testNotOverSSH: su, cron, systemd, sudo and chsh.
func (d *door) testNotOverSSH(t *testing.T) {
	for command, want := range map[string]string{
		"su - octocat -c 'echo $SHELL $0 ${CASTGATE_SESSION-plain}; exit 4'; echo $?":              "/bin/dash -dash plain\n4\n",
		"su octocat -c 'echo $SHELL ${CASTGATE_SESSION-plain}'":                                    "/bin/dash plain\n",
		"printf 'echo $SHELL; exit 3\n' | su - octocat; echo $?":                                   "/bin/dash\n3\n",
		"SSH_CONNECTION= su - octocat -c 'echo $SHELL'":                                            "/bin/dash\n",
		"systemd-run --quiet --pipe --wait -p User=octocat /bin/sh -c 'echo ran'":                  "ran\n",
		"systemd-run --quiet --pipe --wait -p User=octocat -p PAMName=login /bin/sh -c 'echo ran'": "ran\n",
		"runuser -u octocat -- sh -c 'echo ran'; runuser -l octocat -c 'echo $SHELL'":              "ran\n/bin/dash\n",
		"su - octocat -c 'chsh -s /bin/bash </dev/null' 2>&1 | grep -c 'may not change'":           "1\n",
	} {
		if got := d.Sh(command); got != want {
			t.Errorf("%s: %q, want %q", command, got, want)
		}
	}
}

// testMadeLater: check finds an account that was made afterwards, and enable
// takes it in.
func (d *door) testMadeLater(t *testing.T) {
	d.Sh("useradd -m -s /bin/bash -G castgate-people later")
	out, err := d.Try("castgate", "check")
	if err == nil || !strings.Contains(out, "FAIL nothing of the account's runs before the recorder") || !strings.Contains(out, "later") {
		t.Errorf("%v\n%s", err, out)
	}
	d.Run("castgate", "enable", "-yes")
	if got := d.Sh("getent passwd later | cut -d: -f7"); got != "/usr/bin/castgate-wrap\n" {
		t.Errorf("shell %s", got)
	}
	if bad := d.check(); len(bad) > 0 {
		t.Errorf("check says %+v", bad)
	}
}

// A host that an earlier castgate has enabled, with ForceCommand alone: the
// upgrade takes root's way in from nobody, and castgate enable does the rest.
func TestUpgradeFromForceCommandAlone(t *testing.T) {
	eachDoor(t, func(t *testing.T, d *door) {
		d.Sh("usermod -s /bin/bash octocat; sed -i '/ExposeAuthInfo/d' " + dropIn + "; sed -i /session-hook/d /etc/pam.d/sshd; sed -i '/^shells:/,$d' /etc/castgate/wrap.yaml")
		bound := hosttest.NewKey(t, "ed25519")
		d.Sh("echo 'command=\"echo only-this\" " + bound.Line + "' >>/root/.ssh/authorized_keys")
		d.reload()
		if got := hosttest.Do(t, d.Ssh(d.root, "root", nil, "true"), nil); got.Status != 254 {
			t.Errorf("before: %+v", got)
		}
		if said := install(d.Host, built(t, "new")); !strings.Contains(said, "castgate enable") {
			t.Errorf("the upgrade does not say what to do: %s", said)
		}
		d.listens()
		for key, want := range map[*hosttest.Key]hosttest.Result{d.root: {Stdout: "root\n", Status: 3}, bound: {Stdout: "only-this\n"}} {
			if got := hosttest.Do(t, d.Ssh(key, "root", nil, "id -un; exit 3"), nil); got.Stdout != want.Stdout || got.Status != want.Status {
				t.Errorf("after: %+v, want %+v", got, want)
			}
		}
		if out, err := d.Try("castgate", "check"); err == nil || !strings.Contains(out, "castgate enable makes the recorder their login shell") {
			t.Errorf("%v\n%s", err, out)
		}
		d.Run("castgate", "enable", "-yes")
		if bad := d.check(); len(bad) > 0 {
			t.Errorf("check says %+v", bad)
		}
		d.testOverSSHAs(t, "/bin/bash")
	})
}

// Where systemd listens for sshd itself, its units must not open what sshd's
// own port keeps shut: somebody who left, by a file of their own.
func TestLocalSocket(t *testing.T) {
	eachDoor(t, func(t *testing.T, d *door) {
		if out := d.Run("castgate", "check", "-v"); !strings.Contains(out, "ok   systemd's own sockets for sshd") {
			t.Errorf("check says\n%s", out)
		}
		if _, err := d.Try("grep", "-q", "AuthorizedKeysFile", "/run/systemd/generator/sshd-unix-local@.service"); err != nil {
			return // this systemd gives sshd no file: there is nothing to close
		}
		d.Sh("ssh-keygen -q -t ed25519 -N '' -f /root/own; install -d -o stranger -m 700 /home/stranger/.ssh; install -o stranger -m 600 /root/own.pub /home/stranger/.ssh/authorized_keys")
		login := "ssh -F none -i /root/own -o IdentitiesOnly=yes -o BatchMode=yes -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o ProxyUseFdpass=yes -o 'ProxyCommand=/usr/lib/systemd/systemd-ssh-proxy unix/run/ssh-unix-local/socket 22' stranger@local true"
		if out, err := d.Try("sh", "-c", login); err == nil || !strings.Contains(out, "Permission denied") {
			t.Errorf("a file of their own opens the account: %v\n%s", err, out)
		}
		d.Run("castgate", "disable", "-yes")
		if out, err := d.Try("sh", "-c", login); err != nil {
			t.Errorf("the way this test tries does not work at all: %v\n%s", err, out)
		}
	})
}
