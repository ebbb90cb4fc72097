// SPDX-License-Identifier: AGPL-3.0-or-later

package host

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"castgate/keys"
)

const aKey = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl"

func TestWays(t *testing.T) {
	home := t.TempDir()
	file := filepath.Join(home, ".ssh", "authorized_keys")
	put(t, file, "# mine\n"+aKey+"\n"+aKey+"\ncommand=\"backup\" "+aKey+"\ncert-authority "+aKey+"\n", 0o600)
	mldsa := "ssh-mldsa44-ed25519@openssh.com AAAAH3NzaC1tbGRzYTQ0LWVkMjU1MTlAb3BlbnNzaC5jb20AAAABYQ=="
	other := filepath.Join(home, "other")
	put(t, other, mldsa+"\n", 0o600)
	a := Account{Name: "nobody-of-this-host", UID: 1000, Home: home}
	for name, tt := range map[string]struct {
		account Account
		s       settings
		want    []string
	}{
		"none":            {a, settings{"authorizedkeysfile": {"none"}, "authorizedkeyscommand": {"none"}}, nil},
		"no answer":       {a, nil, nil},
		"not printed":     {a, settings{"authorizedkeyscommand": {"none"}}, nil},
		"keys":            {a, settings{"authorizedkeysfile": {".ssh/authorized_keys"}, "authorizedkeyscommand": {"none"}}, []string{"2 keys in " + file, "1 key with command= in " + file, "1 authority of certificates in " + file}},
		"a new type":      {a, settings{"authorizedkeysfile": {other}, "authorizedkeyscommand": {"none"}}, []string{"1 key in " + other}},
		"no key wanted":   {a, settings{"authorizedkeysfile": {".ssh/authorized_keys"}, "authorizedkeyscommand": {"none"}, "pubkeyauthentication": {"no"}}, nil},
		"another program": {a, settings{"authorizedkeyscommand": {"/usr/bin/sss_ssh_authorizedkeys %u"}}, []string{"keys that /usr/bin/sss_ssh_authorizedkeys tells"}},
		"ours is not one": {a, settings{"authorizedkeyscommand": {keysPath + " %u %t %k"}}, nil},
		"denied":          {a, settings{"authorizedkeysfile": {other}, "authorizedkeyscommand": {"none"}, "denyusers": {"nobody-*"}}, nil},
		"not allowed":     {a, settings{"authorizedkeysfile": {other}, "authorizedkeyscommand": {"none"}, "allowusers": {"alice", "bob@192.0.2.1"}}, nil},
		"root, closed":    {Account{Name: "root", Home: home}, settings{"authorizedkeysfile": {other}, "authorizedkeyscommand": {"none"}, "permitrootlogin": {"no"}}, nil},
	} {
		if got := ways(tt.account, tt.s); !slices.Equal(got, tt.want) {
			t.Errorf("%s: %q, want %q", name, got, tt.want)
		}
	}
}

// Each of the three reasons stands for itself.
func TestRefusedToLockOut(t *testing.T) {
	root, alice := Account{Name: "root"}, Account{Name: "alice", UID: 1000}
	for name, tt := range map[string]struct {
		a    access
		want string
	}{
		"well": {access{
			answers: map[string]keys.Answer{"alice": {Keys: 1, People: []string{"alice"}}},
			after:   map[string][]string{"alice": {byGitHub}, "root": {"1 key in /root/.ssh/authorized_keys"}},
		}, ""},
		"nobody": {access{
			answers: map[string]keys.Answer{"alice": {Why: "not configured"}},
			after:   map[string][]string{"root": {"1 key"}},
		}, "castgate-keys opens no account: not configured"},
		"who is here": {access{
			answers: map[string]keys.Answer{"alice": {Keys: 1}, "bob": {Why: "in no team"}},
			before:  map[string][]string{"bob": {"2 keys"}},
			after:   map[string][]string{"alice": {byGitHub}, "root": {"1 key"}},
			behind:  "bob",
		}, "bob, who is here, would not get in any more: in no team"},
		"nothing without GitHub": {access{
			answers: map[string]keys.Answer{"alice": {Keys: 1}},
			after:   map[string][]string{"alice": {byGitHub}},
		}, "without GitHub"},
	} {
		tt.a.accounts = []Account{root, alice}
		err := tt.a.refused(false)
		if (err == nil) != (tt.want == "") || err != nil && (!strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "\n")) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestCauses(t *testing.T) {
	for log, want := range map[string]string{
		"Access denied for user alice by PAM account configuration [preauth]":      "PAM's account stack",
		"User alice from 192.0.2.1 not allowed because not listed in AllowUsers":   "AllowUsers does not name it",
		"User alice not allowed because account is locked":                         "usermod -p",
		"Authentication refused: bad ownership or modes for directory /home/alice": "others may write",
		"Connection from 127.0.0.1 port 4711":                                      "",
	} {
		if got := strings.Join(toldBySSHD(log+"\n"), ""); (got == "") != (want == "") || !strings.Contains(got, want) {
			t.Errorf("%s: %q", log, got)
		}
	}
	all := strings.Join(causes(Account{Name: "x", UID: 1000, Shell: "/bin/rbash"}, settings{"allowusers": {"y"}}), "; ")
	if !strings.Contains(all, "AllowUsers") || !strings.Contains(all, "rbash") {
		t.Error(all)
	}
	if all := causes(Account{Name: "x", UID: 1000, Shell: "/bin/sh"}, settings{}); len(all) > 0 {
		t.Error(all)
	}
}

// A blank answer of the recorder's is no recording.
func TestTrialWantsARecording(t *testing.T) {
	if err := (&trial{}).recorded(""); err == nil {
		t.Error("a session without an id counts as recorded")
	}
	for line, want := range map[string]string{
		"castgate-trial 01a200b6-0255-7efd-8b61-3b923d55b0ea\r": "01a200b6-0255-7efd-8b61-3b923d55b0ea",
		"castgate-trial ":                 "",
		"castgate-trial ../../etc/shadow": "",
	} {
		if m := trialLine.FindStringSubmatch(line); m == nil || m[1] != want {
			t.Errorf("%q: %q", line, m)
		}
	}
}

func TestDirectives(t *testing.T) {
	shipped, err := os.ReadFile("../../../packaging/ssh/10-castgate.conf.example")
	if err != nil {
		t.Fatal(err)
	}
	all := directives(shipped)
	if !slices.Contains(all, "AuthorizedKeysFile .ssh/authorized_keys") || slices.ContainsFunc(all, func(l string) bool { return l[0] == '#' }) {
		t.Errorf("%q", all)
	}
}
