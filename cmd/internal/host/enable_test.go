// SPDX-License-Identifier: AGPL-3.0-or-later

package host

import (
	"maps"
	"os"
	"strings"
	"testing"

	wrapconfig "castgate/wrap/config"
)

func TestWithShells(t *testing.T) {
	shipped, err := os.ReadFile("../../../packaging/etc/wrap.yaml")
	if err != nil {
		t.Fatal(err)
	}
	two := map[string]string{"alice": "/bin/bash", "bob.x-1": "/usr/bin/zsh"}
	for name, text := range map[string]string{
		"shipped":               string(shipped),
		"empty":                 "",
		"no newline":            "guard: use",
		"flow":                  "shells: {carol: /bin/dash, alice: /bin/sh} # a comment\nguard: use\n",
		"block":                 "guard: use\nshells:\n  carol: /bin/dash\n\n  # a comment\n  alice: /bin/sh\nplain: no\n",
		"flow, several lines":   "shells: {carol: /bin/dash,\n  alice: /bin/sh}\nplain: no\n",
		"a brace at the margin": "shells: {\n  carol: /bin/dash\n}\nplain: no\n",
		"at the end":            "# a\nshells:\n  carol: /bin/dash",
	} {
		before, err := wrapconfig.Parse([]byte(text))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		after, err := withShells([]byte(text), two)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		conf, err := wrapconfig.Parse(after)
		if err != nil || !maps.Equal(conf.Shells, two) || conf.Guard != before.Guard || conf.Plain != before.Plain {
			t.Errorf("%s: %v, %v\n%s", name, conf, err, after)
		}
		if back, err := withShells(after, before.Shells); err != nil || strings.Count(string(back), "shells:") != strings.Count(text, "shells:") {
			t.Errorf("%s: back: %v\n%s", name, err, back)
		}
		if same, err := withShells(after, two); err != nil || string(same) != string(after) {
			t.Errorf("%s: again: %v\n%s", name, err, same)
		}
	}
	if back, err := withShells(must(withShells(shipped, two)), nil); err != nil || string(back) != string(shipped) {
		t.Errorf("the shipped file does not come back: %v\n%s", err, back)
	}
	for name, text := range map[string]string{
		"not known":      "shels: {a: /b}\n",
		"in one mapping": "{guard: use, shells: {a: /b}}\n",
	} {
		if after, err := withShells([]byte(text), two); err == nil {
			t.Errorf("%s: %s", name, after)
		}
	}
}

func must(b []byte, err error) []byte {
	if err != nil {
		panic(err)
	}
	return b
}

func TestPAM(t *testing.T) {
	const (
		before = "# user_readenv=1\nsession required pam_env.so # [1]\nsession    required     pam_env.so user_readenv=1 envfile=/etc/default/locale"
		env    = "# user_readenv=1\nsession required pam_env.so # [1]\nsession    required     pam_env.so envfile=/etc/default/locale"
	)
	if !readenv.MatchString(before) || readenv.MatchString(env) {
		t.Error("the line is not recognised")
	}
	wanted := string(pamWanted([]byte(before), false))
	// The hook comes before what may set variables.
	if wanted != "# user_readenv=1\n"+sessionHookLine+env[len("# user_readenv=1\n"):] {
		t.Errorf("got %q", wanted)
	}
	if again := string(pamWanted([]byte(wanted), true)); again != wanted {
		t.Errorf("a second time: %q", again)
	}
	if got := string(pamWanted([]byte("session required pam_loginuid.so"), false)); got != "session required pam_loginuid.so\n"+sessionHookLine {
		t.Errorf("without pam_env: %q", got)
	}
	if got := string(pamWanted([]byte(before), true)); got != env {
		t.Errorf("hooked elsewhere: %q", got)
	}
}

func TestNarrowed(t *testing.T) {
	shipped, err := os.ReadFile("../../../packaging/ssh/10-castgate.conf.example")
	if err != nil {
		t.Fatal(err)
	}
	usual := settings{"authorizedkeysfile": {".ssh/authorized_keys .ssh/authorized_keys2"}}
	if got := narrowed(shipped, settings{}, usual); string(got) != string(shipped) {
		t.Errorf("an ordinary host gets another file:\n%s", got)
	}
	got := string(narrowed(shipped, settings{
		"setenv": {"HOME=/x", "TMOUT=600", "A=b c"}, "unusedconnectiontimeout": {"5"},
	}, settings{"authorizedkeysfile": {"/etc/ssh/keys/%u"}}))
	for _, want := range []string{
		"\n    AuthorizedKeysFile /etc/ssh/keys/%u\n", "\nSetEnv HOME=/usr/lib/castgate/home \"TMOUT=600\" \"A=b c\"\n",
		"\nUnusedConnectionTimeout 5\n", "\nAuthorizedKeysFile none\n",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
	if got := string(narrowed(shipped, settings{}, settings{})); !strings.Contains(got, "\n    AuthorizedKeysFile none\n") {
		t.Errorf("no file before, and one after:\n%s", got)
	}
	if got := string(narrowed(shipped, settings{"unusedconnectiontimeout": {"none"}}, usual)); got != string(shipped) {
		t.Errorf("a timeout of none:\n%s", got)
	}
}

func TestWidened(t *testing.T) {
	all := []Account{{Name: "root"}, {Name: "alice", UID: 1000}}
	ours := settings{"forcecommand": {"exec " + wrapPath}, "authorizedkeysfile": {"none"}}
	for name, tt := range map[string]struct {
		was, is settings
		want    string
	}{
		"nothing before":      {settings{"forcecommand": {"none"}, "authorizedkeysfile": {".ssh/authorized_keys"}}, ours, ""},
		"ours before":         {ours, ours, ""},
		"sftp only":           {settings{"forcecommand": {"internal-sftp"}}, ours, "internal-sftp"},
		"sftp only, it stays": {settings{"forcecommand": {"internal-sftp"}}, settings{"forcecommand": {"internal-sftp"}, "authorizedkeysfile": {"none"}}, ""},
		"another file":        {settings{"forcecommand": {"none"}, "authorizedkeysfile": {"/etc/keys/%u"}}, settings{"forcecommand": {"none"}, "authorizedkeysfile": {".ssh/authorized_keys"}}, ".ssh/authorized_keys"},
	} {
		err := widened(all, map[string]settings{"root": ours, "alice": tt.was}, map[string]settings{"root": ours, "alice": tt.is})
		if (err == nil) != (tt.want == "") || err != nil && (!strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), "alice")) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
