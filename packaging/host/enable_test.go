// SPDX-License-Identifier: AGPL-3.0-or-later

package host_test

import (
	"errors"
	"os/exec"
	"strings"
	"testing"

	"castgate/packaging/hosttest"
)

// Statuses of castgate enable and disable.
const (
	changed   = 0
	takenBack = 1
	unchanged = 3
	refused   = 4
)

// enable runs castgate enable, with what stands before and after it.
func (d *door) enable(before, flags string) (out string, status int) {
	d.t.Helper()
	out, err := d.Try("sh", "-c", before+" castgate enable "+flags+" </dev/null")
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return out, exit.ExitCode()
	}
	return out, 0
}

const (
	strangersKey = "install -d -o stranger -m 700 /home/stranger/.ssh; cp /root/.ssh/authorized_keys /home/stranger/.ssh/; chown stranger /home/stranger/.ssh/authorized_keys"
	unitOption   = "mkdir -p /etc/systemd/system/ssh.service.d; printf '[Service]\\nExecStart=\\nExecStart=/usr/sbin/sshd -D -o \"AuthorizedKeysCommand /bin/true %%%%u\" -o \"AuthorizedKeysCommandUser root\"\\n' >/etc/systemd/system/ssh.service.d/x.conf; systemctl daemon-reload; systemctl restart ssh"
)

// A door that would not open, or would not be castgate's, is not put in: the
// reason is named, the status is its own, and nothing has changed.
func TestEnableProvesTheDoor(t *testing.T) {
	suites(t, func(t *testing.T, suite string) {
		d := closedDoor(t, suite, built(t, "new"))
		d.Sh(strangersKey + "; cp -p /etc/pam.d/sshd /root/pam; cp -p /etc/ssh/sshd_config /root/; echo /bin/rbash >>/etc/shells")
		before := d.Sh(everything)
		for _, tt := range []struct {
			name, do, as, flags string
			status              int
			want                []string
			undo                string
		}{
			// not in force
			{"no Include", "sed -i 's/^Include/#Include/' /etc/ssh/sshd_config", "", "-yes", refused, []string{"does not include", "hint: "}, "cp -p /root/sshd_config /etc/ssh/"},
			{"an earlier ForceCommand", early("ForceCommand /bin/false"), "", "-yes", refused, []string{"forcecommand", "05-other.conf:1"}, noEarly},
			{"an earlier SetEnv", early("SetEnv A=b"), "", "-yes", refused, []string{"setenv", "05-other.conf:1", "sorts after"}, noEarly},
			{"an earlier AuthorizedKeysFile", early("AuthorizedKeysFile .ssh/authorized_keys"), "", "-yes", refused, []string{"authorizedkeysfile", "05-other.conf:1"}, noEarly},
			{"an option of the unit", unitOption, "", "-yes", refused, []string{"authorizedkeyscommand", "sshd's command line", "systemctl cat ssh"}, "rm -r /etc/systemd/system/ssh.service.d; systemctl daemon-reload; systemctl restart ssh"},
			{"nobody listens", "systemctl stop ssh", "", "-yes", takenBack, []string{"no sshd listens"}, "systemctl start ssh"},
			// nobody gets in
			{"GitHub away, and nothing known", "systemctl stop github" + forget, "", "-yes", refused, []string{"castgate-keys opens no account", "-force"}, "systemctl start github" + forget + "; timeout 20 bash -c 'until (exec 3<>/dev/tcp/127.0.0.1/9999) 2>/dev/null; do sleep 0.1; done'; systemctl start castgate-keys-refresh.service"},
			{"who is here", "true", "SUDO_USER=stranger", "-yes", refused, []string{"stranger, who is here, would not get in"}, "true"},
			{"nothing without GitHub", "mv /root/.ssh/authorized_keys /root/", "", "-yes", refused, []string{"nobody could get in without GitHub"}, "mv /root/authorized_keys /root/.ssh/"},
			{"refused, with -dry-run", "true", "SUDO_USER=stranger", "-dry-run", refused, []string{"stranger, who is here"}, "true"},
			{"what would be, with -dry-run", "true", "", "-dry-run", changed, []string{"+ForceCommand", "octocat: 1 person by GitHub (octocat)", "root: 1 key in /root/.ssh/authorized_keys", "stranger: 1 key in /home/stranger/.ssh/authorized_keys; nothing opens it then"}, "true"},
			// a trial that fails names the cause
			{"AllowUsers", early("AllowUsers root"), "", "-yes -force -user octocat", takenBack, []string{"AllowUsers does not name it"}, noEarly},
			{"DenyGroups", early("DenyGroups octocat"), "", "-yes -force -user octocat", takenBack, []string{"DenyGroups names a group of it"}, noEarly},
			{"expired", "chage -E 1 octocat", "", "-yes", takenBack, []string{"expired"}, "chage -E -1 octocat"},
			{"locked", early("UsePAM no"), "", "-yes", takenBack, []string{"usermod -p '*' octocat"}, noEarly},
			{"PAM's account stack", "sed -i '1iaccount required pam_deny.so' /etc/pam.d/sshd", "", "-yes", takenBack, []string{"PAM's account stack"}, "cat /root/pam >/etc/pam.d/sshd"},
			{"a shell that runs nothing by its path", "usermod -s /bin/rbash root", "", "-yes -user root", takenBack, []string{"/bin/rbash runs no program by its path"}, "usermod -s /bin/bash root"},
			{"no root", early("PermitRootLogin no"), "", "-yes -force -user root", takenBack, []string{"PermitRootLogin no"}, noEarly},
		} {
			d.step(tt.name, func(t *testing.T) {
				d.Sh("{ " + tt.do + "; } 2>&1")
				out, status := d.enable(tt.as, tt.flags)
				d.Sh("{ " + tt.undo + "; } 2>&1")
				for _, want := range tt.want {
					if !strings.Contains(out, want) {
						t.Errorf("does not say %q", want)
					}
				}
				if status != tt.status {
					t.Errorf("status %d, want %d", status, tt.status)
				}
				if t.Failed() {
					t.Log(out)
				}
				if after := d.Sh(everything); after != before {
					t.Fatalf("changed:\n%s\n%s", before, after)
				}
				d.listens()
			})
		}
	})
}

// Hosts that are no ordinary ones, and are enabled all the same.
func TestEnableOnOddHosts(t *testing.T) {
	t.Run("more than a key", func(t *testing.T) {
		suites(t, func(t *testing.T, suite string) {
			d := closedDoor(t, suite, built(t, "new"))
			d.Sh(early("AuthenticationMethods publickey,keyboard-interactive:pam\\nKbdInteractiveAuthentication yes"))
			d.reload()
			out, status := d.enable("", "-yes")
			if status != changed || !strings.Contains(out, "its key is accepted; sshd asks for more") || !strings.Contains(out, "were not tried") {
				t.Errorf("status %d\n%s", status, out)
			}
		})
	})
	t.Run("a socket with its own port", func(t *testing.T) {
		suites(t, func(t *testing.T, suite string) {
			d := closedDoor(t, suite, built(t, "new"))
			d.Sh("systemctl disable --now ssh.service 2>/dev/null; mkdir -p /etc/systemd/system/ssh.socket.d; printf '[Socket]\\nListenStream=\\nListenStream=2222\\n' >/etc/systemd/system/ssh.socket.d/x.conf; systemctl daemon-reload; systemctl start ssh.socket")
			out, status := d.enable("", "-yes")
			if status != changed || strings.Count(out, ":2222\n") != 2 {
				t.Errorf("status %d\n%s", status, out)
			}
			got := hosttest.Do(t, d.Ssh(d.key, "octocat", []string{"-p", "2222"}, "echo on-the-socket"), nil)
			if got.Stdout != "on-the-socket\n" {
				t.Errorf("got %+v", got)
			}
			d.find("on-the-socket")
		})
	})
	t.Run("a reader that goes, and a umask", func(t *testing.T) {
		suites(t, func(t *testing.T, suite string) {
			d := closedDoor(t, suite, built(t, "new"))
			// sed ends in the midst of the change.
			d.Sh("umask 077; castgate enable -yes 2>&1 </dev/null | sed /beside/q")
			if left := d.Sh("ls -d /run/castgate/trial /run/castgate-trial-* 2>/dev/null || true"); left != "" {
				t.Errorf("left: %s", left)
			}
			if out, status := d.enable("", "-yes"); status != unchanged {
				t.Errorf("it was not carried through: status %d\n%s", status, out)
			}
		})
	})
	t.Run("the image of a host to be", func(t *testing.T) {
		suites(t, func(t *testing.T, suite string) {
			d := closedDoor(t, suite, built(t, "new"))
			d.Sh("userdel -r octocat; userdel -r stranger; rm /root/.ssh/authorized_keys; systemctl stop ssh github" + forget)
			if out, status := d.enable("", "-yes"); status != refused {
				t.Errorf("nobody gets in, and it is enabled: status %d\n%s", status, out)
			}
			out, status := d.enable("", `-yes -no-trial "golden image"`)
			if status != changed || !strings.Contains(out, "no trial login: golden image") {
				t.Errorf("status %d\n%s", status, out)
			}
			if note := d.Read("/etc/castgate/enabled"); !strings.Contains(note, `trial: none: "golden image"`) {
				t.Errorf("the reason is not on record: %s", note)
			}
			d.WaitFor("the reason in the journal", func() (string, bool) { // which takes a moment
				log := d.Sh("journalctl --no-pager -t castgate")
				return log, strings.Contains(log, "golden image")
			})
		})
	})
}

// What somebody has added to the drop-in is not taken out unasked; "already
// enabled" is said of an sshd that has read it.
func TestEnableAgain(t *testing.T) {
	eachDoor(t, func(t *testing.T, d *door) {
		for _, flags := range []string{"-yes", "-dry-run"} {
			if out, status := d.enable("", flags); status != unchanged || !strings.Contains(out, "already enabled") {
				t.Errorf("%s: status %d\n%s", flags, status, out)
			}
		}
		d.Sh("sed -i 's/^ClientAliveInterval 15/ClientAliveInterval 20\\nBanner none/' " + dropIn)
		out, status := d.enable("", "-yes")
		if status != refused || !strings.Contains(out, "ClientAliveInterval 20, Banner none") || !strings.Contains(d.Read(dropIn), "Banner none") {
			t.Errorf("status %d\n%s", status, out)
		}
		if out, status := d.enable("", "-yes -force"); status != changed || strings.Contains(d.Read(dropIn), "Banner none") {
			t.Errorf("-force: status %d\n%s", status, out)
		}
		// The files are right, and the sshd that runs has never read them.
		d.Sh("mv " + dropIn + " /root/x")
		d.reload()
		d.Sh("mv /root/x " + dropIn)
		if out, status := d.enable("", "-yes"); status != changed || !strings.Contains(out, "not in force") {
			t.Errorf("not read: status %d\n%s", status, out)
		}
		if got := hosttest.Do(t, d.Ssh(d.key, "octocat", nil, "echo in-force-again"), nil); got.Stdout != "in-force-again\n" {
			t.Errorf("got %+v", got)
		}
		d.find("in-force-again")
	})
}
