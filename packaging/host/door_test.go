// SPDX-License-Identifier: AGPL-3.0-or-later

package host_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"castgate/keys/githubtest"
	"castgate/packaging/host"
	"castgate/packaging/hosttest"
)

// door is a host in use: installed, configured and enabled as the README says,
// with a GitHub of its own and two people.
type door struct {
	*host.Host
	t    *testing.T
	key  *hosttest.Key // octocat's, a member
	root *hosttest.Key // the way in without GitHub
}

const gitHub = "127.0.0.1:9999"

// openDoor does the README's steps.
func openDoor(t *testing.T, suite, deb string) *door {
	t.Helper()
	d := closedDoor(t, suite, deb)
	out := d.Run("castgate", "enable", "-yes")
	for _, want := range []string{"+ForceCommand exec /usr/bin/castgate-wrap", "trial login of octocat for a terminal session: works", "castgate disable"} {
		if !strings.Contains(out, want) {
			t.Errorf("castgate enable does not say %q:\n%s", want, out)
		}
	}
	return d
}

// closedDoor is a host where all is ready for castgate enable.
func closedDoor(t *testing.T, suite, deb string) *door {
	t.Helper()
	d := &door{Host: host.New(t, suite), t: t, key: hosttest.NewKey(t, "ed25519"), root: hosttest.NewKey(t, "ed25519")}
	d.Boot()
	d.Sh("useradd --create-home --shell /bin/bash octocat; useradd --create-home --shell /bin/bash stranger")
	d.Sh("install -d -m 700 /root/.ssh; echo '" + d.root.Line + "' >/root/.ssh/authorized_keys")
	d.startGitHub()
	install(d.Host, deb)
	d.Sh("usermod -aG castgate-people octocat; usermod -aG castgate-people stranger")
	d.configure()
	d.Run("systemctl", "start", "castgate-keys-refresh.service")
	return d
}

// startGitHub serves GitHub's API on the host's loopback.
func (d *door) startGitHub() {
	d.t.Helper()
	state, err := json.Marshal(githubtest.State{
		Org:   "acme",
		Teams: map[string]githubtest.Team{"developers": {Members: []githubtest.Member{{Login: "octocat", ID: 1}}}},
		Users: map[string]githubtest.User{
			"octocat":  {ID: 1, Keys: []string{d.key.Line}},
			"stranger": {ID: 2, Keys: []string{hosttest.NewKey(d.t, "ed25519").Line}},
		},
	})
	if err != nil {
		d.t.Fatal(err)
	}
	d.Copy("../../.build/host/github-standin", "/opt/github-standin", 0o755)
	d.Write("/opt/state.json", string(state), 0o644)
	d.Write("/opt/token", "secret-token\n", 0o600)
	// A unit of its own: it comes back after a power cut, as GitHub would.
	d.Write("/etc/systemd/system/github.service", "[Service]\nExecStart=/opt/github-standin -listen "+gitHub+" -state /opt/state.json -token-file /opt/token\n"+
		"[Install]\nWantedBy=multi-user.target\n", 0o644)
	d.Sh("systemctl daemon-reload; systemctl enable --now github.service 2>/dev/null")
}

// edit is what an administrator's editor does to keys.yaml.
func (d *door) edit() {
	d.t.Helper()
	yaml := d.Read("/etc/castgate/keys.yaml")
	for from, to := range map[string]string{"https://api.github.com/": "http://" + gitHub + "/", "teams: [developers, operations]": "teams: [developers]"} {
		if !strings.Contains(yaml, from) {
			d.t.Fatalf("the shipped keys.yaml has no %q", from)
		}
		yaml = strings.Replace(yaml, from, to, 1)
	}
	d.Write("/etc/castgate/keys.yaml", yaml, 0o640)
}

func (d *door) configure() {
	d.t.Helper()
	d.edit()
	d.Sh("cp /opt/token /etc/castgate/github-token; chown root:castgate-keys /etc/castgate/github-token; chmod 640 /etc/castgate/github-token")
}

// step runs a subtest on the host.
func (d *door) step(name string, test func(t *testing.T)) {
	before := d.t
	d.t.Run(name, func(t *testing.T) {
		d.t = t
		d.Use(t)
		test(t)
	})
	d.t = before
}

// reload makes sshd read its configuration and waits until it listens again.
func (d *door) reload() {
	d.t.Helper()
	d.Run("systemctl", "restart", "ssh") // sessions stay; a reload returns before sshd has let go of its port
	d.listens()
}

// listens waits until sshd answers.
func (d *door) listens() {
	d.t.Helper()
	d.WaitFor("sshd to listen", func() (string, bool) {
		out, err := d.Try("bash", "-c", "read -r line </dev/tcp/127.0.0.1/22 && echo $line | grep SSH-")
		return out, err == nil
	})
}

// session is a terminal session of octocat's.
func (d *door) session() *hosttest.Terminal {
	return hosttest.StartTerminal(d.t, d.Ssh(d.key, "octocat", []string{"-tt"}), 80, 24)
}

const archive = "/var/lib/castgate/archive"

// delivered lists the manifests in the archive.
func (d *door) delivered() []string {
	d.t.Helper()
	return d.Glob(archive + "/*/*/*/*/*/*.json")
}

// find waits for a recording in the archive that shows the words, and returns
// its manifest's path.
func (d *door) find(words string) string {
	d.t.Helper()
	seen, found := map[string]bool{}, ""
	d.WaitFor(fmt.Sprintf("a recording of %q in the archive", words), func() (string, bool) {
		for _, path := range d.delivered() {
			if seen[path] {
				continue
			}
			out, err := d.Try("sh", "-c", "zstd -dc '"+strings.TrimSuffix(path, ".json")+".cast.zst'")
			if err != nil {
				return out, false // it is looked at again
			}
			seen[path] = true
			if strings.Contains(out, words) {
				found = path
				return "", true
			}
		}
		status, _ := d.Try("sh", "-c", "castgate-upload status; systemctl status castgate-upload.service castgate-upload.path; ls -l /var/spool/castgate/*")
		return status, false
	})
	return found
}

func TestDoor(t *testing.T) {
	eachDoor(t, func(t *testing.T, d *door) {
		d.step("member", d.testMember)
		d.step("stranger", d.testStranger)
		d.step("within 5 s", d.testPathUnit)
		d.step("one after the other", d.testTrickle)
		d.step("uploader broken", d.testUploaderBroken)
		d.step("credential", d.testCredential)
		d.step("target away", d.testTargetAway)
		d.step("power cut", d.testPowerCut)
		d.step("page", d.testPage)
		d.step("remove", d.testRemove)
	})
}

func eachDoor(t *testing.T, test func(t *testing.T, d *door)) {
	suites(t, func(t *testing.T, suite string) { test(t, openDoor(t, suite, built(t, "new"))) })
}

func (d *door) testMember(t *testing.T) {
	got := hosttest.Do(t, d.Ssh(d.key, "octocat", nil, "echo to stdout; echo to stderr >&2; exit 7"), nil)
	if want := (hosttest.Result{Stdout: "to stdout\n", Stderr: "to stderr\n", Status: 7}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	d.find("to stdout")
	term := d.session()
	term.Expect("This session is recorded.")
	term.Type("echo $((6*7))-answers; exit 3\r")
	if got := term.Wait(); got.Status != 3 || !strings.Contains(got.Stdout, "42-answers") {
		t.Errorf("got %+v", got)
	}
	manifest := d.find("42-answers")
	for _, want := range []string{`"octocat"`, `"` + d.Name + `"`} {
		if !strings.Contains(d.Read(manifest), want) {
			t.Errorf("the manifest does not say %s:\n%s", want, d.Read(manifest))
		}
	}
	// With nothing of ours: the key that postinst made signed it.
	d.Sh("echo \"castgate $(cut -d' ' -f1,2 /etc/castgate/signing-key.pub)\" >/tmp/allowed; ssh-keygen -Y verify -f /tmp/allowed -I castgate -n castgate -s " + manifest + ".sig <" + manifest)
}

func (d *door) testStranger(t *testing.T) {
	for _, user := range []string{"stranger", "root", "octocat"} {
		got := hosttest.Do(t, d.Ssh(hosttest.NewKey(t, "ed25519"), user, nil, "true"), nil)
		if got.Status != 255 || !strings.Contains(got.Stderr, "Permission denied") {
			t.Errorf("%s: %+v", user, got)
		}
	}
}

// Only the path unit can be that quick: the timer is stopped. The machine may be
// busy with other things, so one of several sessions will do.
func (d *door) testPathUnit(t *testing.T) {
	d.Run("systemctl", "stop", "castgate-upload.timer")
	defer d.Run("systemctl", "start", "castgate-upload.timer")
	const most = 5 // seconds, by the files' own times and not by the test's
	var took []int
	for i := range 5 {
		words := fmt.Sprintf("quick-%d.", i)
		hosttest.Do(t, d.Ssh(d.key, "octocat", nil, "echo "+words), nil)
		manifest := d.find(words)
		out := d.Sh("zstd -dc " + strings.TrimSuffix(manifest, ".json") + ".cast.zst | head -n 1 | sed 's/.*\"timestamp\":\\([0-9]*\\).*/\\1/'; stat -c %Y " + manifest)
		var began, stored int
		if _, err := fmt.Sscan(out, &began, &stored); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		if took = append(took, stored-began); stored-began <= most {
			return
		}
	}
	t.Errorf("from the beginning of a session to its recording in the archive, in seconds: %v", took)
}

// idleUploader waits until the uploader has ended, so that the next recording
// is the path unit's to notice.
func (d *door) idleUploader() {
	d.t.Helper()
	d.WaitFor("the uploader to end", func() (string, bool) {
		out, _ := d.Try("systemctl", "is-active", "castgate-upload.service")
		return out, strings.TrimSpace(out) == "inactive"
	})
}

// Six sessions that end within ten seconds are enough to take a path unit with
// systemd's own limits into "failed" for good.
func (d *door) testTrickle(t *testing.T) {
	d.Run("systemctl", "stop", "castgate-upload.timer")
	defer d.Run("systemctl", "start", "castgate-upload.timer")
	const sessions = 12
	for i := range sessions {
		hosttest.Do(t, d.Ssh(d.key, "octocat", nil, fmt.Sprintf("echo trickle-%d.", i)), nil)
	}
	for i := range sessions {
		d.find(fmt.Sprintf("trickle-%d.", i))
	}
	d.Run("systemctl", "is-active", "castgate-upload.path")
	d.idleUploader()
	hosttest.Do(t, d.Ssh(d.key, "octocat", nil, "echo after-the-trickle"), nil)
	d.find("after-the-trickle")
}

// An uploader that can't even start is started every few seconds, the path unit
// lives, and once it is whole again everything arrives without a command.
func (d *door) testUploaderBroken(t *testing.T) {
	d.idleUploader()
	d.Run("mv", "/usr/bin/castgate-upload", "/root/")
	hosttest.Do(t, d.Ssh(d.key, "octocat", nil, "echo no-uploader"), nil)
	d.WaitFor("two starts in vain", func() (string, bool) {
		out := d.Run("systemctl", "show", "-P", "NRestarts", "castgate-upload.service")
		return out, len(strings.TrimSpace(out)) > 0 && strings.TrimSpace(out) >= "2"
	})
	d.Run("systemctl", "is-active", "castgate-upload.path")
	d.Run("mv", "/root/castgate-upload", "/usr/bin/")
	d.find("no-uploader")
	d.idleUploader()
}

// A secret that only root can read reaches the uploader as a credential.
func (d *door) testCredential(t *testing.T) {
	const drop = "/etc/systemd/system/castgate-upload.service.d/secret.conf"
	d.Sh("umask 077; printf 'aws_access_key_id = AKIDEXAMPLE\naws_secret_access_key = s\n' >/etc/castgate/s3; cp -p /etc/castgate/upload.yaml /root/")
	d.Write(drop, "[Service]\nLoadCredential=s3:/etc/castgate/s3\n", 0o644)
	defer d.Sh("cp -p /root/upload.yaml /etc/castgate/; rm -r /etc/castgate/s3 /etc/systemd/system/castgate-upload.service.d; systemctl daemon-reload; systemctl restart castgate-upload.service")
	d.Sh("systemctl daemon-reload; echo '  - s3: {endpoint: http://127.0.0.1:9, region: eu-1, bucket: rec, path_style: true, credentials_file: /run/credentials/castgate-upload.service/s3}' >>/etc/castgate/upload.yaml")
	hosttest.Do(t, d.Ssh(d.key, "octocat", nil, "echo with-a-credential"), nil)
	d.WaitFor("the uploader to try the bucket", func() (string, bool) {
		out := d.Sh("castgate-upload status; journalctl -u castgate-upload --no-pager | tail -n 20")
		return out, strings.Contains(out, "127.0.0.1:9: connect: connection refused")
	})
	d.find("with-a-credential")
}

// The page and the index under their units, which nothing but a start proves.
func (d *door) testPage(t *testing.T) {
	d.Sh("cp -p /etc/castgate/archive.yaml /root/; echo 'auditors: {header: {name: X-Forwarded-User, from: [127.0.0.1], everybody: yes}}' >>/etc/castgate/archive.yaml")
	defer d.Sh("systemctl disable --quiet --now castgate-serve.socket; systemctl stop castgate-serve.service; cp -p /root/archive.yaml /etc/castgate/")
	d.Run("systemctl", "enable", "--quiet", "--now", "castgate-serve.socket")
	get := func(header string) string {
		return d.Run("timeout", "60", "bash", "-c", `exec 3<>/dev/tcp/127.0.0.1/8022; printf 'GET / HTTP/1.0\r\nHost: localhost\r\n`+header+`\r\n' >&3; cat <&3`)
	}
	d.WaitFor("octocat's sessions on the page", func() (string, bool) {
		page := get(`X-Forwarded-User: auditor\r\n`)
		return page, strings.HasPrefix(page, "HTTP/1.0 200") && strings.Contains(page, "octocat")
	})
	if page := get(""); strings.Contains(page, "octocat") {
		t.Errorf("the page for nobody:\n%s", page)
	}
	d.Run("systemctl", "start", "castgate-index.service")
}

// What can't be delivered now arrives later, and no session notices.
func (d *door) testTargetAway(t *testing.T) {
	d.idleUploader()
	d.Sh("mv " + archive + " " + archive + ".away && touch " + archive)
	for i := range 5 {
		got := hosttest.Do(t, d.Ssh(d.key, "octocat", nil, fmt.Sprintf("echo while-away-%d", i)), nil)
		if got.Status != 0 || got.Stdout != fmt.Sprintf("while-away-%d\n", i) {
			t.Errorf("got %+v", got)
		}
	}
	if waiting := d.Glob("/var/spool/castgate/incoming/*.cast"); len(waiting) != 5 {
		t.Errorf("waiting: %v", waiting)
	}
	d.Sh("rm " + archive + " && mv " + archive + ".away " + archive)
	for i := range 5 {
		d.find(fmt.Sprintf("while-away-%d", i))
	}
	d.WaitFor("an empty spool", func() (string, bool) {
		left := d.Glob("/var/spool/castgate/incoming/*")
		return strings.Join(left, "\n"), len(left) == 0
	})
	d.Run("systemctl", "is-active", "castgate-upload.path")
}

// What was shown before the power went is delivered after the boot, marked.
func (d *door) testPowerCut(t *testing.T) {
	term := d.session()
	term.Type("echo $((40+2))-before-the-cut; cat\r")
	term.Expect("42-before-the-cut")
	d.PowerCut()
	term.Wait()
	d.Boot()
	manifest := d.find("42-before-the-cut")
	if !strings.Contains(d.Sh("zstd -dc "+strings.TrimSuffix(manifest, ".json")+".cast.zst | tail -n 1"), "recording interrupted") {
		t.Error("the orphan does not say that it was interrupted")
	}
	if left := d.Glob("/var/spool/castgate/live/*"); len(left) > 0 {
		t.Errorf("left in the spool: %v", left)
	}
	if got := hosttest.Do(t, d.Ssh(d.key, "octocat", nil, "exit 5"), nil); got.Status != 5 {
		t.Errorf("after the boot: %+v", got)
	}
}

// The package goes only when sshd does not need it, and recordings stay.
func (d *door) testRemove(t *testing.T) {
	if out, err := d.Try("dpkg", "--purge", "castgate"); err == nil || !strings.Contains(out, "castgate disable") {
		t.Errorf("purged under sshd's feet: %v\n%s", err, out)
	}
	before := len(d.delivered())
	d.Run("castgate", "disable", "-yes")
	out := d.Run("dpkg", "--purge", "castgate")
	if !strings.Contains(out, archive[:len("/var/lib/castgate")]) {
		t.Errorf("purge does not say where the recordings are:\n%s", out)
	}
	if after := len(d.delivered()); before == 0 || after != before {
		t.Errorf("%d recordings before the purge, %d after", before, after)
	}
	d.Run("sshd", "-t")
	if out := d.Sh("dpkg --verify openssh-server || true"); strings.Contains(out, "/etc/pam.d/sshd") {
		t.Errorf("disable did not put PAM's file back: %s", out)
	}
}
