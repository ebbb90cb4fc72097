// SPDX-License-Identifier: AGPL-3.0-or-later

package once_test

import (
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"castgate/packaging/hosttest"
)

// TestRecordedAsByWrap: castgate-wrap and castgate-once write the same recording
// of the same session, from the header to the status.
func TestRecordedAsByWrap(t *testing.T) {
	key := hosttest.NewKey(t, "ed25519")
	hosttest.Install(t)
	user := hosttest.AddUser(t, "conform", "/usr/bin/castgate-wrap")
	user.Authorize(t, key)
	shell := filepath.Join("/usr/local/bin", "conform", "bash")
	hosttest.Run(t, "mkdir", filepath.Dir(shell))
	hosttest.Config(t, "wrap", "guard: \"no\"\nnotice: \"\"\nlimits: {free: 1MiB}\nshells: {conform: "+shell+"}\n")
	sshd := hosttest.StartSshd(t, "ForceCommand exec /usr/bin/castgate-wrap", "AcceptEnv LANG LC_*")
	for _, tt := range []struct {
		name, command, stdin string
		options              []string
		gone                 bool // its shell
	}{
		{"command", "echo out; echo err >&2; exit 7", "", nil, false},
		{"input", "cat", "hello", nil, false},
		{"not found", "/no/such/program", "", nil, false},
		{"not text", `printf 'a\377\000\376b'`, "", nil, false},
		{"killed", "kill -TERM $$", "", nil, false},
		{"terminal", "echo hello; exit 9", "", []string{"-tt"}, false},
		{"terminal, killed", "kill -HUP $$", "", []string{"-tt"}, false},
		{"shell", "", "exit 3\n", []string{"-T"}, false},
		{"language", "true", "", []string{"-o", "SetEnv=LANG=C.UTF-8"}, false},
		{"transfer", "internal-sftp -h", "", nil, false},
		{"no shell", "echo in", "", nil, true},
		{"no shell on a terminal", "echo in", "", []string{"-tt"}, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			hosttest.Run(t, "cp", "/bin/bash", shell)
			words := strings.Fields(tt.command)
			cmd := command(t, "-authorized-keys", authorized(t, key.Line), "-log", filepath.Join(t.TempDir(), "log.cast"))
			cmd.Env = append(cmd.Env, "SHELL="+shell)
			s := run(t, cmd).ready()
			s.log = cmd.Args[len(cmd.Args)-1]
			if tt.gone {
				if err := os.Remove(shell); err != nil {
					t.Fatal(err)
				}
			}
			want := hosttest.Do(t, sshd.Ssh(key, user.Name, tt.options, words...), strings.NewReader(tt.stdin))
			got := hosttest.Do(t, s.ssh(key, tt.options, words...), strings.NewReader(tt.stdin))
			s.wait()
			if got.Status != want.Status || !tt.gone && got.Stdout != want.Stdout {
				t.Errorf("got %d %q, want %d %q", got.Status, got.Stdout, want.Status, want.Stdout)
			}
			same(t, s.recording(), byWrap(t), got.Stdout+quiet(got.Stderr), want.Stdout+quiet(want.Stderr))
		})
	}
}

// byWrap is the only finished recording of castgate-wrap.
func byWrap(t *testing.T) recording {
	t.Helper()
	var files []string
	hosttest.WaitFor(t, "a recording of castgate-wrap", func() bool {
		files, _ = filepath.Glob("/var/spool/castgate/incoming/*.cast")
		return len(files) == 1
	})
	f, err := os.Open(files[0])
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	defer os.Remove(files[0])
	return parse(t, f)
}

// same holds what castgate-once recorded against what castgate-wrap did, and both
// against what they showed, where that is recorded at all.
func same(t *testing.T, once, wrap recording, onceShown, wrapShown string) {
	t.Helper()
	o, w := once.header, wrap.header
	if o.Session.Mode != "once" || w.Session.Mode != "setgid" || o.Session.UID != os.Getuid() || w.Session.UID == 0 {
		t.Errorf("%+v, %+v", o.Session, w.Session)
	}
	for _, f := range []string{"ID", "Mode", "User", "UID", "Key", "Client", "Server", "Guard", "Nested", "Audit"} { // whose they are
		reflect.ValueOf(o.Session).Elem().FieldByName(f).SetZero()
		reflect.ValueOf(w.Session).Elem().FieldByName(f).SetZero()
	}
	o.Timestamp, w.Timestamp = 0, 0
	if !reflect.DeepEqual(o, w) {
		t.Errorf("castgate-once's header\n%+v %+v\ncastgate-wrap's\n%+v %+v", o, o.Session, w, w.Session)
	}
	if !slices.Equal(slices.Sorted(maps.Keys(once.events)), slices.Sorted(maps.Keys(wrap.events))) || !reflect.DeepEqual(once.events, wrap.events) {
		t.Errorf("castgate-once's events %q, castgate-wrap's %q", once.events, wrap.events)
	}
	if o.Session.Kind == "subsystem" {
		return
	}
	plain := func(s string) string { return strings.ReplaceAll(s, "\r", "") }
	if len(plain(once.output)) != len(plain(onceShown)) || len(plain(wrap.output)) != len(plain(wrapShown)) {
		t.Errorf("castgate-once recorded %q of %q, castgate-wrap %q of %q", once.output, onceShown, wrap.output, wrapShown)
	}
}
