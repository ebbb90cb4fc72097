// SPDX-License-Identifier: AGPL-3.0-or-later

package host

import (
	"context"
	"io"
	"net"
	"os"
	"slices"
	"strings"
	"testing"
)

// dumps are what `sshd -T -C …` printed on Debian 12, 13 and sid where castgate
// is enabled.
var dumps = map[string]version{"9.2": {9, 2}, "10.0": {10, 0}, "10.6": {10, 6}}

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
		h := &Host{ctx: context.Background(), version: v, Accounts: []Account{{Name: "octocat", UID: 1000}}, sshd: map[string]settings{"octocat": s}}
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

// Without a list of the accounts nobody has been tried.
func TestNoListOfAccountsIsNoTrial(t *testing.T) {
	t.Setenv("PATH", t.TempDir()) // no getent
	ctx := context.Background()
	if err := (&Switch{Out: io.Discard}).try(ctx, trialAccount(ctx, "")); err == nil {
		t.Error("a trial login of nobody has worked")
	}
}

func TestAnswersAt(t *testing.T) {
	ctx := context.Background()
	if err := answersAt(ctx, nil, 0); err == nil {
		t.Error("an sshd that listens nowhere answers")
	}
	l, err := net.Listen("tcp4", "127.0.0.1:0")
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
	if err := answersAt(ctx, []string{"127.0.0.1:1", l.Addr().String()}, 0); err != nil {
		t.Error(err)
	}
	l.Close()
	if err := answersAt(ctx, []string{l.Addr().String()}, 0); err == nil {
		t.Error("a closed port answers")
	}
}
