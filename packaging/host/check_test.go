// SPDX-License-Identifier: AGPL-3.0-or-later

package host_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"castgate/packaging/hosttest"
)

// finding is a line of castgate check -json.
type finding struct{ Level, What, Why, Fix string }

// check runs castgate check and returns what is not ok.
func (d *door) check() []finding {
	d.t.Helper()
	out, err := d.Try("castgate", "check", "-json")
	var all, bad []finding
	if e := json.Unmarshal([]byte(out), &all); e != nil {
		d.t.Fatalf("castgate check -json: %v: %s", e, out)
	}
	failed := false
	for _, f := range all {
		failed = failed || f.Level == "FAIL"
		if f.Level != "ok" {
			bad = append(bad, f)
		}
	}
	if len(all) < 20 || failed != (err != nil) {
		d.t.Errorf("%d findings, failed %v, but %v", len(all), failed, err)
	}
	return bad
}

// breakage is a way to break a healthy host, the words of the one line that
// must say so, and the way back.
type breakage struct {
	name string
	do   string
	want []string // of each line that is not ok: its level, and words of it
	undo string
	only string // the distribution whose OpenSSH gets it wrong, "" for every one
}

const (
	dropIn   = "/etc/ssh/sshd_config.d/10-castgate.conf"
	restore  = "cp " + dropIn + ".example " + dropIn
	earlier  = "/etc/ssh/sshd_config.d/05-other.conf"
	noEarly  = "rm " + earlier
	forget   = "; rm -rf /var/cache/castgate-keys/*" // also that GitHub failed a moment ago
	late     = "/var/spool/castgate/incoming/01a200b6-0255-7efd-8b61-3b923d55b0ea.cast"
	tmpfiles = "systemd-tmpfiles --create castgate.conf"
)

// early puts lines into a file that sshd reads first.
func early(lines string) string { return "printf '%b\\n' '" + lines + "' >" + earlier }

// edit changes the drop-in with sed.
func edit(script string) string { return "sed -i '" + script + "' " + dropIn }

var breakages = []breakage{
	// sshd
	{"syntax error", early("NoSuchOption yes"), []string{"FAIL sshd's configuration NoSuchOption"}, noEarly, ""},
	{
		"another keys command first", early("AuthorizedKeysCommand /usr/bin/userdbctl ssh-authorized-keys %u\\nAuthorizedKeysCommandUser root"),
		[]string{"FAIL AuthorizedKeysCommand 05-other.conf:1"},
		noEarly,
		"",
	},
	{"another forced command first", early("ForceCommand /bin/true"), []string{"FAIL every session runs under the recorder 05-other.conf:1"}, noEarly, ""},
	{"another SetEnv first", early("SetEnv FOO=bar"), []string{"FAIL no start-up file SetEnv"}, noEarly, ""},
	{"no exec", edit("s/^ForceCommand exec /ForceCommand /"), []string{"FAIL every session runs under the recorder exec"}, restore, ""},
	{"one account without", early("Match User octocat\\nForceCommand /bin/bash\\nMatch all"), []string{"FAIL every session runs under the recorder octocat"}, noEarly, ""},
	{
		"not included", "sed -i 's/^Include/#Include/' /etc/ssh/sshd_config",
		[]string{
			"FAIL castgate in sshd's configuration Include", "FAIL AuthorizedKeysCommand", "FAIL every session", "FAIL no start-up file", "FAIL forwarding", "FAIL ~/.ssh/rc",
			"warn keys from people's own files", "warn connections without a session", "warn sshd's log",
		},
		"sed -i 's/^#Include/Include/' /etc/ssh/sshd_config",
		"",
	},
	{"unknown token", edit("s/%u %t %k/%u %z/"), []string{"FAIL tokens"}, restore, ""},
	{"no offered key", edit("s/%u %t %k/%u/"), []string{"warn tokens"}, restore, ""},
	{"keys command with a token of 9.4", edit("s/%u %t %k/%u %t %k %C/"), []string{"FAIL tokens %C"}, restore, "bookworm"},
	{
		"principals command below", "printf 'AuthorizedPrincipalsCommand /bin/true\\nAuthorizedPrincipalsCommandUser root\\n' >/etc/ssh/sshd_config.d/50-ca.conf",
		[]string{"FAIL AuthorizedPrincipalsCommand 50-ca.conf:1"},
		"rm /etc/ssh/sshd_config.d/50-ca.conf", "bookworm",
	},
	{"no such user", edit("s/CommandUser castgate-keys/CommandUser nosuchuser/"), []string{"FAIL AuthorizedKeysCommandUser nosuchuser"}, restore, ""},
	{"program others may write", "chmod 0775 /usr/bin/castgate-keys", []string{"FAIL AuthorizedKeysCommandUser castgate-keys", "FAIL owners and modes castgate-keys"}, "chmod 0755 /usr/bin/castgate-keys", ""},
	{"directory others may write", "chmod 0777 /usr/bin", []string{"FAIL AuthorizedKeysCommandUser /usr/bin"}, "chmod 0755 /usr/bin", ""},
	{"forwarding", edit("/^DisableForwarding/d"), []string{"FAIL forwarding"}, restore, ""},
	{"rc", edit("/^PermitUserRC/d"), []string{"FAIL ~/.ssh/rc"}, restore, ""},
	{"environment", edit("s/^PermitUserEnvironment no/PermitUserEnvironment yes/"), []string{"FAIL ~/.ssh/environment"}, restore, ""},
	{"wide AcceptEnv", early("AcceptEnv *"), []string{"FAIL variables that clients may send"}, noEarly, ""},
	{"no PAM", early("UsePAM no"), []string{"warn UsePAM"}, noEarly, ""},
	{"own keys", early("AuthorizedKeysFile .ssh/authorized_keys"), []string{"warn keys from people's own files octocat"}, noEarly, ""},
	{"idle connections", edit("/^UnusedConnectionTimeout/d"), []string{"warn connections without a session"}, restore, ""},
	{"log level", edit("/^LogLevel/d"), []string{"warn sshd's log"}, restore, ""},
	{"no break-glass", "mv /root/.ssh/authorized_keys /root/", []string{"warn a way in without GitHub"}, "mv /root/authorized_keys /root/.ssh/", ""},
	{
		"command line", "mkdir -p /etc/systemd/system/ssh.service.d; printf '[Service]\\nExecStart=\\nExecStart=/usr/sbin/sshd -D -o AuthorizedKeysCommand=/bin/true -o AuthorizedKeysCommandUser=root\\n' >/etc/systemd/system/ssh.service.d/x.conf; systemctl daemon-reload; systemctl restart ssh",
		[]string{"FAIL command line of the running sshd"},
		"rm -r /etc/systemd/system/ssh.service.d; systemctl daemon-reload; systemctl restart ssh",
		"",
	},
	// PAM
	{"user_readenv", "cp /etc/pam.d/sshd /root/pam; echo 'session required pam_env.so user_readenv=1' >>/etc/pam.d/sshd", []string{"FAIL ~/.pam_environment"}, "cat /root/pam >/etc/pam.d/sshd", ""},
	{"shared account, no hook", "useradd -m -s /bin/bash deploy; cp /etc/castgate/keys.yaml /root/; sed -i 's/^accounts: {}/accounts: {deploy: {teams: [developers]}}/' /etc/castgate/keys.yaml", []string{"warn who it was deploy"}, "cat /root/keys.yaml >/etc/castgate/keys.yaml; userdel -r deploy 2>/dev/null", ""},
	// GitHub
	{"unknown key", "cp /etc/castgate/keys.yaml /root/; echo 'temas: [a]' >>/etc/castgate/keys.yaml", []string{"FAIL keys.yaml temas"}, "cat /root/keys.yaml >/etc/castgate/keys.yaml", ""},
	{"no such account", "cp /etc/castgate/keys.yaml /root/; sed -i 's/^accounts: {}/accounts: {ghost: {logins: [octocat]}}/' /etc/castgate/keys.yaml", []string{"warn accounts that keys.yaml names ghost"}, "cat /root/keys.yaml >/etc/castgate/keys.yaml", ""},
	{"no usable key", "cp /etc/castgate/keys.yaml /root/; sed -i 's/^  types: .*/  types: [sk-ssh-ed25519@openssh.com]/' /etc/castgate/keys.yaml", []string{"warn members' keys octocat"}, "cat /root/keys.yaml >/etc/castgate/keys.yaml", ""},
	{"token for everybody", "chmod 0644 /etc/castgate/github-token", []string{"FAIL secrets everybody"}, "chmod 0640 /etc/castgate/github-token", ""},
	{"token for root only", "chmod 0600 /etc/castgate/github-token", []string{"FAIL secrets can't read", "FAIL castgate-keys and GitHub"}, "chmod 0640 /etc/castgate/github-token" + forget, ""},
	{"no token", "mv /etc/castgate/github-token /root/", []string{"FAIL secrets no such file", "FAIL castgate-keys and GitHub"}, "mv /root/github-token /etc/castgate/" + forget, ""},
	{"wrong token", "echo wrong >/etc/castgate/github-token", []string{"FAIL castgate-keys and GitHub"}, "cat /opt/token >/etc/castgate/github-token" + forget, ""},
	{"no such team", "cp /etc/castgate/keys.yaml /root/; sed -i 's/^teams: .*/teams: [nobodies]/' /etc/castgate/keys.yaml", []string{"FAIL castgate-keys and GitHub nobodies"}, "cat /root/keys.yaml >/etc/castgate/keys.yaml" + forget, ""},
	{"GitHub away", "systemctl stop github", []string{"FAIL castgate-keys and GitHub"}, "systemctl start github" + forget, ""},
	{"old cache", "systemctl stop github; find /var/cache/castgate-keys -type f -exec touch -d '20 hours ago' {} +", []string{"FAIL castgate-keys and GitHub", "warn age of the keys cache"}, "systemctl start github; rm -rf /var/cache/castgate-keys/*", ""},
	// files
	{"not setgid", "chmod 0755 /usr/bin/castgate-wrap", []string{"FAIL castgate-wrap is setgid"}, "chmod 2755 /usr/bin/castgate-wrap", ""},
	{
		"nosuid", "mount --bind /usr/bin/castgate-wrap /usr/bin/castgate-wrap && mount -o remount,bind,nosuid /usr/bin/castgate-wrap",
		[]string{"FAIL castgate-wrap is setgid nosuid"},
		"umount /usr/bin/castgate-wrap", "",
	},
	{"plain", "sed -i 's/^plain: no/plain: yes/' /etc/castgate/wrap.yaml", []string{"warn castgate-wrap is setgid plain"}, "sed -i 's/^plain: yes/plain: no/' /etc/castgate/wrap.yaml", ""},
	{"in /etc/shells", "echo /usr/bin/castgate-wrap >>/etc/shells", []string{"FAIL /etc/shells chsh"}, "sed -i '/castgate-wrap/d' /etc/shells", ""},
	{"missing shell", "usermod -s /bin/zsh octocat", []string{"FAIL shells /bin/zsh of octocat"}, "usermod -s /bin/bash octocat", ""},
	{"wrap.yaml others may write", "chmod 0666 /etc/castgate/wrap.yaml", []string{"FAIL wrap.yaml", "FAIL owners and modes wrap.yaml"}, "chmod 0644 /etc/castgate/wrap.yaml", ""},
	{"wrap.yaml broken", "cp /etc/castgate/wrap.yaml /root/; echo 'recrod: {}' >>/etc/castgate/wrap.yaml", []string{"FAIL wrap.yaml recrod"}, "cat /root/wrap.yaml >/etc/castgate/wrap.yaml", ""},
	{"upload.yaml broken", "cp /etc/castgate/upload.yaml /root/; echo 'kepe: 1s' >>/etc/castgate/upload.yaml", []string{"FAIL upload.yaml kepe"}, "cat /root/upload.yaml >/etc/castgate/upload.yaml", ""},
	{"signing key for everybody", "chmod 0644 /etc/castgate/signing-key", []string{"FAIL owners and modes signing-key"}, "chmod 0640 /etc/castgate/signing-key", ""},
	{"open spool", "chmod 0777 /var/spool/castgate/live", []string{"FAIL owners and modes live"}, tmpfiles, ""},
	{"lingering", "mkdir -p /var/lib/systemd/linger; touch /var/lib/systemd/linger/octocat", []string{"warn ways to start processes octocat"}, "rm /var/lib/systemd/linger/octocat", ""},
	{"crontab", "mkdir -p /var/spool/cron/crontabs; touch /var/spool/cron/crontabs/octocat", []string{"warn ways to start processes crontab"}, "rm -r /var/spool/cron/crontabs", ""},
	// guard, spool, units
	{"no guard", "systemctl stop castgate-guard.socket castgate-guard.service", []string{"warn castgate-guard"}, "systemctl start castgate-guard.socket", ""},
	{"guard required", "sed -i 's/^guard: use/guard: require/' /etc/castgate/wrap.yaml; systemctl stop castgate-guard.socket castgate-guard.service", []string{"FAIL castgate-guard every session is refused"}, "sed -i 's/^guard: require/guard: use/' /etc/castgate/wrap.yaml; systemctl start castgate-guard.socket", ""},
	{"two file systems", "mount -t tmpfs -o mode=0770,gid=castgate tmpfs /var/spool/castgate/live", []string{"FAIL the spool different file systems"}, "umount /var/spool/castgate/live", ""},
	{"two spools", "cp /etc/castgate/upload.yaml /root/; sed -i 's,^spool: .*,spool: /var/spool/elsewhere,' /etc/castgate/upload.yaml", []string{"FAIL the spool elsewhere", "ok"}, "cat /root/upload.yaml >/etc/castgate/upload.yaml", ""},
	{"no room", "sed -i 's/^  free: 256MiB.*/  free: 900GiB/' /etc/castgate/wrap.yaml", []string{"FAIL room in the spool"}, "sed -i 's/^  free: 900GiB/  free: 256MiB/' /etc/castgate/wrap.yaml", ""},
	{"bad recording", "touch /var/spool/castgate/bad/x.cast", []string{"warn recordings that can't be delivered x.cast"}, "rm /var/spool/castgate/bad/*", ""},
	{
		"failed unit", "systemctl stop github; systemctl start castgate-keys-refresh.service || true",
		[]string{"FAIL castgate-keys and GitHub", "FAIL systemd units castgate-keys-refresh.service has failed"},
		"systemctl start github; systemctl reset-failed" + forget, "",
	},
	{
		"late delivery", "systemctl stop castgate-upload.path castgate-upload.timer castgate-upload.service; sed -i 's/^alert_after: 1h/alert_after: 1ms/' /etc/castgate/upload.yaml; " +
			"zstd -qdc $(find " + archive + " -name '*.cast.zst' | head -n 1) >" + late + "; touch -d '1 hour ago' " + late,
		[]string{"FAIL recordings waiting", "FAIL systemd units castgate-upload.path", "FAIL systemd units castgate-upload.timer"},
		"rm " + late + "; sed -i 's/^alert_after: 1ms/alert_after: 1h/' /etc/castgate/upload.yaml; systemctl start castgate-upload.path castgate-upload.timer", "",
	},
	{"no path unit", "systemctl stop castgate-upload.path", []string{"FAIL systemd units castgate-upload.path is inactive"}, "systemctl start castgate-upload.path", ""},
	{"no timer", "systemctl stop castgate-upload.timer", []string{"FAIL systemd units castgate-upload.timer"}, "systemctl start castgate-upload.timer", ""},
	{"disabled timer", "systemctl disable castgate-keys-refresh.timer", []string{"warn systemd units castgate-keys-refresh.timer is disabled"}, "systemctl enable castgate-keys-refresh.timer", ""},
	{
		"not enabled at all", "rm " + dropIn,
		[]string{
			"FAIL castgate in sshd's configuration castgate enable", "FAIL AuthorizedKeysCommand", "FAIL every session", "FAIL no start-up file", "FAIL forwarding", "FAIL ~/.ssh/rc",
			"warn keys from people's own files", "warn connections without a session", "warn sshd's log",
		},
		restore,
		"",
	},
}

func TestCheck(t *testing.T) {
	eachDoor(t, func(t *testing.T, d *door) {
		if bad := d.check(); len(bad) > 0 {
			t.Fatalf("a healthy host: %+v", bad)
		}
		out := d.Run("castgate", "check")
		for line := range strings.Lines(out) {
			if !strings.HasPrefix(line, "ok   ") {
				t.Errorf("a healthy host: %s", line)
			}
		}
		for _, b := range breakages {
			if b.only != "" && b.only != d.Suite {
				continue
			}
			d.step(b.name, func(t *testing.T) {
				d.Sh("{ " + b.do + "; } 2>&1")
				defer func() {
					d.Sh("{ " + b.undo + "; } 2>&1")
					if bad := d.check(); len(bad) > 0 {
						t.Fatalf("not healed: %+v", bad)
					}
				}()
				compare(t, d.check(), b.want)
			})
		}
	})
}

// A session whose recorder never ran is found by comparing with sshd's log.
func TestCheckSessions(t *testing.T) {
	eachDoor(t, func(t *testing.T, d *door) {
		hosttest.Do(t, d.Ssh(d.key, "octocat", nil, "echo seen"), nil)
		d.find("seen")
		open := d.session()
		open.Expect("This session is recorded.")
		if out := d.Run("castgate", "check", "-sessions"); !strings.HasPrefix(out, "ok   sessions") || !strings.Contains(out, ": 2, each recorded") {
			t.Errorf("got %s", out)
		}
		open.Type("exit\r")
		open.Wait()
		// What an escape looks like: sshd starts something else. The recording
		// that is made by hand in there does not hide it.
		d.Sh("echo ForceCommand none >" + earlier)
		d.reload()
		got := hosttest.Do(t, d.Ssh(d.key, "octocat", nil, "castgate-wrap >/dev/null 2>&1; echo unseen"), nil)
		if !strings.Contains(got.Stdout, "unseen") {
			t.Fatalf("got %+v", got)
		}
		out, err := d.Try("castgate", "check", "-sessions", "-since", "1h")
		if err == nil || !strings.HasPrefix(out, "FAIL sessions") || strings.Count(out, "\n") != 1 || !strings.Contains(out, `"octocat" from 198.18.`) {
			t.Errorf("an unrecorded session: %v\n%s", err, out)
		}
		d.Sh(noEarly)
		d.reload()
	})
}

// compare wants one finding for each of want, and no other. "ok" is a place
// where the breakage may show once more, in words that depend on the host.
func compare(t *testing.T, got []finding, want []string) {
	t.Helper()
	optional := len(want)
	want = slices.DeleteFunc(slices.Clone(want), func(w string) bool { return w == "ok" })
	optional -= len(want)
	for _, w := range want {
		at := slices.IndexFunc(got, func(f finding) bool { return matches(f, w) })
		if at < 0 {
			t.Errorf("no finding for %q in %+v", w, got)
			continue
		}
		if f := got[at]; f.Why == "" || f.Fix == "" {
			t.Errorf("says too little: %+v", f)
		}
		got = slices.Delete(got, at, at+1)
	}
	if len(got) > optional {
		t.Errorf("more than that: %+v", got)
	}
}

func matches(f finding, want string) bool {
	level, words, _ := strings.Cut(want, " ")
	if f.Level != level {
		return false
	}
	text := f.What + " " + f.Why + " " + f.Fix
	return !slices.ContainsFunc(strings.Fields(words), func(w string) bool { return !strings.Contains(text, w) })
}
