// SPDX-License-Identifier: AGPL-3.0-or-later

package host_test

import (
	"os"
	"strings"
	"testing"
)

// configurations are those of real servers, tried on a host where castgate is
// enabled. docs/hosts.md has a row of each, as this test finds it.
var configurations = []struct{ name, do, undo string }{
	{"Debian as it comes", "true", "true"},
	{"other ports and addresses (`Port 22`, `Port 2222`, `ListenAddress`)", early("Port 22\\nPort 2222\\nListenAddress 0.0.0.0") + "; systemctl restart ssh", noEarly + "; systemctl restart ssh"},
	{"`ssh.socket` with a port of its own", "systemctl stop ssh.service; mkdir -p /etc/systemd/system/ssh.socket.d; printf '[Socket]\\nListenStream=\\nListenStream=2222\\n' >/etc/systemd/system/ssh.socket.d/x.conf; systemctl daemon-reload; systemctl start ssh.socket", "systemctl stop ssh.socket; rm -r /etc/systemd/system/ssh.socket.d; systemctl daemon-reload; systemctl restart ssh.service"},
	{"systemd's `20-systemd-userdb.conf`", "printf 'AuthorizedKeysCommand /usr/bin/userdbctl ssh-authorized-keys %%u\\nAuthorizedKeysCommandUser root\\n' >/etc/ssh/sshd_config.d/20-systemd-userdb.conf", "rm /etc/ssh/sshd_config.d/20-systemd-userdb.conf"},
	{"cloud-init's `50-cloud-init.conf` (`PasswordAuthentication yes`), and somebody has a password", "echo 'PasswordAuthentication yes' >/etc/ssh/sshd_config.d/50-cloud-init.conf; echo octocat:known | chpasswd", "rm /etc/ssh/sshd_config.d/50-cloud-init.conf; usermod -p '!' octocat"},
	{"EC2 Instance Connect (`-o AuthorizedKeysCommand` in the unit's arguments)", unitOption, "rm -r /etc/systemd/system/ssh.service.d; systemctl daemon-reload; systemctl restart ssh"},
	{"`sshd_config` without `Include`", "sed -i 's/^Include/#Include/' /etc/ssh/sshd_config", "sed -i 's/^#Include/Include/' /etc/ssh/sshd_config"},
	{"an earlier drop-in with `ForceCommand`", early("ForceCommand /bin/false"), noEarly},
	{"an earlier drop-in with `SetEnv`", early("SetEnv TMOUT=600"), noEarly},
	{"an earlier drop-in with `AuthorizedKeysFile`", early("AuthorizedKeysFile .ssh/authorized_keys"), noEarly},
	{"`Match Address` above castgate's lines", early("Match Address 10.0.0.0/8\\nForceCommand /bin/bash\\nMatch all"), noEarly},
	{"a chrooted account for sftp alone (`Match`, `internal-sftp`, nologin), with a password", "useradd -M -s /usr/sbin/nologin dropbox; echo dropbox:known | chpasswd; printf 'Match User dropbox\\nPasswordAuthentication yes\\nForceCommand internal-sftp\\nChrootDirectory /srv\\n' >/etc/ssh/sshd_config.d/50-sftp.conf", "rm /etc/ssh/sshd_config.d/50-sftp.conf; userdel dropbox"},
	{"keys in root's files for others (`AuthorizedKeysFile /etc/ssh/ak/%u`)", early("AuthorizedKeysFile /etc/ssh/ak/%u") + "; install -d /etc/ssh/ak; cp /root/.ssh/authorized_keys /etc/ssh/ak/octocat", noEarly + "; rm -r /etc/ssh/ak"},
	{"`AuthenticationMethods publickey,keyboard-interactive:pam`", early("AuthenticationMethods publickey,keyboard-interactive:pam\\nKbdInteractiveAuthentication yes"), noEarly},
	{"`AllowUsers` that leaves members out", early("AllowUsers root"), noEarly},
	{"`UsePAM no`", early("UsePAM no"), noEarly},
	{"`/proc` mounted with `hidepid=2`", "mount -o remount,hidepid=2 /proc", "mount -o remount,hidepid=0 /proc"},
	{"`/tmp` mounted `noexec`", "mount -t tmpfs -o noexec,nosuid,mode=1777 tmpfs /tmp", "umount /tmp"},
	{"the spool on a file system of its own", "systemctl stop castgate-upload.path castgate-upload.service; mount -t tmpfs -o size=2g tmpfs /var/spool/castgate; " + tmpfiles + "; systemctl start castgate-upload.path", "systemctl stop castgate-upload.path castgate-upload.service; umount /var/spool/castgate; systemctl start castgate-upload.path"},
	{"a small one", "systemctl stop castgate-upload.path castgate-upload.service; mount -t tmpfs -o size=64m tmpfs /var/spool/castgate; " + tmpfiles + "; systemctl start castgate-upload.path", "systemctl stop castgate-upload.path castgate-upload.service; umount /var/spool/castgate; systemctl start castgate-upload.path"},
}

// row is what check and enable say.
func (d *door) row(name string) string {
	d.t.Helper()
	var found []string
	for _, f := range d.check() {
		found = append(found, f.Level+" "+f.What)
	}
	if found == nil {
		found = []string{"ok"}
	}
	out, status := d.enable("", "-yes -dry-run")
	said := map[int]string{changed: "would change something", unchanged: "nothing to do", refused: "refuses"}[status]
	for line := range strings.Lines(out) {
		if why, complaint := strings.CutPrefix(strings.TrimSpace(line), "castgate: "); complaint && !strings.HasPrefix(why, "hint: ") {
			said += ": " + why
		}
	}
	return "| " + name + " | " + strings.Join(found, "; ") + " | " + said + " |"
}

// The table in the document is what these hosts say.
func TestHostsAreAsDocumented(t *testing.T) {
	text, err := os.ReadFile("../../docs/hosts.md")
	if err != nil {
		t.Fatal(err)
	}
	eachDoor(t, func(t *testing.T, d *door) {
		for _, c := range configurations {
			d.step(c.name, func(t *testing.T) {
				d.Sh("{ " + c.do + "; } 2>&1")
				row := d.row(c.name)
				d.Sh("{ " + c.undo + "; } 2>&1; systemctl reset-failed ssh.service || true")
				if !strings.Contains(string(text), row+"\n") {
					t.Errorf("docs/hosts.md does not say\n%s", row)
				}
			})
		}
		if bad := d.check(); len(bad) > 0 {
			t.Errorf("not put back: %+v", bad)
		}
	})
}

// Nobody needs to ask: what changes shows in the journal, in the metrics and as
// a unit that failed.
func TestWatched(t *testing.T) {
	eachDoor(t, func(t *testing.T, d *door) {
		d.Run("systemctl", "is-active", "castgate-check.timer")
		look := func() (failed string) {
			d.Try("systemctl", "start", "castgate-check.service")
			return d.Run("systemctl", "--failed", "--no-legend", "--plain")
		}
		if failed := look(); strings.Contains(failed, "castgate-check") {
			t.Errorf("a host that is well: %s\n%s", failed, d.Sh("journalctl --no-pager -u castgate-check -t castgate"))
		}
		d.Sh("mv " + dropIn + " /root/")
		if failed := look(); !strings.Contains(failed, "castgate-check.service") {
			t.Errorf("the drop-in is gone, and no unit has failed: %s", failed)
		}
		if log := d.Sh("journalctl --no-pager -t castgate"); !strings.Contains(log, "check: new") || !strings.Contains(log, "castgate in sshd's configuration") {
			t.Errorf("the journal: %s", log)
		}
		if metrics := d.Read("/var/lib/castgate-check/metrics.prom"); strings.Contains(metrics, `{level="fail"} 0`) {
			t.Errorf("the metrics: %s", metrics)
		}
		lines := func() int { return strings.Count(d.Sh("journalctl --no-pager -t castgate"), "check: ") }
		before := lines()
		look()
		if after := lines(); after != before {
			t.Errorf("the same is told again: %d lines, then %d", before, after)
		}
		d.Sh("mv /root/10-castgate.conf " + dropIn)
		if failed := look(); strings.Contains(failed, "castgate-check") {
			t.Errorf("mended, and still failed: %s", failed)
		}
		if log := d.Sh("journalctl --no-pager -t castgate"); !strings.Contains(log, "check: gone") {
			t.Errorf("the journal: %s", log)
		}
	})
}

// An account that only sftp reaches, unrecorded, is never "each recorded": not
// while the log tells, and not when it has stopped telling.
func TestSessionsThatNobodyTells(t *testing.T) {
	eachDoor(t, func(t *testing.T, d *door) {
		d.Sh("useradd -M -s /usr/sbin/nologin dropbox; install -d /etc/ssh/ak /srv; cp /root/.ssh/authorized_keys /etc/ssh/ak/dropbox; printf 'Match User dropbox\\nAuthorizedKeysFile /etc/ssh/ak/%%u\\nForceCommand internal-sftp\\nChrootDirectory /srv\\n' >/etc/ssh/sshd_config.d/50-sftp.conf")
		d.reload()
		upload := func() {
			t.Helper()
			cmd := d.Ssh(d.root, "dropbox", []string{"-s"}, "sftp")
			if err := cmd.Run(); err != nil {
				t.Fatal(err)
			}
		}
		upload()
		if out, err := d.Try("castgate", "check", "-sessions"); err == nil || !strings.Contains(out, `"dropbox" from 198.18.`) || strings.Contains(out, "each recorded") {
			t.Errorf("while the log tells: %v\n%s", err, out)
		}
		d.Sh("rm " + dropIn + "; journalctl --rotate --quiet; journalctl --vacuum-time=1us --quiet 2>/dev/null")
		d.reload()
		upload()
		out, err := d.Try("castgate", "check", "-sessions")
		for _, want := range []string{`can't know whether "dropbox" from 198.18.`, "can't know what was between", "below VERBOSE for"} {
			if err == nil || !strings.Contains(out, want) || strings.Contains(out, "each recorded") {
				t.Errorf("no %q: %v\n%s", want, err, out)
			}
		}
	})
}
