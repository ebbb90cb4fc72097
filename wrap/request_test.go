// SPDX-License-Identifier: AGPL-3.0-or-later

package wrap

import (
	"slices"
	"strings"
	"testing"

	"castgate/wrap/account"
)

func TestParseRequest(t *testing.T) {
	for _, tt := range []struct {
		name string
		argv []string
		env  map[string]string
		want request
	}{
		{"ForceCommand, shell", []string{"/usr/bin/castgate-wrap"}, map[string]string{"SSH_CONNECTION": "x"}, request{Login: true, SSH: true, Forced: true}},
		{
			"ForceCommand, command",
			[]string{"castgate-wrap"},
			map[string]string{"SSH_CONNECTION": "x", "SSH_ORIGINAL_COMMAND": "ls"},
			request{Command: "ls", HasCommand: true, SSH: true, Forced: true},
		},
		{
			"ForceCommand, empty command",
			[]string{"castgate-wrap"},
			map[string]string{"SSH_CONNECTION": "x", "SSH_ORIGINAL_COMMAND": ""},
			request{HasCommand: true, SSH: true, Forced: true},
		},
		{"login shell", []string{"-castgate-wrap"}, map[string]string{"SSH_CONNECTION": "x"}, request{Login: true, AsShell: true, SSH: true}},
		{
			"login shell, a client's variable",
			[]string{"-castgate-wrap"},
			map[string]string{"SSH_CONNECTION": "x", "SSH_ORIGINAL_COMMAND": "evil"},
			request{Login: true, AsShell: true, SSH: true},
		},
		{
			"login shell, a key's command",
			[]string{"castgate-wrap", "-c", "ls"},
			map[string]string{"SSH_CONNECTION": "x", "SSH_ORIGINAL_COMMAND": "asked"},
			request{Command: "ls", HasCommand: true, AsShell: true, SSH: true, Original: "asked", HasOriginal: true},
		},
		{
			"both",
			[]string{"castgate-wrap", "-c", "exec /usr/bin/castgate-wrap"},
			map[string]string{"SSH_CONNECTION": "x", "SSH_ORIGINAL_COMMAND": "ls"},
			request{Command: "ls", HasCommand: true, SSH: true, Forced: true},
		},
		{
			"both, shell",
			[]string{"castgate-wrap", "-c", "/usr/bin/castgate-wrap"},
			map[string]string{"SSH_CONNECTION": "x"},
			request{Login: true, SSH: true, Forced: true},
		},
		{"su -", []string{"-castgate-wrap"}, nil, request{Login: true, AsShell: true}},
		{"su", []string{"castgate-wrap"}, map[string]string{"SSH_CONNECTION": "x", "SSH_ORIGINAL_COMMAND": "evil"}, request{AsShell: true, SSH: true}},
		{"su -c", []string{"castgate-wrap", "-c", "ls"}, nil, request{Command: "ls", HasCommand: true, AsShell: true}},
		{"su -l -c", []string{"-castgate-wrap", "-c", "ls"}, nil, request{Command: "ls", HasCommand: true, Login: true, AsShell: true}},
	} {
		got := parseRequest(tt.argv, strings.HasPrefix(tt.name, "su"), func(k string) (string, bool) { v, ok := tt.env[k]; return v, ok })
		if got != tt.want {
			t.Errorf("%s: got %+v, want %+v", tt.name, got, tt.want)
		}
	}
}

func TestRestrictTo(t *testing.T) {
	for asked, want := range map[request]request{
		{Login: true, SSH: true, Forced: true}:                     {Command: "x", HasCommand: true, SSH: true, Forced: true},
		{Command: "ls", HasCommand: true, SSH: true, Forced: true}: {Command: "x", HasCommand: true, SSH: true, Forced: true, Original: "ls", HasOriginal: true},
	} {
		if asked.restrictTo("x"); asked != want {
			t.Errorf("got %+v, want %+v", asked, want)
		}
	}
}

func TestEnvironment(t *testing.T) {
	got := environment([]string{
		"PATH=/bin", "HOME=/usr/lib/castgate/home", "SHLVL=0", "_=x", "PWD=/", "SHELL=/usr/bin/castgate-wrap",
		"SSH_ORIGINAL_COMMAND=x", "SSH_TTY=/dev/pts/1", "LC_ALL=xx", "CASTGATE_SESSION=forged",
	},
		account.Account{Name: "a", Home: "/home/a"}, "/bin/zsh", "/dev/pts/2", "id")
	want := []string{"PATH=/bin", "LC_ALL=xx", "HOME=/home/a", "SHELL=/bin/zsh", "SSH_TTY=/dev/pts/2", "CASTGATE_SESSION=id"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q", got)
	}
}
