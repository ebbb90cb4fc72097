// SPDX-License-Identifier: AGPL-3.0-or-later

package host

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"castgate/upload/target"
	"castgate/wrap/asciicast"
	wrapconfig "castgate/wrap/config"
)

// aJournal answers as journalctl does (man page, --output=json): fields of
// more than 4096 bytes are null without --all. Ours asks for it by the unit.
const aJournal = `#!/bin/sh
case "$*" in
*_SYSTEMD_UNIT=*) of=guard ;;
*) of=sshd ;;
esac
test -e "$JOURNAL/$of" || { echo "Failed to open files" >&2; exit 1; }
case "$*" in
*--all*) cat "$JOURNAL/$of" ;;
*) awk 'length > 4096 { print "{\"MESSAGE\":null}"; next } { print }' "$JOURNAL/$of" ;;
esac
`

// journaled is a host with these lines in its journal and no recording yet.
func journaled(t *testing.T, lines map[string]string) *Host {
	t.Helper()
	dir := t.TempDir()
	t.Setenv("JOURNAL", dir)
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
	put(t, filepath.Join(dir, "journalctl"), aJournal, 0o755)
	for of, line := range lines {
		text, err := json.Marshal(map[string]string{"MESSAGE": line})
		if err != nil {
			t.Fatal(err)
		}
		put(t, filepath.Join(dir, of), string(text)+"\n", 0o644)
	}
	h := &Host{ctx: t.Context(), Wrap: wrapconfig.Config{Spool: filepath.Join(dir, "spool")}}
	h.Upload.Targets = []target.Config{{Dir: &target.DirConfig{Path: filepath.Join(dir, "archive")}}}
	return h
}

func put(t *testing.T, path, text string, mode os.FileMode) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
}

// spooled leaves the recording of a session there.
func (h *Host) spooled(t *testing.T, s asciicast.Session) {
	t.Helper()
	line := asciicast.Header{Session: &s}
	put(t, filepath.Join(h.Wrap.Spool, "live", s.ID+".cast"), string(asciicast.AppendHeader(nil, line)), 0o644)
}

const begun = "Starting session: shell on pts/1 for alice from 192.0.2.1 port 5 id 0"

// TestByHandIsNoRecording: a recording that a program of the session's own has
// made does not stand for the one that is missing, whichever of the two says
// so, the guard's log or the recording, and however long the line is.
func TestByHandIsNoRecording(t *testing.T) {
	s := asciicast.Session{ID: "a", User: "alice", Client: "192.0.2.1 5"}
	behind := s
	behind.Standing = "behind"
	const direct, outside = "msg=session session=a standing=direct", "msg=session session=a standing=outside"
	for name, tt := range map[string]struct {
		guard    string
		recorded asciicast.Session
		level    Level
	}{
		"recorded":             {direct, s, OK},
		"the log says":         {outside, s, Fail},
		"the log says at last": {outside + " between=" + strings.Repeat("x", 5000), s, Fail},
		"the recording says":   {"msg=other", behind, Fail},
	} {
		t.Run(name, func(t *testing.T) {
			h := journaled(t, map[string]string{"sshd": begun, "guard": tt.guard})
			h.spooled(t, tt.recorded)
			if got := h.Sessions(time.Now().Add(-time.Hour)); len(got) != 1 || got[0].Level != tt.level {
				t.Errorf("got %v", got)
			}
		})
	}
}

// TestGuardLogUnread: without it nothing is known to be recorded.
func TestGuardLogUnread(t *testing.T) {
	h := journaled(t, map[string]string{"sshd": begun})
	h.spooled(t, asciicast.Session{ID: "a", User: "alice", Client: "192.0.2.1 5"})
	if got := h.Sessions(time.Now().Add(-time.Hour)); len(got) != 1 || got[0].Level != Fail {
		t.Errorf("got %v", got)
	}
}
