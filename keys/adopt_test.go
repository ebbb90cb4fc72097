// SPDX-License-Identifier: AGPL-3.0-or-later

package keys_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"castgate/keys"
	"castgate/keys/pubkey"
)

// older makes the cache what a castgate-keys left that kept pins in it.
func (w *world) older(logins ...string) {
	w.t.Helper()
	if err := os.RemoveAll(w.conf.State); err != nil {
		w.t.Fatal(err)
	}
	for _, login := range logins {
		r, ok := w.svc.Known.Record(login)
		if !ok {
			w.t.Fatalf("no record of %q", login)
		}
		r.Pinned = r.ID
		if err := w.svc.Known.Dir.Save("people/"+login, 0o644, r); err != nil {
			w.t.Fatal(err)
		}
	}
}

// TestUpgrade: who got in until now does so after it, by the id that was known
// in the cache; nobody else's name opens an account any more.
func TestUpgrade(t *testing.T) {
	asRoot(t)
	w := newWorld(t)
	w.people()
	w.local("octocat", "dave", "bob")
	if err := w.refresh(); err != nil {
		t.Fatal(err)
	}
	w.older("octocat", "alice-gh", "bob")

	// Unpacked, not yet configured: the cache says who may come in.
	if d := w.allowsUnkept("octocat", "OctoCat"); len(d.Warnings) == 0 {
		t.Error("nobody is told that the state is missing")
	}
	w.refuses("dave", "dave", "made for nobody")

	w.made()
	done, err := w.svc.Owners.Adopt()
	if err != nil || len(done) != 2 || done[0].Account != "alice" || done[1].Account != "octocat" || done[1].ID != 583231 {
		t.Fatalf("adopted %v, %v", done, err) // bob is in no team of "teams"
	}
	if again, err := w.svc.Owners.Adopt(); err != nil || again != nil {
		t.Errorf("adopted again: %v, %v", again, err)
	}
	if err := os.RemoveAll(w.conf.Cache.Dir); err != nil {
		t.Fatal(err)
	}
	w.allows("octocat", "OctoCat")
	w.allows("alice", "alice-gh")
	w.change(rename("web", "dave", "bob"))
	w.refuses("bob", "dave", "made for nobody")
}

// made makes the directories of the state, as the package does.
func (w *world) made() {
	w.t.Helper()
	for _, dir := range []string{"people", "seen"} {
		if err := os.MkdirAll(filepath.Join(w.conf.State, dir), 0o755); err != nil {
			w.t.Fatal(err)
		}
	}
	w.restart()
	w.svc.Owners.Host.Passwd = w.passwd
}

// TestPinnedBeforeTheUpgradeWasDone: root's word on whose an account is, while the
// cache is still what opens it, locks nobody out.
func TestPinnedBeforeTheUpgradeWasDone(t *testing.T) {
	asRoot(t)
	for name, pinned := range map[string]func(*keys.Service) error{
		"castgate enable": func(s *keys.Service) error { _, err := s.Owners.PinAll(); return err },
		"a pin that opens nothing": func(s *keys.Service) error {
			return os.WriteFile(filepath.Join(s.Config.State, "people", "octocat"), []byte("octocat:583231 "+s.Known.Origin.URL+"\n"), 0o644)
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.people()
			w.local("octocat")
			if err := w.refresh(); err != nil {
				t.Fatal(err)
			}
			w.older("octocat")
			w.made()
			if err := pinned(w.svc); err != nil {
				t.Fatal(err)
			}
			w.allows("octocat", "OctoCat")
			w.made()
			if _, err := w.svc.Owners.Adopt(); err != nil {
				t.Fatal(err)
			}
			w.allows("octocat", "OctoCat")
		})
	}
}

// allowsUnkept is allows where nothing can be noted.
func (w *world) allowsUnkept(account, keyOf string) *keys.Decision {
	w.t.Helper()
	w.restart()
	k, _ := pubkey.ParseLine(testKey(keyOf))
	d, err := w.svc.Decide(context.Background(), account, &k)
	if err != nil || !d.Allowed() {
		w.t.Fatalf("%q refused: %v %v", account, err, d.Steps)
	}
	return d
}

// TestUpgradeWithAnEmptyCache: nobody is taken over, which is said, and what is
// known later is.
func TestUpgradeWithAnEmptyCache(t *testing.T) {
	asRoot(t)
	w := newWorld(t)
	w.people()
	w.local("octocat")
	w.older()
	w.made()
	var hint interface{ Hint() string }
	if done, err := w.svc.Owners.Adopt(); len(done) > 0 || !errors.As(err, &hint) || !strings.Contains(hint.Hint(), "castgate-people") {
		t.Errorf("got %v, %v", done, err)
	}
	if err := w.refresh(); err != nil {
		t.Fatal(err)
	}
	w.older("octocat") // somebody had a copy of it
	w.made()
	if done, err := w.svc.Owners.Adopt(); len(done) != 1 || err != nil {
		t.Errorf("got %v, %v", done, err)
	}
	w.allows("octocat", "OctoCat")
}

// TestUpgradeOfADirectorysAccounts: those opened by their name as well.
func TestUpgradeOfADirectorysAccounts(t *testing.T) {
	asRoot(t)
	for sources, userdb := range map[string]string{"files sss": "", "files [NOTFOUND=continue] ldap systemd": "", "files systemd": "octocat.user", "files": "", "files  systemd": ""} {
		t.Run(sources, func(t *testing.T) {
			w := newWorld(t)
			w.people()
			w.local("dave")
			w.nss = filepath.Join(t.TempDir(), "nsswitch.conf")
			w.write(w.nss, "# as shipped\npasswd:\t"+sources+" # more\ngroup: files sss\n")
			w.conf.Userdb.Dir = t.TempDir()
			here := !strings.HasSuffix(sources, "files") && !strings.Contains(sources, "  ")
			if userdb != "" {
				w.write(filepath.Join(w.conf.Userdb.Dir, userdb), "{}")
			}
			if err := w.refresh(); err != nil {
				t.Fatal(err)
			}
			w.older("octocat", "bob") // bob is in no team of "teams"
			w.made()
			if got := strings.Join(w.svc.Owners.Namesakes(), " "); got != "dave" {
				t.Errorf("before, %q open to nobody", got)
			}
			done, err := w.svc.Owners.Adopt()
			if err != nil || len(done) == 1 != here {
				t.Fatalf("adopted %v, %v", done, err)
			}
			if !here {
				w.refuses("octocat", "OctoCat", "made for nobody")
				return
			}
			w.allows("octocat", "OctoCat")
			w.made()
			if err := w.svc.Owners.Unpin("octocat"); err != nil {
				t.Fatal(err)
			}
			if got := strings.Join(w.svc.Owners.Namesakes(), " "); got != "dave octocat" {
				t.Errorf("afterwards, %q open to nobody", got)
			}
		})
	}
}

// TestOwnersThatMayDoMore are marked in the list.
func TestOwnersThatMayDoMore(t *testing.T) {
	w := newWorld(t)
	w.passwd = filepath.Join(t.TempDir(), "passwd")
	w.write(w.passwd, "octocat:x:1001:4::/home/octocat:/bin/bash\ndave:x:1002:1002::/home/dave:/bin/bash\n")
	w.write(w.group, "adm:x:4:\nsudo:x:27:bob,octocat\n"+"castgate-people"+":x:999:octocat,dave\n")
	w.restart()
	all, err := w.svc.Owners.List()
	var said []string
	for _, o := range all {
		said = append(said, o.String())
	}
	got := strings.Join(said, "\n")
	if err != nil || !strings.Contains(got, "by the group castgate-people; it is in the groups adm, sudo\n") && !strings.HasSuffix(got, "by the group castgate-people; it is in the groups adm, sudo") || strings.Count(got, "it is in") != 1 {
		t.Errorf("got %s, %v", got, err)
	}
}
