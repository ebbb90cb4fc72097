// SPDX-License-Identifier: AGPL-3.0-or-later

package host_test

import (
	"os"
	"strings"
	"testing"

	"castgate/packaging/hosttest"
	"castgate/packaging/restrictions"
)

// enabledDoor is the door as castgate enable leaves it, for the table of
// restrictions.
type enabledDoor struct{ *door }

func (d enabledDoor) Write(name, text string, mode os.FileMode) { d.Host.Write(name, text, mode) }

func (d enabledDoor) Configure(lines string) {
	d.Sh("rm -f /etc/ssh/sshd_config.d/05-trial.conf /etc/ssh/sshd_config.d/50-trial.conf")
	name := "/etc/ssh/sshd_config.d/05-trial.conf"
	if strings.HasPrefix(lines, "Match") {
		name = "/etc/ssh/sshd_config.d/50-trial.conf"
	}
	d.Host.Write(name, lines+"\n", 0o644)
	d.Run("systemctl", "reset-failed", "ssh") // one restart for each row is more than systemd's own limit
	d.reload()
}

// What a key of root's was restricted to before castgate is enabled holds
// afterwards, with this Debian's sshd.
func TestRestrictedKeys(t *testing.T) {
	eachDoor(t, func(t *testing.T, d *door) {
		restrictions.Try(t, func(t *testing.T) restrictions.Host {
			d.t = t
			d.Use(t)
			return enabledDoor{d}
		})
	})
}

// What castgate could not hold to is refused before anything is changed, and
// the keys and files are named.
func TestEnableRefusesToWiden(t *testing.T) {
	suites(t, func(t *testing.T, suite string) {
		d := closedDoor(t, suite, built(t, "new"))
		d.Sh("useradd -m -s /bin/bash backup0; install -d -o backup0 -m 700 /home/backup0/.ssh; cp -p /root/.ssh/authorized_keys /root/ak")
		key := hosttest.NewKey(t, "ed25519").Line
		const conf = "/etc/ssh/sshd_config.d/50-site.conf"
		for name, tt := range map[string]struct{ do, want string }{
			"one key, two lines":           {"echo 'command=\"x\" " + key + "' >>/root/.ssh/authorized_keys; echo '" + key + "' >>/root/.ssh/authorized_keys", "/root/.ssh/authorized_keys:2"},
			"another program's keys":       {"printf 'Match User backup0\\nAuthorizedKeysCommand /bin/true\\nAuthorizedKeysCommandUser nobody\\n' >" + conf, "/bin/true"},
			"certificates' principals":     {"printf 'TrustedUserCAKeys /etc/ssh/ssh_host_ed25519_key.pub\\nAuthorizedPrincipalsFile /etc/ssh/p\\n' >" + conf + "; echo 'command=\"x\" root' >/etc/ssh/p", "/etc/ssh/p"},
			"a forced command of the site": {"echo 'ForceCommand /bin/false' >" + conf, "/bin/false"},
		} {
			d.step(name, func(t *testing.T) {
				before := d.Sh(everything)
				d.Sh(tt.do)
				changed := d.Sh(everything)
				out, err := d.Try("castgate", "enable", "-yes")
				if err == nil || !strings.Contains(out, tt.want) || !strings.Contains(out, "hint: ") {
					t.Errorf("%v\n%s", err, out)
				}
				if after := d.Sh(everything); after != changed {
					t.Errorf("something was changed:\n%s\n%s", changed, after)
				}
				d.Sh("rm -f " + conf + "; cp -p /root/ak /root/.ssh/authorized_keys")
				if after := d.Sh(everything); after != before {
					t.Fatalf("not put back: %s", after)
				}
			})
		}
		// What is narrower stays so.
		d.Sh("printf 'SetEnv TMOUT=600\\nUnusedConnectionTimeout 5\\nMatch User root\\nAuthorizedKeysFile /etc/ssh/root_keys\\n' >" + conf + "; cp /root/.ssh/authorized_keys /etc/ssh/root_keys; : >/root/.ssh/authorized_keys")
		d.reload()
		d.Run("castgate", "enable", "-yes")
		if got := hosttest.Do(t, d.Ssh(d.root, "root", nil, "echo $TMOUT"), nil); got.Stdout != "600\n" {
			t.Errorf("got %+v", got)
		}
		if out := d.Sh("sshd -T -C user=root | grep -i -e authorizedkeysfile -e unusedconnection"); !strings.Contains(out, "/etc/ssh/root_keys") || strings.Contains(out, ".ssh") || !strings.Contains(strings.ToLower(out), "timeout 5") {
			t.Errorf("got %s", out)
		}
	})
}
