// SPDX-License-Identifier: AGPL-3.0-or-later

package main

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"castgate/upload/archive"
	"castgate/upload/archive/archivetest"
	"castgate/upload/manifest"
	"castgate/wrap/spool"
)

// claim delivers a recording of host evil under another's id.
func (f *fixture) claim(t *testing.T, id string, start time.Time) {
	t.Helper()
	r := archivetest.Recording{User: "mallory", Host: "evil", Start: start, Output: []string{"nothing\r\n"}, As: id}
	if _, _, err := r.Write(f.dir); err != nil {
		t.Fatal(err)
	}
}

// TestAnIDIsAHosts has host evil deliver a recording with the id of one of web1.
func TestAnIDIsAHosts(t *testing.T) {
	f := newFixture(t)
	id := f.ids[0]
	f.claim(t, id, time.Date(2026, 11, 20, 12, 0, 5, 0, time.UTC))
	for _, indexed := range []bool{false, true} {
		if indexed {
			if code, out, errs := f.run(t, "index"); code != 1 || !strings.HasPrefix(out, "4 recordings") || !strings.Contains(errs, id+"@web1") || !strings.Contains(errs, id+"@evil") {
				t.Errorf("index: %d %q %q", code, out, errs)
			}
			if code, _, errs := f.run(t, "index"); code != 0 {
				t.Errorf("index says it once: %d %q", code, errs)
			}
		}
		_, out, _ := f.run(t, "ls", "-json", id)
		claimed := map[string]bool{}
		for line := range strings.Lines(out) {
			var r archive.Row
			if err := json.Unmarshal([]byte(line), &r); err != nil {
				t.Fatal(err)
			}
			claimed[r.Name] = r.Claimed
		}
		if len(claimed) != 2 || !claimed[id+"@web1"] || !claimed[id+"@evil"] {
			t.Errorf("indexed %v: ls -json: %s", indexed, out)
		}
		if _, out, _ := f.run(t, "ls"); strings.Count(out, "id claimed") != 2 || strings.Count(out, "\n") != 5 {
			t.Errorf("indexed %v: ls: %s", indexed, out)
		}
		if _, out, _ := f.run(t, "ls", "-json", id+"@evil~mallory~2026-11-20"); strings.Count(out, "\n") != 1 {
			t.Errorf("indexed %v: ls ID@HOST~PLACE: %s", indexed, out)
		}
		if _, out, _ := f.run(t, "ls", "-json", id+"@evil~mallory~2026-11-21"); out != "" {
			t.Errorf("indexed %v: ls of another place: %s", indexed, out)
		}
		if _, out, _ := f.run(t, "ls", "-json", id+"@web1"); strings.Count(out, "\n") != 1 || !strings.Contains(out, `"user":"deploy"`) {
			t.Errorf("indexed %v: ls ID@HOST: %s", indexed, out)
		}
	}
	for _, args := range [][]string{{"text"}, {"play"}, {"export", "-format", "txt"}, {"verify"}} {
		if code, out, errs := f.run(t, append(args, id)...); code != 1 || out != "" || !strings.Contains(errs, id+"@web1") || !strings.Contains(errs, id+"@evil") {
			t.Errorf("%s by the bare id: %d %q %q", args, code, out, errs)
		}
	}
	for host, want := range map[string]string{"web1": "sudo reboot", "evil": "nothing"} {
		if code, out, errs := f.run(t, "text", id+"@"+host); code != 0 || !strings.Contains(out, want) || errs != "" {
			t.Errorf("text %s@%s: %d %q %q", id, host, code, out, errs)
		}
		if code, out, _ := f.run(t, "verify", id+"@"+host); code != 1 || !strings.Contains(out, "claimed: ") {
			t.Errorf("verify %s@%s: %d %q", id, host, code, out)
		}
	}
	if code, out, _ := f.run(t, "verify"); code != 1 || strings.Count(out, "claimed: ") != 2 {
		t.Errorf("verify: %d %q", code, out)
	}
	if code, out, _ := f.run(t, "search", "reboot"); code != 0 || !strings.Contains(out, id) {
		t.Errorf("search: %d %q", code, out)
	}
	if code, _, _ := f.run(t, "text", f.ids[2]); code != 0 {
		t.Error("an id of one host only needs no host")
	}
}

// TestTheSpoolsIDIsThisHosts has host evil deliver a recording with the id of a
// session that goes on here.
func TestTheSpoolsIDIsThisHosts(t *testing.T) {
	f := newFixture(t)
	path := t.TempDir()
	for _, d := range []string{spool.Live, spool.Incoming} {
		if err := os.Mkdir(filepath.Join(path, d), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	start := time.Date(2026, 11, 20, 13, 30, 0, 0, time.UTC)
	id := (&archivetest.Recording{User: "alice", Host: "web1", Start: start}).ID()
	spooled(t, path, id, "alice", start)
	f.claim(t, id, start)
	_, out, _ := f.run(t, "ls", "-spool", path, id)
	if strings.Count(out, "\n") != 3 || !strings.Contains(out, " live ") || !strings.Contains(out, " evil ") || strings.Count(out, "id claimed") != 2 {
		t.Errorf("ls: %s", out)
	}
	if code, _, errs := f.run(t, "text", "-spool", path, id); code != 1 || !strings.Contains(errs, id+"@evil") || !strings.Contains(errs, id+"@web1") {
		t.Errorf("text: %d %q", code, errs)
	}
	if code, out, _ := f.run(t, "text", "-spool", path, id+"@evil"); code != 0 || !strings.Contains(out, "nothing") {
		t.Errorf("text of evil's: %d %q", code, out)
	}
	if code, out, errs := f.run(t, "text", "-spool", path, id+"@web1"); code != 0 || strings.Contains(out, "nothing") {
		t.Errorf("text of the one that goes on: %d %q %q", code, out, errs)
	}
}

// TestAClaimThatDoesNotHold has a manifest say that its recording has the bytes
// of another.
func TestAClaimThatDoesNotHold(t *testing.T) {
	f := newFixture(t)
	bob := archivetest.Recording{User: "bob", Host: "web2", Start: time.Date(2026, 11, 21, 9, 0, 0, 0, time.UTC), Output: []string{"the launch code\r\n"}}
	evil := archivetest.Recording{User: "mallory", Host: "evil", Start: time.Date(2026, 11, 21, 9, 0, 1, 0, time.UTC), Output: []string{"nothing\r\n"}}
	m, _, err := bob.Write(f.dir)
	if err != nil {
		t.Fatal(err)
	}
	e, _, stored := evil.Objects()
	e.Cast = m.Cast
	text, err := e.Encode()
	at := filepath.Join(f.dir, e.Dir(), e.Session.ID)
	if err := errors.Join(err, os.MkdirAll(filepath.Dir(at), 0o700), os.WriteFile(at+manifest.CastSuffix, stored, 0o600), os.WriteFile(at+manifest.JSONSuffix, text, 0o600)); err != nil {
		t.Fatal(err)
	}
	if code, out, _ := f.run(t, "verify"); code != 1 || !strings.Contains(out, evil.ID()+".cast.zst: untrue: ") {
		t.Errorf("verify: %d %q", code, out)
	}
	if code, _, errs := f.run(t, "text", evil.ID()); code != 1 || !strings.Contains(errs, "not the one of its manifest") {
		t.Errorf("text: %d %q", code, errs)
	}
	if code, out, _ := f.run(t, "search", "nothing"); code != 1 || out != "" {
		t.Errorf("search: %d %q", code, out)
	}
}
