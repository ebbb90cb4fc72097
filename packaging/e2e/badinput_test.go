// SPDX-License-Identifier: AGPL-3.0-or-later

package e2e_test

import (
	"debug/elf"
	"os/exec"
	"strings"
	"testing"

	"castgate/keys/githubtest"
	"castgate/packaging/hosttest"
)

// TestMistakesOfAdministrators breaks a host in the ways people do and looks
// at what the person at the keyboard, the log and the spool get.
func TestMistakesOfAdministrators(t *testing.T) {
	key := hosttest.NewKey(t, "ed25519")
	startGitHub(t, githubtest.State{
		Org:   "acme",
		Teams: map[string]githubtest.Team{"operations": {Members: []githubtest.Member{{Login: "octocat", ID: 1}}}},
		Users: map[string]githubtest.User{"octocat": {ID: 1, Keys: []string{key.Line}}},
	}, "teams: [operations]\n")
	hosttest.AddUser(t, "octocat", "/bin/bash", "--groups", "castgate-people")
	syslog := hosttest.StartSyslog(t)
	sshd := hosttest.StartSshd(t, snippet(t))

	for _, tt := range []struct {
		name, spoil string
		login       int      // status of a login
		user        []string // on the user's stderr, next to nothing internal
		log         []string // one line of syslog
		admin       []string // on the administrator's stderr, from check
		check       string
	}{
		{
			"unknown key in keys.yaml", "sed -i 's/^teams/temas/' /etc/castgate/keys.yaml",
			255,
			[]string{"Permission denied (publickey)"},
			[]string{"castgate-keys[", `temas`},
			[]string{`castgate-keys: read "/etc/castgate/keys.yaml": key "temas" is not known`, `castgate-keys: hint: did you mean "teams"?`},
			"castgate-keys explain octocat",
		},
		{
			"keys.yaml that anybody may write", "chmod 666 /etc/castgate/keys.yaml",
			255,
			[]string{"Permission denied (publickey)"},
			[]string{"castgate-keys[", "may be written by others"},
			[]string{"may be written by others", "castgate-keys: hint: chmod go-w /etc/castgate/keys.yaml"},
			"castgate-keys explain octocat",
		},
		{
			"no token", "rm " + tokenFile,
			255,
			[]string{"Permission denied (publickey)"},
			[]string{"castgate-keys[", tokenFile},
			[]string{tokenFile, "castgate-keys: hint: "},
			"runuser -u castgate-keys castgate-keys octocat",
		},
		{
			"wrong token", "echo ghp_wrong >" + tokenFile,
			255,
			[]string{"Permission denied (publickey)"},
			[]string{"castgate-keys[", "octocat"},
			[]string{"castgate-keys: hint: "},
			"runuser -u castgate-keys castgate-keys octocat",
		},
		{
			"a team that doesn't exist", "sed -i 's/operations/opertions/' /etc/castgate/keys.yaml",
			255,
			[]string{"Permission denied (publickey)"},
			[]string{"castgate-keys[", "opertions"},
			[]string{"opertions", "castgate-keys: hint: "},
			"runuser -u castgate-keys castgate-keys octocat",
		},
		{
			"unknown key in wrap.yaml", "echo 'notcie: x' >/etc/castgate/wrap.yaml",
			254,
			[]string{"castgate-wrap: "},
			[]string{"castgate-wrap[", "notcie", "hint="},
			nil, "",
		},
		{
			"wrap.yaml that anybody may write", "chmod 666 /etc/castgate/wrap.yaml",
			254,
			[]string{"castgate-wrap: "},
			[]string{"castgate-wrap[", "wrap.yaml", "hint="},
			nil, "",
		},
		{
			"no spool", "mv /var/spool/castgate /var/spool/castgate.away",
			254,
			[]string{"castgate-wrap: "},
			[]string{"castgate-wrap[", "/var/spool/castgate", "hint="},
			[]string{"castgate-upload: ", "/var/spool/castgate", "castgate-upload: hint: "},
			"runuser -u castgate-upload -- castgate-upload",
		},
		{
			"a spool that can't be written", "chmod 0750 /var/spool/castgate/live; chown root:root /var/spool/castgate/live",
			254,
			[]string{"castgate-wrap: "},
			[]string{"castgate-wrap[", "/var/spool/castgate", "hint="},
			nil, "",
		},
		{
			"a recorder without its setgid bit", "chmod g-s " + recorder,
			254,
			[]string{"castgate-wrap: "},
			[]string{"castgate-wrap[", "setgid", "hint="},
			nil, "",
		},
		{
			"unknown key in upload.yaml", "echo 'targest: []' >/etc/castgate/upload.yaml",
			0, nil, nil,
			[]string{`castgate-upload: read "/etc/castgate/upload.yaml": key "targest" is not known`, `castgate-upload: hint: did you mean "targets"?`},
			"runuser -u castgate-upload -- castgate-upload",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			forget(t)
			emptyCache(t)
			keep := hosttest.Run(t, "mktemp", "-d")
			keep = strings.TrimSpace(keep)
			hosttest.Run(t, "tar", "cpPf", keep+"/saved.tar", "/etc/castgate", "/var/spool/castgate", recorder)
			defer hosttest.Run(t, "sh", "-c", "rm -rf /etc/castgate /var/spool/castgate* "+recorder+" && tar xpPf "+keep+"/saved.tar")
			hosttest.Run(t, "sh", "-c", tt.spoil)
			syslog.Forget()

			got := hosttest.Do(t, sshd.Ssh(key, "octocat", nil, "echo in"), nil)
			if got.Status != tt.login || (tt.login != 0) != (got.Stdout == "") {
				t.Errorf("a login: %s", show(got))
			}
			all(t, "the user", got.Stderr, tt.user)
			if tt.login != 0 && (strings.Contains(got.Stderr, "/etc/") || strings.Contains(got.Stderr, "/var/")) {
				t.Errorf("the user sees internal paths: %s", show(got))
			}
			if tt.log != nil {
				syslog.Wait(t, tt.log...)
			}
			if tt.login != 0 && len(in(t, "live"))+len(in(t, "incoming")) > 0 {
				t.Error("a refused session left something in the spool")
			}
			if tt.check != "" {
				emptyCache(t) // the answer just given would be given again
				got := hosttest.Do(t, exec.Command("sh", "-c", tt.check), nil)
				if got.Status == 0 {
					t.Errorf("%s: %s", tt.check, show(got))
				}
				all(t, "the administrator", got.Stdout+got.Stderr, tt.admin)
			}
		})
	}
}

func all(t *testing.T, who, text string, want []string) {
	t.Helper()
	for _, w := range want {
		if !strings.Contains(text, w) {
			t.Errorf("%s reads %q without %q", who, text, w)
		}
	}
}

// TestProgramsIntroduceThemselves: -h and -version answer on standard output
// with status 0, for everybody; every program is static and reproducible.
func TestProgramsIntroduceThemselves(t *testing.T) {
	hosttest.Install(t)
	user := hosttest.AddUser(t, account, "/bin/sh")
	programs := strings.Fields(hosttest.Run(t, "sh", "-c", "ls /usr/bin/castgate* /usr/lib/castgate/castgate-*"))
	if len(programs) < 5 {
		t.Errorf("only %q are installed", programs)
	}
	for _, path := range programs {
		name := path[strings.LastIndex(path, "/")+1:]
		for flag, want := range map[string]string{"-h": "usage: " + name, "--help": "usage: " + name, "-version": name + " " + hosttest.Version + "\n", "--version": name + " " + hosttest.Version + "\n"} {
			got := hosttest.Do(t, user.Command(path, flag), nil)
			if got.Status != 0 || !strings.HasPrefix(got.Stdout, want) || got.Stderr != "" {
				t.Errorf("%s %s: %s", path, flag, show(got))
			}
		}
		got := hosttest.Do(t, user.Command(path, "-no-such-flag"), nil)
		// The recorder is a shell: what it doesn't know is its shell's.
		if name != "castgate-wrap" && (got.Status == 0 || got.Stdout != "" || !strings.HasPrefix(got.Stderr, name+": ")) {
			t.Errorf("%s -no-such-flag: %s", path, show(got))
		}
		info := hosttest.Run(t, "go", "version", "-m", path)
		for _, want := range []string{"CGO_ENABLED=0", "-trimpath=true"} {
			if !strings.Contains(info, want) {
				t.Errorf("%s was built without %s", path, want)
			}
		}
		f, err := elf.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		if libs, err := f.ImportedLibraries(); err != nil || len(libs) > 0 || f.Section(".interp") != nil {
			t.Errorf("%s is not static: %v, %v", path, libs, err)
		}
		f.Close()
	}
}
