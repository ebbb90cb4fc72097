// SPDX-License-Identifier: AGPL-3.0-or-later

package wrap_test

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"testing"

	"castgate/packaging/hosttest"
)

// fields reads a line of the log: words of the form key=value, where a value
// with anything unusual is quoted as Go and JSON quote.
func fields(t *testing.T, line string) map[string]string {
	t.Helper()
	_, rest, ok := strings.Cut(line, "]: ")
	if !ok {
		t.Fatalf("no line of a program: %q", line)
	}
	all := map[string]string{}
	for rest != "" {
		key, value, _ := strings.Cut(rest, "=")
		if strings.HasPrefix(value, `"`) {
			quoted, err := strconv.QuotedPrefix(value)
			if err != nil {
				t.Fatalf("%v in %q", err, line)
			}
			rest = strings.TrimPrefix(value[len(quoted):], " ")
			value, _ = strconv.Unquote(quoted)
		} else {
			value, rest, _ = strings.Cut(value, " ")
		}
		if _, twice := all[key]; twice || key == "" || strings.ContainsAny(key, " \"") {
			t.Fatalf("key %q in %q", key, line)
		}
		all[key] = value
	}
	return all
}

// TestOneLineAtStartAndEnd: each session has one of both, with the same fields
// about who it was, and whatever the client sends they stay one line.
func TestOneLineAtStartAndEnd(t *testing.T) {
	h := newHost(t, "/bin/bash")
	who := []string{"session", "account", "uid", "login", "key", "client", "kind", "tty", "mode", "nested", "parent"}
	for _, tt := range []struct {
		options []string
		command string
		stdin   string
		want    map[string]string // of the last line
	}{
		{nil, "echo 'a\nmsg=\"session end\" session=forged' >&2; exit 7", "", map[string]string{"kind": "command", "tty": "false", "status": "7", "hangup": "false", "lost": ""}},
		{[]string{"-tt"}, "printf 12345; kill -TERM $$", "", map[string]string{"kind": "command", "tty": "true", "status": "143", "shown": "5"}},
		{nil, "scp -f /etc/hostname", "\x00\x00\x00", map[string]string{"kind": "transfer"}},
	} {
		h.log.Forget()
		hosttest.Config(t, "wrap", "notice: \"\"\nlimits: {free: 1MiB}\n")
		hosttest.Do(t, h.Ssh(h.key, h.user.Name, tt.options, tt.command), strings.NewReader(tt.stdin))
		rec := one(t)
		h.log.Wait(t, "session end")
		var lines []map[string]string
		for _, line := range h.log.Lines() {
			if strings.Contains(line, "castgate-wrap[") {
				f := fields(t, line)
				if _, err := json.Marshal(f); err != nil || f["msg"] == "guard absent" {
					continue
				}
				lines = append(lines, f)
			}
		}
		if len(lines) != 2 || lines[0]["msg"] != "session start" || lines[1]["msg"] != "session end" {
			t.Fatalf("%q: %q", tt.command, lines)
		}
		for _, key := range who {
			start, ok := lines[0][key]
			end, too := lines[1][key]
			if !ok || !too || start != end {
				t.Errorf("%q: %s is %q, then %q", tt.command, key, start, end)
			}
		}
		want := map[string]string{"session": rec.Header.Session.ID, "account": h.user.Name, "uid": strconv.Itoa(h.user.UID), "client": rec.Header.Session.Client, "mode": "setgid"}
		for key, value := range tt.want {
			want[key] = value
		}
		for key, value := range want {
			if lines[1][key] != value {
				t.Errorf("%q: %s is %q, want %q", tt.command, key, lines[1][key], value)
			}
		}
		if kind := lines[1]["kind"]; (lines[1]["transfer"] != "") != slices.Contains([]string{"transfer", "subsystem"}, kind) {
			t.Errorf("%q: a %s of %q", tt.command, kind, lines[1]["transfer"])
		}
	}
}
