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
		d.step("target away", d.testTargetAway)
		d.step("power cut", d.testPowerCut)
		d.step("remove", d.testRemove)
	})
}

func eachDoor(t *testing.T, test func(t *testing.T, d *door)) {
	for _, suite := range host.Suites() {
		t.Run(suite, func(t *testing.T) { test(t, openDoor(t, suite, built(t, "new"))) })
	}
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

// The timer is a minute away: only the path unit can be that quick.
func (d *door) testPathUnit(t *testing.T) {
	d.Run("systemctl", "stop", "castgate-upload.timer")
	defer d.Run("systemctl", "start", "castgate-upload.timer")
	hosttest.Do(t, d.Ssh(d.key, "octocat", nil, "echo quick-one"), nil)
	manifest := d.find("quick-one")
	// By the files' own times, not by the test's: the machine may be busy.
	out := strings.Fields(d.Sh("zstd -dc " + strings.TrimSuffix(manifest, ".json") + ".cast.zst | head -n 1 | sed 's/.*\"timestamp\":\\([0-9]*\\).*/\\1/'; stat -c %Y " + manifest))
	var began, stored int
	fmt.Sscan(strings.Join(out, " "), &began, &stored)
	if began == 0 || stored-began > 5 {
		t.Errorf("began %d, stored %d: more than 5 s", began, stored)
	}
}

// What can't be delivered now arrives later, and no session notices.
func (d *door) testTargetAway(t *testing.T) {
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
