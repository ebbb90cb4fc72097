// SPDX-License-Identifier: AGPL-3.0-or-later

package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"castgate/upload/archive"
	"castgate/wrap/asciicast"
	"castgate/wrap/spool"
)

// spooled makes a recording of the spool in live/; whoever has the file is its
// recorder.
func spooled(t *testing.T, path, id, user string, start time.Time) *os.File {
	t.Helper()
	dir, err := spool.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer dir.Close()
	f, err := dir.Create(id)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	line := asciicast.AppendHeader(nil, asciicast.Header{
		Term: asciicast.Term{Cols: 80, Rows: 24}, Timestamp: start.Unix(), Command: "id\x1b[2J",
		Session: &asciicast.Session{ID: id, Mode: "plain", Host: "web1", User: user, TTY: true, Kind: asciicast.KindCommand, Version: "castgate 1.0.0"},
	})
	if _, err := f.Write(line); err != nil {
		t.Fatal(err)
	}
	return f
}

func TestLsShowsTheSpool(t *testing.T) {
	f := newFixture(t)
	path := t.TempDir()
	for _, d := range []string{spool.Live, spool.Incoming} {
		if err := os.Mkdir(filepath.Join(path, d), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	start := time.Date(2026, 11, 20, 13, 30, 0, 0, time.UTC) // between two of the archive
	const live, orphan, waiting = "01935b7e-0000-7000-8000-00000000000a", "01935b7e-0000-7000-8000-00000000000b", "01935b7e-0000-7000-8000-00000000000c"
	spooled(t, path, live, "alice", start.Add(48*time.Hour))
	spooled(t, path, orphan, "alice", start.Add(24*time.Hour)).Close()
	spooled(t, path, waiting, "bob", start).Close()
	delivered := spooled(t, path, f.ids[0], "deploy", start.Add(-90*time.Minute)) // its file is still there
	delivered.Close()
	in := func(sub, id string) string { return filepath.Join(path, sub, id+spool.Suffix) }
	for _, id := range []string{waiting, f.ids[0]} {
		if err := os.Rename(in(spool.Live, id), in(spool.Incoming, id)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(in(spool.Live, "01935b7e-0000-7000-8000-00000000000d"), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	want := []string{live + " live", orphan + " waiting", f.ids[2] + " interrupted", waiting + " waiting", f.ids[1] + " delivered", f.ids[0] + " delivered"}
	for _, indexed := range []bool{false, true} {
		if indexed {
			if code, _, errs := f.run(t, "index"); code != 0 {
				t.Fatal(errs)
			}
		}
		code, out, errs := f.run(t, "ls", "-spool", path, "-json")
		var got []string
		for line := range strings.Lines(out) {
			var r archive.Row
			if err := json.Unmarshal([]byte(line), &r); err != nil {
				t.Fatal(err)
			}
			got = append(got, r.ID+" "+string(r.State))
		}
		if code != 0 || errs != "" || strings.Join(got, "\n") != strings.Join(want, "\n") {
			t.Errorf("indexed %v: %d %q\n%s", indexed, code, errs, strings.Join(got, "\n"))
		}
		_, out, _ = f.run(t, "ls", "-spool", path, "-user", "alice", "-since", "2026-11-22")
		if lines := strings.Split(strings.TrimSpace(out), "\n"); len(lines) < 2 || !strings.Contains(lines[1], live) || !strings.Contains(lines[1], " live            -  id") || strings.Contains(out, "\x1b") {
			t.Errorf("indexed %v: %q", indexed, out)
		}
	}
	if _, out, _ := f.run(t, "ls", "-spool", filepath.Join(path, "none")); strings.Count(out, "\n") != 4 {
		t.Errorf("without a spool: %s", out)
	}
}
