// SPDX-License-Identifier: AGPL-3.0-or-later

package web

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

const testToken = "a-token-for-this-test-0001"

// page serves the store and returns the server.
func (s *sample) page(auth Auth) *httptest.Server { return s.pageOf(s.indexed(), auth) }

func (s *sample) pageOf(archive Archive, auth Auth) *httptest.Server {
	s.t.Helper()
	log := slog.New(slog.DiscardHandler)
	audit, err := OpenAudit(filepath.Join(s.dir, ".castgate", "audit"), log)
	if err != nil {
		s.t.Fatal(err)
	}
	cache, err := NewCache(s.t.TempDir())
	if err != nil {
		s.t.Fatal(err)
	}
	page, err := New(archive, auth, audit, cache, log)
	if err != nil {
		s.t.Fatal(err)
	}
	if now := s.now; !now.IsZero() {
		page.now = func() time.Time { return now }
	}
	srv := httptest.NewServer(page)
	s.t.Cleanup(srv.Close)
	return srv
}

func tokenAuth(t *testing.T, lines string) Auth {
	t.Helper()
	p := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(p, []byte(lines), 0o600); err != nil {
		t.Fatal(err)
	}
	tokens, err := ReadTokens(p)
	if err != nil {
		t.Fatal(err)
	}
	return Auth{Tokens: tokens}
}

// TestBrowser does what an auditor does, in Chromium. "make test-web" installs
// what it needs; CASTGATE_SHOTS names a directory for the screenshots and
// CASTGATE_ONLY a step.
func TestBrowser(t *testing.T) {
	if os.Getenv("CASTGATE_TEST_WEB") == "" {
		t.Skip("a browser and node are needed: make test-web")
	}
	chromium := need(t, "chromium")
	need(t, "node")
	if _, err := os.Stat("node_modules/playwright-core"); err != nil {
		t.Fatal("playwright-core is not installed: make test-web")
	}
	if !HasPlayer() {
		t.Fatal("this test was built without the player: make web")
	}
	s := newSample(t)
	s.now = sampleStart.AddDate(0, 0, 10)
	ids := s.fill()
	large := s.large(24<<20, func(n int) (time.Duration, string) {
		return 10 * time.Millisecond, fmt.Sprintf("row %09d %s\r\n", n, strings.Repeat("lorem ipsum ", 70))
	})
	ids["hidden"] = s.keep(s.hiding())
	ids["large"], ids["largeRows"] = large.ID(), strconv.FormatInt(large.Manifest.Events, 10)
	shots := os.Getenv("CASTGATE_SHOTS")
	if shots == "" {
		shots = t.TempDir()
	}
	given, err := json.Marshal(map[string]any{
		"url": s.page(tokenAuth(t, testToken+"\noctocat own-"+testToken+" own\n")).URL, "token": testToken, "own": "own-" + testToken, "ids": ids, "shots": shots,
		"chromium": chromium, "only": os.Getenv("CASTGATE_ONLY"),
	})
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "node", "browser/browser.mjs")
	cmd.Env = append(os.Environ(), "CASTGATE_PAGE="+string(given), "HOME="+t.TempDir())
	cmd.Stdout, cmd.Stderr = t.Output(), t.Output()
	if err := cmd.Run(); err != nil {
		t.Error(err)
	}
}

func need(t *testing.T, program string) string {
	t.Helper()
	p, err := exec.LookPath(program)
	if err != nil {
		t.Fatalf("%s is not installed: make test-web", program)
	}
	return p
}
