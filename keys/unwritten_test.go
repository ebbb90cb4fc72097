// SPDX-License-Identifier: AGPL-3.0-or-later

package keys_test

import (
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"castgate/keys/githubtest"
	"castgate/packaging/hosttest"
)

// private gives the calling goroutine file systems of its own for a test.
func private(t *testing.T) {
	t.Helper()
	asRoot(t)
	runtime.LockOSThread() // and never back: the thread ends with the goroutine
	if err := unix.Unshare(unix.CLONE_NEWNS | unix.CLONE_FS); err != nil {
		hosttest.Skip(t, "no mount namespace: "+err.Error())
	}
	if err := unix.Mount("none", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		t.Fatal(err)
	}
}

// full makes the cache a file system that has room for nothing more.
func (w *world) full() {
	w.t.Helper()
	kept := w.t.TempDir()
	if err := os.CopyFS(kept, os.DirFS(w.conf.Cache.Dir)); err != nil {
		w.t.Fatal(err)
	}
	if err := unix.Mount("tmpfs", w.conf.Cache.Dir, "tmpfs", 0, "size=1m,mode=0755"); err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { _ = unix.Unmount(w.conf.Cache.Dir, unix.MNT_DETACH) })
	if err := os.CopyFS(w.conf.Cache.Dir, os.DirFS(kept)); err != nil {
		w.t.Fatal(err)
	}
	f, err := os.Create(filepath.Join(w.conf.Cache.Dir, "ballast"))
	if err != nil {
		w.t.Fatal(err)
	}
	defer f.Close()
	for block := make([]byte, 4096); err == nil; {
		_, err = f.Write(block)
	}
}

// readOnly makes the cache one that nobody can write.
func (w *world) readOnly() {
	w.t.Helper()
	dir := w.conf.Cache.Dir
	if err := unix.Mount(dir, dir, "", unix.MS_BIND, ""); err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { _ = unix.Unmount(dir, unix.MNT_DETACH) })
	if err := unix.Mount("", dir, "", unix.MS_BIND|unix.MS_REMOUNT|unix.MS_RDONLY, ""); err != nil {
		w.t.Fatal(err)
	}
}

// TestANoThatCanNotBeWritten: what GitHub said decides the login and whatever
// comes after it, stored or not.
func TestANoThatCanNotBeWritten(t *testing.T) {
	for name, spoil := range map[string]func(*world){"full": (*world).full, "read-only": (*world).readOnly} {
		for how, hear := range map[string]func(*world){
			"a login": func(w *world) {
				w.refuses("octocat", "OctoCat", "not a member")
				w.refuses("deploy", "bob", "")
				w.refuses("dave", "dave", "no such key")
			},
			"a refresh": func(w *world) { _ = w.refresh() },
		} {
			t.Run(name+", heard by "+how, func(t *testing.T) {
				private(t)
				w := newWorld(t)
				if err := w.refresh(); err != nil {
					t.Fatal(err)
				}
				spoil(w)
				w.change(leave("developers", "OctoCat"))
				w.change(leave("operations", "bob"))
				w.change(func(s *githubtest.State) {
					s.Users["dave"] = githubtest.User{ID: 31, Keys: []string{testKey("another")}}
				})
				w.later(6 * time.Minute)
				hear(w)
				w.github.Break(fault("", status(500)))
				w.later(2 * time.Minute)
				for account, login := range map[string]string{"octocat": "OctoCat", "deploy": "bob", "dave": "dave"} {
					if d, _ := w.decide(account, login); d.Allowed() {
						t.Errorf("%q: the key of %q opens it when GitHub is silent: %v", account, login, d.Steps)
					}
				}
			})
		}
	}
}

// TestASmallTeamWithoutRoom: who is missing is believed to have left a minute
// later, by other processes too; until then, nobody is locked out by a mistake.
func TestASmallTeamWithoutRoom(t *testing.T) {
	for name, spoil := range map[string]func(*world){"full": (*world).full, "read-only": (*world).readOnly} {
		for where, run := range map[string]string{"kept beside it": "run", "kept nowhere": "nowhere"} {
			t.Run(name+", "+where, func(t *testing.T) {
				private(t)
				w := newWorld(t)
				w.conf.GitHub.App.TokenDir = filepath.Join(filepath.Dir(w.conf.State), run)
				if err := w.refresh(); err != nil {
					t.Fatal(err)
				}
				spoil(w)
				w.change(leave("operations", "bob"))
				w.change(leave("operations", "carol"))
				w.later(6 * time.Minute)
				if d, _ := w.decide("deploy", "bob"); run == "run" && !d.Allowed() {
					t.Errorf("one look was enough: %v", d.Steps)
				}
				w.later(2 * time.Minute)
				_, _ = w.decide("deploy", "carol") // may find the room that a record left
				w.later(2 * time.Minute)
				for _, login := range []string{"bob", "carol"} {
					if d, _ := w.decide("deploy", login); d.Allowed() {
						t.Errorf("%q is let in: %v", login, d.Steps)
					}
				}
			})
		}
	}
}

// TestAColdAccountWithoutRoom: who may come in does, though nothing can be
// stored.
func TestAColdAccountWithoutRoom(t *testing.T) {
	for name, spoil := range map[string]func(*world){"full": (*world).full, "read-only": (*world).readOnly} {
		t.Run(name, func(t *testing.T) {
			private(t)
			w := newWorld(t)
			w.restart() // makes the directory
			spoil(w)
			w.allows("octocat", "OctoCat")
			w.allows("deploy", "bob")
			w.refuses("deploy", "OctoCat", "")
			w.refuses("stranger", "stranger", "not a member")
		})
	}
}
