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
	return d.checkAs("castgate", "check", "-json")
}

func (d *door) checkAs(command ...string) []finding {
	d.t.Helper()
	out, err := d.Try(command...)
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

	fishMemory = "/usr/lib/castgate/home/.config/fish/fish_variables"
)

const (
	rootKeys    = "cp -p /root/.ssh/authorized_keys /root/ak"
	putRootKeys = "cp -p /root/ak /root/.ssh/authorized_keys"
	ownKey      = "key=$(cut -d' ' -f1,2 /etc/ssh/ssh_host_rsa_key.pub)"
	noHook      = "cp -p /etc/pam.d/sshd /root/pam-hook; sed -i /session-hook/d /etc/pam.d/sshd"
	hook        = "cp -p /root/pam-hook /etc/pam.d/sshd"
)

// early puts lines into a file that sshd reads first.
func early(lines string) string { return "printf '%b\\n' '" + lines + "' >" + earlier }

// keep puts a configuration file aside, and putBack puts it back with the owner
// and mode that it has.
func keep(name string) string    { return "cp /etc/castgate/" + name + " /root/" }
func putBack(name string) string { return "cat /root/" + name + " >/etc/castgate/" + name }

// edit changes the drop-in with sed.
func edit(script string) string { return "sed -i '" + script + "' " + dropIn }

var breakages = []breakage{
	// sshd
	{"syntax error", early("NoSuchOption yes"), []string{"FAIL sshd's configuration NoSuchOption"}, noEarly, ""},
	{
		"another keys command first", early("AuthorizedKeysCommand /usr/bin/userdbctl ssh-authorized-keys %u\\nAuthorizedKeysCommandUser root"),
		[]string{"FAIL AuthorizedKeysCommand 05-other.conf:1", "FAIL keys and certificates userdbctl"},
		noEarly,
		"",
	},
	{"another forced command first", early("ForceCommand /bin/true"), []string{"FAIL every session runs under the recorder 05-other.conf:1"}, noEarly, ""},
	{"another SetEnv first", early("SetEnv FOO=bar"), []string{"FAIL no start-up file SetEnv"}, noEarly, ""},
	{"no exec", edit("s/^ForceCommand exec /ForceCommand /"), []string{"FAIL every session runs under the recorder exec"}, restore, ""},
	{"one account without", early("Match User octocat\\nForceCommand /bin/bash\\nMatch all"), []string{"FAIL every session runs under the recorder octocat"}, noEarly, ""},
	{
		"one network without", early("Match Address 10.0.0.0/8\\nForceCommand /bin/bash\\nMatch all"),
		[]string{"FAIL the same for clients from everywhere 05-other.conf:2 10.0.0.0/8"},
		noEarly, "",
	},
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
	{"tunnels", edit("s/^PermitTunnel no/PermitTunnel yes/"), []string{"FAIL forwarding"}, restore, ""},
	{"X11", edit("s/^X11Forwarding no/X11Forwarding yes/"), []string{"FAIL forwarding X11Forwarding"}, restore, "bookworm"},
	{"the agent", edit("/^AllowAgentForwarding/d"), []string{"FAIL forwarding AllowAgentForwarding"}, restore, "bookworm"},
	{"rc", edit("/^PermitUserRC/d"), []string{"FAIL ~/.ssh/rc"}, restore, ""},
	{"environment", edit("s/^PermitUserEnvironment no/PermitUserEnvironment yes/"), []string{"FAIL ~/.ssh/environment"}, restore, ""},
	{"wide AcceptEnv", early("AcceptEnv *"), []string{"FAIL variables that clients may send"}, noEarly, ""},
	{"no PAM", early("UsePAM no"), []string{"warn UsePAM"}, noEarly, ""},
	{"own keys", early("AuthorizedKeysFile /etc/ssh/keys/%u .ssh/authorized_keys"), []string{"warn keys from people's own files octocat"}, noEarly, ""},
	{"a password", "echo octocat:known | chpasswd", []string{"warn logins without a key octocat"}, "usermod -p '!' octocat", ""},
	{"a machine's word", early("HostbasedAuthentication yes"), []string{"warn logins without a key octocat"}, noEarly, ""},
	{"idle connections", edit("/^UnusedConnectionTimeout/d"), []string{"warn connections without a session"}, restore, ""},
	{"log level", edit("/^LogLevel/d"), []string{"warn sshd's log"}, restore, ""},
	{"no break-glass", "mv /root/.ssh/authorized_keys /root/", []string{"warn a way in without GitHub"}, "mv /root/authorized_keys /root/.ssh/", ""},
	{"root's keys, open", "chmod 0666 /root/.ssh/authorized_keys", []string{"FAIL a way in without GitHub /root/.ssh/authorized_keys"}, "chmod 0600 /root/.ssh/authorized_keys", ""},
	{
		"break-glass that castgate-keys can't read",
		keep("keys.yaml") + "; cp /root/.ssh/authorized_keys /etc/castgate/emergency; chmod 0600 /etc/castgate/emergency; sed -i 's,^emergency: {},emergency: {octocat: /etc/castgate/emergency},' /etc/castgate/keys.yaml",
		[]string{"FAIL a way in without GitHub octocat can't read"},
		putBack("keys.yaml") + "; rm /etc/castgate/emergency", "",
	},
	{
		"break-glass that others may write",
		keep("keys.yaml") + "; cp /root/.ssh/authorized_keys /etc/castgate/emergency; chmod 0666 /etc/castgate/emergency; sed -i 's,^emergency: {},emergency: {octocat: /etc/castgate/emergency},' /etc/castgate/keys.yaml",
		[]string{"FAIL a way in without GitHub octocat written"},
		putBack("keys.yaml") + "; rm /etc/castgate/emergency", "",
	},
	{
		"command line", "mkdir -p /etc/systemd/system/ssh.service.d; printf '[Service]\\nExecStart=\\nExecStart=/usr/sbin/sshd -D -o AuthorizedKeysCommand=/bin/true -o AuthorizedKeysCommandUser=root\\n' >/etc/systemd/system/ssh.service.d/x.conf; systemctl daemon-reload; systemctl restart ssh",
		[]string{"FAIL command line of the running sshd"},
		"rm -r /etc/systemd/system/ssh.service.d; systemctl daemon-reload; systemctl restart ssh",
		"",
	},
	// PAM
	{"user_readenv", "cp /etc/pam.d/sshd /root/pam; echo 'session required pam_env.so user_readenv=1' >>/etc/pam.d/sshd", []string{"FAIL ~/.pam_environment"}, "cat /root/pam >/etc/pam.d/sshd", ""},
	{"user_readenv by include", "cp -p /etc/pam.d/common-session /root/; echo 'session required pam_env.so user_readenv=1' >>/etc/pam.d/common-session", []string{"FAIL ~/.pam_environment"}, "cat /root/common-session >/etc/pam.d/common-session", ""},
	{"no hook", noHook, []string{"warn who it was"}, hook, ""},
	{"the hook in a comment", "cp -p /etc/pam.d/sshd /root/pam-hook; sed -i 's/^session.*session-hook/# &/' /etc/pam.d/sshd", []string{"warn who it was"}, hook, ""},
	// keys and certificates that are restricted
	{"one key, restricted in two ways", rootKeys + "; " + ownKey + "; { echo \"command=\\\"x\\\" $key\"; echo \"$key\"; } >>/root/.ssh/authorized_keys", []string{"FAIL keys and certificates /root/.ssh/authorized_keys"}, putRootKeys, ""},
	{"a restricted key", rootKeys + "; " + ownKey + "; echo \"command=\\\"x\\\" $key\" >>/root/.ssh/authorized_keys", nil, putRootKeys, ""},
	{"a restricted key, and nothing tells", noHook + "; " + edit("/ExposeAuthInfo/d") + "; " + rootKeys + "; " + ownKey + "; echo \"command=\\\"x\\\" $key\" >>/root/.ssh/authorized_keys", []string{"warn who it was", "FAIL keys and certificates /root/.ssh/authorized_keys"}, hook + "; " + restore + "; " + putRootKeys, ""},
	{"principals of certificates", "printf 'TrustedUserCAKeys /etc/ssh/ssh_host_ed25519_key.pub\\nAuthorizedPrincipalsFile /etc/ssh/p\\n' >/etc/ssh/sshd_config.d/50-ca.conf; echo 'command=\"x\" root' >/etc/ssh/p", []string{"FAIL keys and certificates /etc/ssh/p", "warn certificates of other"}, "rm /etc/ssh/sshd_config.d/50-ca.conf /etc/ssh/p", ""},
	// GitHub
	{"unknown key", keep("keys.yaml") + "; echo 'temas: [a]' >>/etc/castgate/keys.yaml", []string{"FAIL keys.yaml temas"}, putBack("keys.yaml"), ""},
	{"no such account", keep("keys.yaml") + "; sed -i 's/^accounts: {}/accounts: {ghost: {logins: [octocat]}}/' /etc/castgate/keys.yaml", []string{"warn accounts that keys.yaml names ghost"}, putBack("keys.yaml"), ""},
	{"root by a team", keep("keys.yaml") + "; sed -i 's/^accounts: {}/accounts: {root: {logins: [octocat]}}/' /etc/castgate/keys.yaml", []string{"warn accounts that keys.yaml names root"}, putBack("keys.yaml"), ""},
	{
		"a named system account without",
		"useradd --system --shell /bin/bash git; " + keep("keys.yaml") + "; sed -i 's/^accounts: {}/accounts: {git: {logins: [octocat]}}/' /etc/castgate/keys.yaml; " + early("Match User git\\nForceCommand /bin/bash\\nMatch all"),
		[]string{"FAIL every session runs under the recorder git", "FAIL nothing of the account's git"},
		noEarly + "; userdel git; " + putBack("keys.yaml"), "",
	},
	{
		"a member's account that nobody opens", "gpasswd -d octocat castgate-people; castgate-keys pin -remove octocat",
		[]string{"warn accounts named like members octocat"},
		"usermod -aG castgate-people octocat; castgate-keys pin -all", "",
	},
	{"old yes", keep("keys.yaml") + "; sed -i 's/^  ttl: 5m /  ttl: 1us /' /etc/castgate/keys.yaml", []string{"warn answers about who may come in octocat"}, putBack("keys.yaml"), ""},
	{"another authority", early("TrustedUserCAKeys /root/.ssh/authorized_keys"), []string{"warn certificates of other authorities octocat"}, noEarly, ""},
	{"no member", "cp /opt/state.json /root/; sed -i 's/\"members\":\\[[^]]*\\]/\"members\":[]/' /opt/state.json; systemctl restart github" + forget, []string{"warn members' keys nobody"}, "cp /root/state.json /opt/; systemctl restart github" + forget, ""},
	{"no usable key", keep("keys.yaml") + "; sed -i 's/^  types: .*/  types: [sk-ssh-ed25519@openssh.com]/' /etc/castgate/keys.yaml", []string{"warn members' keys octocat"}, putBack("keys.yaml"), ""},
	{"token for everybody", "chmod 0644 /etc/castgate/github-token", []string{"FAIL secrets everybody"}, "chmod 0640 /etc/castgate/github-token", ""},
	{"token for root only", "chmod 0600 /etc/castgate/github-token", []string{"FAIL secrets can't read", "FAIL castgate-keys and GitHub"}, "chmod 0640 /etc/castgate/github-token" + forget, ""},
	{"empty token", "cp -p /etc/castgate/github-token /root/; : >/etc/castgate/github-token", []string{"FAIL secrets empty", "FAIL castgate-keys and GitHub"}, "cp -p /root/github-token /etc/castgate/" + forget, ""},
	{"no token", "mv /etc/castgate/github-token /root/", []string{"FAIL secrets no such file", "FAIL castgate-keys and GitHub"}, "mv /root/github-token /etc/castgate/" + forget, ""},
	{"wrong token", "echo wrong >/etc/castgate/github-token", []string{"FAIL castgate-keys and GitHub"}, "cat /opt/token >/etc/castgate/github-token" + forget, ""},
	{"no such team", keep("keys.yaml") + "; sed -i 's/^teams: .*/teams: [nobodies]/' /etc/castgate/keys.yaml", []string{"FAIL castgate-keys and GitHub nobodies"}, putBack("keys.yaml") + forget, ""},
	{"GitHub away", "systemctl stop github", []string{"FAIL castgate-keys and GitHub"}, "systemctl start github" + forget, ""},
	{"old cache", "systemctl stop github; find /var/cache/castgate-keys -type f -exec touch -d '20 hours ago' {} +", []string{"FAIL castgate-keys and GitHub", "warn age of the keys cache"}, "systemctl start github; rm -rf /var/cache/castgate-keys/*", ""},
	{
		"S3 credentials for everybody",
		keep("upload.yaml") + "; echo '  - s3: {endpoint: http://127.0.0.1:9, region: eu-1, bucket: rec, credentials_file: /etc/castgate/s3}' >>/etc/castgate/upload.yaml; echo x >/etc/castgate/s3; chmod 0644 /etc/castgate/s3",
		[]string{"FAIL secrets everybody /etc/castgate/s3"},
		putBack("upload.yaml") + "; rm /etc/castgate/s3", "",
	},
	// files
	{"a start-up file before the recorder", "touch /usr/lib/castgate/home/.bashrc", []string{"FAIL nothing is in the home .bashrc"}, "rm /usr/lib/castgate/home/.bashrc", ""},
	{"an open home before the recorder", "chmod 0777 /usr/lib/castgate/home/.config", []string{"FAIL nothing is in the home .config"}, "chmod 0755 /usr/lib/castgate/home/.config", ""},
	{"what fish remembers of root", "install -m 0600 /dev/null " + fishMemory, nil, "rm " + fishMemory, ""},
	{"what fish remembers, for everybody", "install -m 0644 /dev/null " + fishMemory, []string{"FAIL nothing is in the home fish_variables"}, "rm " + fishMemory, ""},
	{"not setgid", "chmod 0755 /usr/bin/castgate-wrap", []string{"FAIL castgate-wrap is setgid"}, "chmod 2755 /usr/bin/castgate-wrap", ""},
	{
		"nosuid", "mount --bind /usr/bin/castgate-wrap /usr/bin/castgate-wrap && mount -o remount,bind,nosuid /usr/bin/castgate-wrap",
		[]string{"FAIL castgate-wrap is setgid nosuid"},
		"umount /usr/bin/castgate-wrap", "",
	},
	{"plain", "sed -i 's/^plain: no/plain: yes/' /etc/castgate/wrap.yaml", []string{"warn castgate-wrap is setgid plain"}, "sed -i 's/^plain: yes/plain: no/' /etc/castgate/wrap.yaml", ""},
	{"in /etc/shells", "echo /usr/bin/castgate-wrap >>/etc/shells", []string{"FAIL /etc/shells chsh"}, "sed -i '/castgate-wrap/d' /etc/shells", ""},
	{"missing shell", keep("wrap.yaml") + "; sed -i 's,/bin/bash,/bin/zsh,' /etc/castgate/wrap.yaml", []string{"FAIL shells /bin/zsh of octocat"}, putBack("wrap.yaml"), ""},
	{"a shell before the recorder", "usermod -s /bin/bash octocat", []string{"FAIL nothing of the account's octocat"}, "usermod -s /usr/bin/castgate-wrap octocat", ""},
	{"wrap.yaml others may write", "chmod 0666 /etc/castgate/wrap.yaml", []string{"FAIL wrap.yaml", "FAIL owners and modes wrap.yaml"}, "chmod 0644 /etc/castgate/wrap.yaml", ""},
	{"wrap.yaml broken", keep("wrap.yaml") + "; echo 'recrod: {}' >>/etc/castgate/wrap.yaml", []string{"FAIL wrap.yaml recrod"}, putBack("wrap.yaml"), ""},
	{"unrecorded on failure", "sed -i 's/^on_failure: deny/on_failure: allow/' /etc/castgate/wrap.yaml", []string{"warn unrecorded on_failure octocat"}, "sed -i 's/^on_failure: allow/on_failure: deny/' /etc/castgate/wrap.yaml", ""},
	{"commands counted only", "sed -i 's/^  commands: yes/  commands: metadata/' /etc/castgate/wrap.yaml", []string{"warn unrecorded metadata"}, "sed -i 's/^  commands: metadata/  commands: yes/' /etc/castgate/wrap.yaml", ""},
	{"archive.yaml broken", keep("archive.yaml") + "; echo 'stoer: x' >>/etc/castgate/archive.yaml", []string{"FAIL archive.yaml stoer"}, putBack("archive.yaml"), ""},
	{"auditors from loopback", keep("archive.yaml") + "; echo 'auditors: {header: {name: X-User, from: [127.0.0.1], everybody: yes}}' >>/etc/castgate/archive.yaml", []string{"FAIL who may watch X-User 127.0.0.1 octocat"}, putBack("archive.yaml"), ""},
	{"auditors from the host's own address", keep("archive.yaml") + "; echo 'auditors: {header: {name: X-User, from: [198.18.0.0/15], everybody: yes}}' >>/etc/castgate/archive.yaml", []string{"FAIL who may watch 198.18."}, putBack("archive.yaml"), ""},
	{"auditors' token for everybody", keep("archive.yaml") + "; echo 'auditors: {token_file: /etc/castgate/web-token}' >>/etc/castgate/archive.yaml; echo x >/etc/castgate/web-token; chmod 0644 /etc/castgate/web-token", []string{"FAIL secrets everybody web-token"}, putBack("archive.yaml") + "; rm /etc/castgate/web-token", ""},
	{"upload.yaml broken", keep("upload.yaml") + "; echo 'kepe: 1s' >>/etc/castgate/upload.yaml", []string{"FAIL upload.yaml kepe"}, putBack("upload.yaml"), ""},
	{"signing key for everybody", "chmod 0644 /etc/castgate/signing-key", []string{"FAIL owners and modes signing-key"}, "chmod 0640 /etc/castgate/signing-key", ""},
	{"open spool", "chmod 0777 /var/spool/castgate/live", []string{"FAIL owners and modes live"}, tmpfiles, ""},
	{"lingering", "mkdir -p /var/lib/systemd/linger; touch /var/lib/systemd/linger/octocat", []string{"warn ways to start processes octocat"}, "rm /var/lib/systemd/linger/octocat", ""},
	{"crontab", "mkdir -p /var/spool/cron/crontabs; touch /var/spool/cron/crontabs/octocat", []string{"warn ways to start processes crontab"}, "rm -r /var/spool/cron/crontabs", ""},
	{"at job", "mkdir -p /var/spool/cron/atjobs; touch /var/spool/cron/atjobs/a00001019a", []string{"warn ways to start processes at jobs"}, "rm -r /var/spool/cron/atjobs", ""},
	{"left-overs that no session owns", "sed -i 's/^leftovers: keep/leftovers: end/' /etc/castgate/wrap.yaml", []string{"warn ways to start processes systemd-run"}, "sed -i 's/^leftovers: end/leftovers: keep/' /etc/castgate/wrap.yaml", ""},
	{
		"left-overs of cron", "sed -i 's/^leftovers: keep/leftovers: end/' /etc/castgate/wrap.yaml; systemctl mask --quiet user@.service; cp /bin/true /usr/bin/crontab",
		[]string{"warn ways to start processes crontab cron.allow"},
		"sed -i 's/^leftovers: end/leftovers: keep/' /etc/castgate/wrap.yaml; systemctl unmask --quiet user@.service; rm /usr/bin/crontab", "",
	},
	// guard, spool, units
	{"open guard", "chmod 0666 /run/castgate/guard.sock", []string{"FAIL castgate-guard 0666"}, "chmod 0660 /run/castgate/guard.sock", ""},
	{"no guard", "systemctl stop castgate-guard.socket castgate-guard.service", []string{"warn castgate-guard"}, "systemctl start castgate-guard.socket", ""},
	{"guard required", "sed -i 's/^guard: use/guard: require/' /etc/castgate/wrap.yaml; systemctl stop castgate-guard.socket castgate-guard.service", []string{"FAIL castgate-guard every session is refused"}, "sed -i 's/^guard: require/guard: use/' /etc/castgate/wrap.yaml; systemctl start castgate-guard.socket", ""},
	{"two file systems", "mount -t tmpfs -o mode=0770,gid=castgate tmpfs /var/spool/castgate/live", []string{"FAIL the spool different file systems"}, "umount /var/spool/castgate/live", ""},
	{"two spools", keep("upload.yaml") + "; sed -i 's,^spool: .*,spool: /var/spool/elsewhere,' /etc/castgate/upload.yaml", []string{"FAIL the spool elsewhere", "ok"}, putBack("upload.yaml"), ""},
	{"no room", "sed -i 's/^  free: 256MiB.*/  free: 900GiB/' /etc/castgate/wrap.yaml", []string{"FAIL room in the spool"}, "sed -i 's/^  free: 900GiB/  free: 256MiB/' /etc/castgate/wrap.yaml", ""},
	{"little room", "sed -i \"s/^  free: 256MiB.*/  free: $(($(df --output=avail -B1M /var/spool/castgate | tail -n 1) * 2 / 3))MiB/\" /etc/castgate/wrap.yaml", []string{"warn room in the spool"}, "sed -i 's/^  free: .*/  free: 256MiB/' /etc/castgate/wrap.yaml", ""},
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
				found := d.check()
				d.Sh("{ " + b.undo + "; } 2>&1")
				compare(t, found, b.want)
				if bad := d.check(); len(bad) > 0 {
					t.Fatalf("not healed: %+v", bad)
				}
			})
		}
		d.step("SELinux", func(t *testing.T) { // which this kernel has not: a file that says so is all the check reads
			pretend := "mount -t tmpfs tmpfs /sys/fs && mkdir /sys/fs/selinux && echo 1 >/sys/fs/selinux/enforce && exec castgate check -json"
			compare(t, d.checkAs("unshare", "--mount", "sh", "-c", pretend), []string{"warn SELinux enforcing"})
		})
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
		d.Sh("usermod -s /bin/bash octocat; echo ForceCommand none >" + earlier)
		d.reload()
		got := hosttest.Do(t, d.Ssh(d.key, "octocat", nil, "castgate-wrap >/dev/null 2>&1; echo unseen"), nil)
		if !strings.Contains(got.Stdout, "unseen") {
			t.Fatalf("got %+v", got)
		}
		out, err := d.Try("castgate", "check", "-sessions", "-since", "1h")
		if err == nil || !strings.HasPrefix(out, "FAIL sessions") || strings.Count(out, "\n") != 1 || !strings.Contains(out, `"octocat" from 198.18.`) {
			t.Errorf("an unrecorded session: %v\n%s", err, out)
		}
		d.Sh(noEarly + "; usermod -s /usr/bin/castgate-wrap octocat")
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
