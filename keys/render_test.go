// SPDX-License-Identifier: AGPL-3.0-or-later

package keys_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"castgate/keys/githubtest"
	"castgate/packaging/hosttest"

	"castgate/keys"
	"castgate/keys/settings"
)

// ls lists the files of a directory.
func ls(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

func asRoot(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		hosttest.Skip(t, "only root can write files of root's")
	}
}

func TestRender(t *testing.T) {
	asRoot(t)
	w := newWorld(t)
	w.conf.Keys.Options = "restrict,pty"
	none := ""
	w.conf.Accounts["alice"] = settings.Account{Logins: []string{"alice-gh"}, Options: &none}
	emergency := filepath.Join(t.TempDir(), "emergency")
	w.write(emergency, testKey("rescue")+" safe\n")
	w.conf.Emergency = map[string]string{"breakglass": emergency, "deploy": emergency}
	dir := filepath.Join(t.TempDir(), "keys")
	if err := w.refresh(); err != nil {
		t.Fatal(err)
	}
	if err := w.svc.Render(dir); err != nil {
		t.Fatal(err)
	}
	want := []string{"alice", "breakglass", "dave", "deploy", "octocat"} // alice-gh has no account of that name
	if got := ls(t, dir); !slices.Equal(got, want) {
		t.Fatalf("got %q, want %q", got, want)
	}
	expiry := w.clock.Add(24 * time.Hour).UTC().Format("200601021504Z")
	for name, lines := range map[string]string{
		"octocat":    `expiry-time="` + expiry + `",restrict,pty ` + testKey("OctoCat") + " github:OctoCat\n",
		"alice":      `expiry-time="` + expiry + `" ` + testKey("alice-gh") + " github:alice-gh\n",
		"breakglass": testKey("rescue") + " safe\n",
	} {
		if text, _ := os.ReadFile(filepath.Join(dir, name)); string(text) != keys.Marker+lines {
			t.Errorf("%s: got %q, want %q", name, text, lines)
		}
	}
	text, _ := os.ReadFile(filepath.Join(dir, "deploy"))
	if n := strings.Count(string(text), "\n"); n != 4 || !strings.Contains(string(text), testKey("rescue")) {
		t.Errorf("deploy: got %q", text)
	}
	info, _ := os.Stat(filepath.Join(dir, "octocat"))
	if info.Mode().Perm() != 0o644 {
		t.Errorf("mode %v: sshd opens it as the user", info.Mode())
	}

	// Who left is gone; what is not ours stays.
	w.write(filepath.Join(dir, "mine"), testKey("mine")+"\n")
	w.change(leave("developers", "OctoCat"))
	w.later(6 * time.Minute)
	if err := w.refresh(); err != nil {
		t.Fatal(err)
	}
	if err := w.svc.Render(dir); err != nil {
		t.Fatal(err)
	}
	if got := ls(t, dir); slices.Contains(got, "octocat") || !slices.Contains(got, "mine") {
		t.Errorf("got %q", got)
	}

	// A wiped cache and a dead GitHub lock nobody out.
	if err := os.RemoveAll(w.conf.Cache.Dir); err != nil {
		t.Fatal(err)
	}
	w.github.Break(fault("", status(500)))
	_ = w.refresh()
	if err := w.svc.Render(dir); err != nil {
		t.Fatal(err)
	}
	if got := ls(t, dir); !slices.Contains(got, "dave") || !slices.Contains(got, "alice") {
		t.Errorf("got %q", got)
	}
}

func TestRenderRefuses(t *testing.T) {
	asRoot(t)
	w := newWorld(t)
	if err := w.refresh(); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	if err := w.svc.Render(dir); err == nil || !strings.Contains(err.Error(), "written by others") {
		t.Errorf("a directory that everybody may write: %v", err)
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(dir, 4711, 4711); err != nil {
		t.Fatal(err)
	}
	if err := w.svc.Render(dir); err == nil || !strings.Contains(err.Error(), "belongs to uid 4711") {
		t.Errorf("somebody else's directory: %v", err)
	}
}

// TestRenderBelievesNobodysCache: a cache that an ordinary user owns decides
// nothing for root.
func TestRenderBelievesNobodysCache(t *testing.T) {
	asRoot(t)
	w := newWorld(t)
	if err := w.refresh(); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(w.conf.Cache.Dir, 4711, 4711); err != nil {
		t.Fatal(err)
	}
	w.restart()
	dir := t.TempDir()
	if err := w.svc.Render(dir); err == nil || len(ls(t, dir)) > 0 {
		t.Errorf("wrote %q, %v", ls(t, dir), err)
	}
}

func TestAccounts(t *testing.T) {
	asRoot(t)
	w := newWorld(t)
	dir := filepath.Join(t.TempDir(), "userdb")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	w.conf.Userdb.Dir = dir
	if err := w.refresh(); err != nil {
		t.Fatal(err)
	}
	if err := w.svc.Accounts(); err == nil || !strings.Contains(err.Error(), "off") {
		t.Fatalf("it is not off by default: %v", err)
	}
	w.conf.Userdb.FirstUID, w.conf.Userdb.LastUID = 1_879_048_192, 2_147_352_575
	w.conf.Userdb.Groups = map[string]string{"developers": "gh-developers", "operations": "root"}
	w.conf.Teams = []string{"developers", "operations"}
	w.write(filepath.Join(dir, "theirs.user"), `{"userName":"theirs","uid":1}`)
	w.write(filepath.Join(dir, "carol.user"), `{"userName":"carol","uid":2}`)
	passwd := filepath.Join(t.TempDir(), "passwd")
	w.write(passwd, "root:x:0:0::/:/bin/sh\ndave:x:1001:1001::/home/dave:/bin/sh\n")
	accounts := func() error {
		t.Helper()
		if err := w.refresh(); err != nil {
			t.Fatal(err)
		}
		w.svc.Owners.Host.Passwd = passwd
		return w.svc.Accounts()
	}
	if err := accounts(); err == nil || !strings.Contains(err.Error(), `"carol.user" is there already`) {
		t.Errorf("somebody else's record was not respected: %v", err)
	}
	_ = os.Remove(filepath.Join(dir, "carol.user"))
	if err := accounts(); err != nil {
		t.Fatal(err)
	}
	got := ls(t, dir)
	for _, want := range []string{
		"octocat.user", "octocat.group", "1879631423.user", "1879631423.group", "octocat:gh-developers.membership",
		"carol:root.membership", "gh-developers.group", "theirs.user",
	} {
		if !slices.Contains(got, want) {
			t.Errorf("%s is missing in %q", want, got)
		}
	}
	for _, no := range []string{"dave.user", "alice.user", "invited.user", "root.group", "theirs.group"} {
		if slices.Contains(got, no) {
			t.Errorf("%s was made", no)
		}
	}
	text, _ := os.ReadFile(filepath.Join(dir, "1879631423.user"))
	want := `{"userName":"octocat","realName":"GitHub OctoCat","uid":1879631423,"gid":1879631423,"homeDirectory":"/home/octocat","shell":"/usr/bin/castgate-wrap","disposition":"regular","service":"castgate.keys"}` + "\n"
	if string(text) != want {
		t.Errorf("got  %q\nwant %q", text, want)
	}

	// Who left, and who is another person now, is gone at the next refresh.
	w.change(leave("developers", "OctoCat"))
	w.change(func(s *githubtest.State) {
		leave("operations", "carol")(s)
		enrol(s, "operations", githubtest.Member{Login: "carol", ID: 4242})
		s.Users["carol"] = githubtest.User{ID: 4242, Keys: []string{testKey("thief")}}
	})
	w.later(6 * time.Minute)
	if err := accounts(); err != nil {
		t.Fatal(err)
	}
	for _, name := range ls(t, dir) {
		if strings.HasPrefix(name, "octocat") || strings.HasPrefix(name, "carol") || strings.HasPrefix(name, "1879631423") {
			t.Errorf("%s is still there", name)
		}
	}
	if got := ls(t, dir); !slices.Contains(got, "theirs.user") || !slices.Contains(got, "bob.user") {
		t.Errorf("too much was removed: %q", got)
	}

	// When nothing is known, nothing changes.
	if err := os.RemoveAll(w.conf.Cache.Dir); err != nil {
		t.Fatal(err)
	}
	w.restart()
	w.svc.Owners.Host.Passwd = passwd
	if err := w.svc.Accounts(); err != nil || !slices.Contains(ls(t, dir), "bob.user") {
		t.Errorf("an empty cache removed the accounts: %v", err)
	}
}
