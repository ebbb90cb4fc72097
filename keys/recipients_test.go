// SPDX-License-Identifier: AGPL-3.0-or-later

package keys_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"castgate/keys/githubtest"
)

func TestRecipients(t *testing.T) {
	w := newWorld(t)
	w.conf.SealTeams = []string{"Operations", "security"}
	w.change(func(s *githubtest.State) {
		s.Teams["security"] = githubtest.Team{Members: []githubtest.Member{{Login: "Eve", ID: 41}, {Login: "new", ID: 42, State: "pending"}}}
		// Two kinds that age can't use, and the key that bob has as well.
		s.Users["Eve"] = githubtest.User{ID: 41, Keys: []string{"ecdsa-sha2-nistp256 AAAA", testKey("eve"), "ssh-dss AAAAB3NzaC1kc3M="}}
		s.Users["new"] = githubtest.User{ID: 42, Keys: []string{testKey("new")}}
	})
	if err := w.conf.Validate(); err != nil {
		t.Fatal(err)
	}
	if err := w.refresh(); err != nil {
		t.Fatal(err)
	}
	w.recipients(map[string]string{
		"operations": sorted(testKey("bob")+" github:bob\n", testKey("carol")+" github:carol\n"),
		"security":   testKey("eve") + " github:Eve\n",
	})
	dir := filepath.Join(w.conf.Cache.Dir, "recipients")
	for path, want := range map[string]os.FileMode{dir: 0o755, filepath.Join(dir, "security"): 0o644} {
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != want {
			t.Errorf("%s: %v, %v; want %v", path, info, err, want)
		}
	}
	t.Run("lets nobody in", func(t *testing.T) {
		if d, err := w.svc.Decide(context.Background(), "eve", nil); err != nil || d.Allowed() {
			t.Errorf("%+v, %v", d, err)
		}
	})
	t.Run("a team that is gone keeps its file", func(t *testing.T) {
		w.change(func(s *githubtest.State) { delete(s.Teams, "security") })
		if err := w.refresh(); err == nil {
			t.Error("no error")
		}
		w.recipients(map[string]string{
			"operations": sorted(testKey("bob")+" github:bob\n", testKey("carol")+" github:carol\n"),
			"security":   testKey("eve") + " github:Eve\n",
		})
	})
	t.Run("a member left, and a team is no longer asked for", func(t *testing.T) {
		w.conf.SealTeams = []string{"operations"}
		w.change(func(s *githubtest.State) {
			tm := s.Teams["operations"]
			tm.Members = tm.Members[:1]
			s.Teams["operations"] = tm
		})
		if err := w.refresh(); err != nil {
			t.Fatal(err)
		}
		w.recipients(map[string]string{"operations": testKey("bob") + " github:bob\n"})
	})
}

func sorted(a, b string) string { return min(a, b) + max(a, b) }

// recipients compares what the directory has.
func (w *world) recipients(want map[string]string) {
	w.t.Helper()
	dir := filepath.Join(w.conf.Cache.Dir, "recipients")
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != len(want) {
		w.t.Errorf("%v, %v; want %d", entries, err, len(want))
	}
	for name, text := range want {
		if got, err := os.ReadFile(filepath.Join(dir, name)); err != nil || string(got) != text {
			w.t.Errorf("%s: %q, %v; want %q", name, got, err, text)
		}
	}
}
