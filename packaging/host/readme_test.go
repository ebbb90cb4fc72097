// SPDX-License-Identifier: AGPL-3.0-or-later

package host_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"castgate/packaging/host"
	"castgate/packaging/hosttest"
)

// readmeCommands are the indented lines of one section of README.md.
func readmeCommands(t *testing.T, section string) []string {
	t.Helper()
	text, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, found := strings.Cut(string(text), "\n## "+section+"\n")
	if !found {
		t.Fatalf("README.md has no section %q", section)
	}
	rest, _, _ = strings.Cut(rest, "\n## ")
	var commands []string
	for line := range strings.Lines(rest) {
		if command, indented := strings.CutPrefix(line, "       "); indented {
			commands = append(commands, strings.TrimSpace(command))
		}
	}
	return commands
}

// A newcomer does what the README says, line by line, and nothing else. A line
// that this test does not know is a step that nobody has tried.
func TestReadme(t *testing.T) {
	eachSuite(t, func(t *testing.T, h *host.Host) {
		d := &door{Host: h, t: t, key: hosttest.NewKey(t, "ed25519"), root: hosttest.NewKey(t, "ed25519")}
		d.Boot()
		d.startGitHub()
		d.Sh("install -d -m 700 /root/.ssh; echo '" + d.root.Line + "' >/root/.ssh/authorized_keys")
		steps := map[string]func(command string){
			"make deb": func(string) { // packaging/test-host did it
				deb := built(t, "new")
				d.Copy(deb, "/root/dist/"+filepath.Base(deb), 0o644)
			},
			"apt install": func(c string) {
				d.Sh("cd /root && " + strings.Replace(c, "amd64", "$(dpkg --print-architecture)", 1))
			},
			"install -m 640": func(c string) { d.Sh("echo secret-token | " + c) },
			"editor":         func(string) { d.edit() },
			"useradd":        func(c string) { d.Sh(c) },
			"castgate-keys explain": func(c string) {
				if out := d.Sh(c); !strings.Contains(out, "is opened by 1 key") {
					t.Errorf("%s: %s", c, out)
				}
			},
			"castgate check":  d.checkBeforeEnable,
			"castgate enable": d.enableAndLogIn,
			"castgate ls": func(c string) {
				if out := d.Sh(c); !strings.Contains(out, "octocat") {
					t.Errorf("%s: %s", c, out)
				}
			},
			"castgate play": d.play,
		}
		done := map[string]bool{}
		for _, command := range readmeCommands(t, "On a real host") {
			known := false
			for prefix, step := range steps {
				if strings.HasPrefix(command, prefix) {
					known, done[prefix] = true, true
					step(command)
				}
			}
			if !known {
				t.Errorf("README: nobody has tried %q", command)
			}
		}
		for prefix := range steps {
			if !done[prefix] {
				t.Errorf("README: it does not work without %q, and does not say it any more", prefix)
			}
		}
		if bad := d.check(); len(bad) > 0 {
			t.Errorf("after all of it, castgate check says %+v", bad)
		}
	})
}

// checkBeforeEnable: what castgate check finds is what castgate enable mends.
func (d *door) checkBeforeEnable(command string) {
	d.t.Helper()
	out, err := d.Try("sh", "-c", command)
	if err == nil || !strings.HasPrefix(out, "FAIL castgate in sshd's configuration") || strings.Count(out, "FAIL") != 1 || !strings.HasSuffix(out, "-v lists everything\n") {
		d.t.Errorf("%s: %v\n%s", command, err, out)
	}
	command += " -v"
	if out, err = d.Try("sh", "-c", command); err == nil || strings.Count(out, "FAIL") < 5 {
		d.t.Errorf("%s: %v\n%s", command, err, out)
	}
	for _, word := range []string{"secrets", "castgate-keys and GitHub", "systemd units", "owners and modes"} {
		if !strings.Contains(out, "ok   "+word) {
			d.t.Errorf("%s: %s is not ok:\n%s", command, word, out)
		}
	}
}

// enableAndLogIn answers the question as a person would.
func (d *door) enableAndLogIn(command string) {
	d.t.Helper()
	term := hosttest.StartTerminal(d.t, d.Command(strings.Fields(command)...), 120, 40)
	term.Expect("+ForceCommand")
	term.Expect("[y/N]")
	term.Type("y\r")
	if got := term.Wait(); got.Status != 0 {
		d.t.Fatalf("%s: %+v", command, got)
	}
	session := d.session()
	session.Expect("This session is recorded.")
	session.Type("echo as-the-$((1+1))-readme-says; exit\r")
	session.Wait()
	d.find("as-the-2-readme-says")
}

var recordingID = regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}`)

// play replays the newest recording.
func (d *door) play(command string) {
	d.t.Helper()
	id := recordingID.FindString(filepath.Base(d.find("as-the-2-readme-says")))
	term := hosttest.StartTerminal(d.t, d.Command(strings.Fields(strings.Replace(command, "ID", id, 1))...), 120, 40)
	term.Expect("as-the-2-readme-says")
}
