// SPDX-License-Identifier: AGPL-3.0-or-later

package web

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestWatchedIsOfOneRecording has alice, who is root on web1 and web2, deliver
// recordings of her own with the id of bob's, which carol has looked at.
func TestWatchedIsOfOneRecording(t *testing.T) {
	s := newSample(t)
	s.odd = true
	bob := s.take("bob", "web1", "bob-gh").typed("cat secret", "the launch code\n").end(0)
	id := s.keep(bob)
	for _, host := range []string{"web1", "web2"} {
		mine := s.take("alice", host, "alice-gh").typed("true", "nothing\n").end(0)
		mine.header.Session.ID, mine.header.Timestamp = id, bob.header.Timestamp
		s.keep(mine)
	}
	day := time.Unix(bob.header.Timestamp, 0).UTC().Format("~2006-01-02")
	// What a version of before wrote, for whoever's it was.
	side := filepath.Join(s.dir, ".castgate", "audit", watchedDir)
	if err := os.MkdirAll(side, 0o755); err != nil {
		t.Fatal(err)
	}
	const older = `{"time":"2026-11-21T09:00:00Z","who":"dave","what":"view","client":"192.0.2.9"}` + "\n"
	alone := s.keep(s.take("bob", "web1", "bob-gh").typed("true", "").end(0))
	for _, id := range []string{id, alone} {
		if err := os.WriteFile(filepath.Join(side, id), []byte(older), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	const token = "0123456789abcdef"
	srv := s.page(tokenAuth(t, "carol "+testToken+"\nalice-gh "+token+" own\n"))
	carol := newVisitor(t, srv).signIn(testToken)
	carol.get("/r/" + id + "@web1~bob" + day)
	if _, page := carol.get("/r/" + id + "@web1~bob" + day); !strings.Contains(page, "<strong>carol</strong> view") {
		t.Errorf("bob's: %s", page)
	}
	if _, page := carol.get("/r/" + alone); !strings.Contains(page, "<strong>dave</strong> view") {
		t.Errorf("an id that nobody else has: %s", page)
	}
	alice := newVisitor(t, srv).signIn(token)
	for _, name := range []string{"@web1~alice" + day, "@web1", "@web2"} {
		status, page := alice.get("/r/" + id + name)
		if status != http.StatusOK || strings.Contains(page, "<strong>carol</strong>") || strings.Contains(page, "<strong>dave</strong>") {
			t.Errorf("%s: %d %s", name, status, page)
		}
	}
}
