// SPDX-License-Identifier: AGPL-3.0-or-later

package host

import (
	"context"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"castgate/wrap/restrict"
)

// dumps are what `sshd -T -C …` printed on Debian 12, 13 and sid where castgate
// is enabled.
var dumps = map[string]version{"9.2": {9, 2, ""}, "10.0": {10, 0, ""}, "10.6": {10, 6, ""}}

func dump(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile("testdata/sshd-T-" + name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// fromSSHD are the checks that judge what sshd printed and nothing else.
var fromSSHD = map[string]func(*Host) []Finding{
	"keysCommand":       (*Host).keysCommand,
	"tokens":            (*Host).tokens,
	"principals":        (*Host).principals,
	"authorizedFiles":   (*Host).authorizedFiles,
	"passwords":         (*Host).passwords,
	"forced":            (*Host).forced,
	"emptyHome":         (*Host).emptyHome,
	"forwarding":        (*Host).forwarding,
	"userRC":            (*Host).userRC,
	"userEnvironment":   (*Host).userEnvironment,
	"clientEnvironment": (*Host).clientEnvironment,
	"pam":               (*Host).pam,
	"idleConnections":   (*Host).idleConnections,
	"logLevel":          (*Host).logLevel,
}

func TestSettingsOfEveryVersion(t *testing.T) {
	for name, v := range dumps {
		s := parseSettings(dump(t, name))
		for key, want := range map[string][]string{
			"forcecommand":          {"exec /usr/bin/castgate-wrap"},
			"authorizedkeyscommand": {"/usr/bin/castgate-keys %u %t %k"},
			"setenv":                {"HOME=/usr/lib/castgate/home"},
			"loglevel":              {"VERBOSE"},
			"listenaddress":         {"[::]:22", "0.0.0.0:22"},
		} {
			if !slices.Equal(s[key], want) {
				t.Errorf("OpenSSH %s: %s is %q, want %q", name, key, s[key], want)
			}
		}
		h := &Host{ctx: context.Background(), version: v, Accounts: []Account{{Name: "daemon", UID: 1000}}, sshd: map[string]settings{"daemon": s}} // every Linux has it, without a password
		for check, run := range fromSSHD {
			if found := run(h); len(found) != 1 || found[0].Level != OK {
				t.Errorf("OpenSSH %s, %s: %v", name, check, found)
			}
		}
	}
}

// What sshd did not say is not "set as it should be".
func TestNoAnswerIsNoGoodAnswer(t *testing.T) {
	whole := dump(t, "10.6")
	for name, text := range map[string]string{
		"nothing":           "",
		"another program's": "usage: sshd [-46DdeiqTtV]\n",
		"without one line":  strings.Replace(whole, "AuthenticationMethods any\n", "", 1),
	} {
		if parseSettings(text).complete() == nil {
			t.Errorf("%s: taken for sshd's settings", name)
		}
	}
	for name := range dumps {
		if err := parseSettings(dump(t, name)).complete(); err != nil {
			t.Errorf("OpenSSH %s: %v", name, err)
		}
	}
}

// Without a list of the accounts nothing is planned.
func TestNoListOfAccounts(t *testing.T) {
	empty := t.TempDir()
	t.Setenv("PATH", empty) // no getent
	if all, err := accounts(t.Context()); err == nil {
		t.Errorf("the accounts are %v", all)
	}
	put(t, filepath.Join(empty, "getent"), "#!/bin/sh\n", 0o755)
	if all, err := accounts(t.Context()); err == nil {
		t.Errorf("the accounts are %v", all)
	}
}

func TestAnswering(t *testing.T) {
	ctx := t.Context()
	if _, err := answering(ctx, nil, 0); err == nil {
		t.Error("an sshd that listens nowhere answers")
	}
	l, err := net.Listen("tcp4", "0.0.0.0:0")
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = c.Write([]byte("SSH-2.0-Test\r\n"))
			c.Close()
		}
	}()
	at := netip.AddrPortFrom(netip.IPv4Unspecified(), l.Addr().(*net.TCPAddr).AddrPort().Port())
	if got, err := answering(ctx, []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:1"), at}, 0); err != nil || !strings.HasPrefix(got, "127.0.0.1:") {
		t.Error(got, err)
	}
	if own := listening(os.Getpid()); !slices.Contains(own, at) {
		t.Errorf("this process listens at %v, want %v", own, at)
	}
	l.Close()
	if _, err := answering(ctx, []netip.AddrPort{at}, 0); err == nil {
		t.Error("a closed port answers")
	}
}

func TestProcAddress(t *testing.T) {
	for text, want := range map[string]string{
		"0100007F:0016": "127.0.0.1:22", "00000000:08AE": "0.0.0.0:2222",
		"00000000000000000000000001000000:0016": "[::1]:22", "B80D0120000000000000000001000000:0016": "[2001:db8::1]:22",
	} {
		if got, err := procAddress(text); err != nil || got.String() != want {
			t.Errorf("%s: %v, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "00:0016", "0100007F", "zz:1"} {
		if got, err := procAddress(text); err == nil {
			t.Errorf("%q: %v", text, got)
		}
	}
}

// What stands on its command line is sshd's to tell, too.
func TestServersArguments(t *testing.T) {
	for title, want := range map[string]string{
		"sshd: /usr/sbin/sshd -D [listener] 0 of 10-100 startups":                                                               "",
		"sshd: /usr/sbin/sshd -D -o AuthorizedKeysCommand /x/eic %u %f -o AuthorizedKeysCommandUser eic [listener] 0 of 10-100": "-o|AuthorizedKeysCommand /x/eic %u %f|-o|AuthorizedKeysCommandUser eic",
		"sshd: /usr/sbin/sshd -D -f /etc/ssh/other -p 2222 -e [listener] 1 of 10-100":                                           "-f|/etc/ssh/other|-p|2222",
	} {
		if got := strings.Join(configuring(restrict.Listener([]byte(title))), "|"); got != want {
			t.Errorf("%s: %q", title, got)
		}
	}
	if args := restrict.Listener([]byte("sshd: octocat [priv]")); args != nil {
		t.Errorf("a session's process listens: %v", args)
	}
}

// The list of whose key a key is belongs to castgate-keys: what is no login in it
// is no argument of a program that root runs.
func TestMemberNamesAreLogins(t *testing.T) {
	dir := t.TempDir()
	put(t, filepath.Join(dir, "logins"), "SHA256:a OctoCat 1 2 3\nSHA256:b --service=/tmp/x 1 2 3\nSHA256:c mona 2 2 3\nSHA256:d\n", 0o600)
	if got := strings.Join(memberNames(dir), " "); got != "mona octocat" {
		t.Errorf("got %q", got)
	}
}
