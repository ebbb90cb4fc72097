// SPDX-License-Identifier: AGPL-3.0-or-later

package host_test

import (
	"strings"
	"testing"

	"castgate/packaging/host"
	"castgate/packaging/hosttest"
)

func suites() []string { return host.Suites() }

// everything that castgate enable may change, as one text.
const everything = sshFiles + "; cat /etc/passwd; sha256sum /etc/castgate/*.yaml; ls /etc/castgate"

// The recorder is the login shell of who gets in, and nobody notices: what does
// not come through sshd runs their own shell.
func TestLoginShell(t *testing.T) {
	for _, suite := range suites() {
		t.Run(suite, func(t *testing.T) {
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
			if again := d.Run("castgate", "enable", "-yes"); !strings.Contains(again, "already enabled") {
				t.Errorf("a second time: %s", again)
			}
			d.Run("castgate", "disable", "-yes")
			if after := d.Sh("userdel -r later 2>/dev/null; " + everything); after != before {
				t.Errorf("disable leaves\n%s\nof\n%s", after, before)
			}
			if out := d.Run("castgate", "disable", "-yes"); !strings.Contains(out, "is not enabled") {
				t.Errorf("disable again: %s", out)
			}
		})
	}
}

func (d *door) testOverSSH(t *testing.T) {
	got := hosttest.Do(t, d.Ssh(d.key, "octocat", nil, "echo $0 $SHELL $HOME ${CASTGATE_SESSION:+recorded}; exit 5"), nil)
	if want := "/bin/dash /home/octocat recorded"; got.Status != 5 || !strings.Contains(got.Stdout, want) || !strings.Contains(got.Stdout, "dash") {
		t.Errorf("got %+v", got)
	}
	manifest := d.Read(d.find("/bin/dash /home/octocat recorded"))
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
