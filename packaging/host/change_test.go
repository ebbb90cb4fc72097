// SPDX-License-Identifier: AGPL-3.0-or-later

package host_test

import (
	"strings"
	"testing"

	"castgate/packaging/host"
	"castgate/packaging/hosttest"
)

// A session that is open while the package is upgraded, and sshd reloaded,
// goes on, ends as it should, and is one recording.
func TestUpgradeWithASessionOpen(t *testing.T) {
	t.Parallel()
	for _, suite := range host.Suites() {
		t.Run(suite, func(t *testing.T) {
			t.Parallel()
			d := openDoor(t, suite, built(t, "old"))
			term := d.session()
			term.Type("echo $((40+2))-before\r")
			term.Expect("42-before")
			install(d.Host, built(t, "new"))
			d.reload()
			term.Type("echo $((40+3))-after; exit 9\r")
			if got := term.Wait(); got.Status != 9 || !strings.Contains(got.Stdout, "43-after") {
				t.Errorf("the session open over the upgrade: %+v", got)
			}
			path := strings.TrimSuffix(d.find("42-before"), ".json") + ".cast.zst"
			if text := d.Run("zstd", "-dc", path); !strings.Contains(text, "43-after") || strings.Contains(text, "interrupted") {
				t.Errorf("its recording is not whole:\n%s", text)
			}
			if got := hosttest.Do(t, d.Ssh(d.key, "octocat", nil, "castgate-wrap -version"), nil); !strings.Contains(got.Stdout, " 1.") {
				t.Errorf("the new session runs %+v", got)
			}
		})
	}
}

func TestEnableTakesItselfBack(t *testing.T) {
	t.Parallel()
	for _, suite := range host.Suites() {
		t.Run(suite, func(t *testing.T) {
			t.Parallel()
			d := closedDoor(t, suite, built(t, "new"))
			before := d.Sh(everything)
			unchanged := func(what string) {
				t.Helper()
				if after := d.Sh(everything + "; test ! -e " + dropIn + " && test ! -e /etc/castgate/pam.d-sshd.before"); after != before {
					t.Errorf("%s: changed\n%s", what, after)
				}
				if got := hosttest.Do(t, d.Ssh(d.root, "root", nil, "exit 3"), nil); got.Status != 3 {
					t.Errorf("%s: root can't log in: %+v", what, got)
				}
			}
			if out := d.Run("castgate", "enable", "-dry-run"); !strings.Contains(out, "+ForceCommand") {
				t.Errorf("-dry-run shows nothing: %s", out)
			}
			unchanged("-dry-run")
			for name, tt := range map[string]struct{ do, undo, want string }{
				"no terminal to ask at": {"true", "true", "-yes"},
				"recorder refuses":      {"chmod 0755 /usr/bin/castgate-wrap", "chmod 2755 /usr/bin/castgate-wrap", "trial login"},
				"sshd refuses":          {"echo 'NoSuchOption x' >>" + dropIn + ".example", "sed -i /NoSuchOption/d " + dropIn + ".example", "does not accept"},
				"no such account":       {"true", "true", "trial login"},
			} {
				d.Sh(tt.do)
				args := map[string]string{"no terminal to ask at": "", "no such account": "-yes -user nobodyhere"}
				flags, special := args[name]
				if !special {
					flags = "-yes"
				}
				out, err := d.Try("sh", "-c", "castgate enable "+flags+" </dev/null")
				if err == nil || !strings.Contains(out, tt.want) || !strings.Contains(out, "hint: ") {
					t.Errorf("%s: %v\n%s", name, err, out)
				}
				d.Sh(tt.undo)
				unchanged(name)
			}
			if out, err := d.Try("castgate", "disable", "-yes"); err == nil || !strings.Contains(out, "is not enabled") {
				t.Errorf("disable of nothing: %s", out)
			}
			d.Run("castgate", "enable", "-yes")
			d.Run("castgate", "disable", "-yes")
			unchanged("enable and disable")
		})
	}
}

// The session hook tells who came in on a shared account, and whatever becomes
// of its program, people get in.
func TestSessionHook(t *testing.T) {
	eachDoor(t, func(t *testing.T, d *door) {
		if pam := d.Read("/etc/pam.d/common-session"); strings.Contains(pam, "castgate") {
			t.Error("the profile is on without being asked for")
		}
		d.Sh("useradd --create-home --shell /bin/bash deploy; sed -i 's/^accounts: {}/accounts: {deploy: {teams: [developers]}}/' /etc/castgate/keys.yaml")
		d.Sh("castgate enable -yes || test $? = 3; pam-auth-update --enable castgate; grep -q session-hook /etc/pam.d/common-session") // twice does no harm
		if got := hosttest.Do(t, d.Ssh(d.key, "deploy", nil, "echo shared"), nil); got.Stdout != "shared\n" {
			t.Fatalf("got %+v", got)
		}
		if manifest := d.Read(d.find(`"user":"deploy"`)); !strings.Contains(manifest, `"octocat"`) {
			t.Errorf("the manifest does not say who it was:\n%s", manifest)
		}
		const guard = "/usr/lib/castgate/castgate-guard"
		d.Sh("cp -p " + guard + " /root/")
		for name, do := range map[string]string{
			"missing":        "rm " + guard,
			"not executable": "chmod 0644 " + guard,
			"fails":          "printf '#!/bin/sh\\nexit 1\\n' >" + guard + ".new; chmod 755 " + guard + ".new; mv " + guard + ".new " + guard,
			"is killed":      "printf '#!/bin/sh\\nkill -KILL $$\\n' >" + guard + ".new; chmod 755 " + guard + ".new; mv " + guard + ".new " + guard,
			"no program":     "echo nonsense >" + guard + ".new; chmod 755 " + guard + ".new; mv " + guard + ".new " + guard,
		} {
			d.Sh(do)
			if got := hosttest.Do(t, d.Ssh(d.key, "deploy", nil, "exit 4"), nil); got.Status != 4 {
				t.Errorf("hook %s: %+v", name, got)
			}
			d.Sh("rm -f " + guard + "; cp -p /root/castgate-guard " + guard)
		}
	})
}
