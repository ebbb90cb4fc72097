// SPDX-License-Identifier: AGPL-3.0-or-later

package guard

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
)

const (
	sum1 = "SHA256:abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQ"
	sum2 = "SHA256:zbcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQ"
)

func TestFindLogin(t *testing.T) {
	for name, c := range map[string]struct {
		file, want string
		id         int64
	}{
		"known":            {sum1 + " octocat 583231\n", "octocat", 583231},
		"no newline":       {sum1 + " octocat 583231", "octocat", 583231},
		"without an id":    {sum1 + " octocat\n", "octocat", 0},
		"of an enterprise": {sum1 + " octo-cat_acme 583231\n", "octo-cat_acme", 583231},
		"twice the same":   {sum1 + " octocat 1\n" + sum1 + " octocat 1\n", "octocat", 1},
		"two people's":     {sum1 + " octocat 1\n" + sum1 + " hubot 2\n", "", 0},
		"a login retaken":  {sum1 + " octocat 1\n" + sum1 + " octocat 2\n", "", 0},
		"another's":        {sum2 + " octocat 1\n", "", 0},
		"cut":              {sum1[:30] + " octocat 1\n", "", 0},
		"no login":         {sum1 + " \n", "", 0},
		"not a login":      {sum1 + " \x1b[2J 1\n", "", 0},
		"empty":            {"", "", 0},
	} {
		if got, id := findLogin([]byte(c.file), sum1); got != c.want || id != c.id {
			t.Errorf("%s: %q, %d", name, got, id)
		}
	}
}

func TestLoginOfTrustsOnlyItsOwner(t *testing.T) {
	path := filepath.Join(t.TempDir(), "logins")
	if err := os.WriteFile(path, []byte(sum1+" octocat 1\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if got, _ := LoginOf(path, sum1); got != "octocat" {
		t.Errorf("got %q", got)
	}
	if err := os.Chmod(path, 0o666); err != nil {
		t.Fatal(err)
	}
	if got, _ := LoginOf(path, sum1); got != "" {
		t.Errorf("a file that all may write says %q", got)
	}
	if err := os.Symlink(path, path+".link"); err != nil {
		t.Fatal(err)
	}
	if got, _ := LoginOf(path+".link", sum1); got != "" {
		t.Error("followed a symbolic link")
	}
	if got, _ := LoginOf(path, "SHA256:short"); got != "" {
		t.Error("took half a fingerprint")
	}
}

// record writes what the hook would, for this test's own process, changed by change.
func record(t *testing.T, dir string, change func(*Key)) string {
	t.Helper()
	p, err := readProcess(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	k := Key{PID: p.pid, Start: p.start, User: "deploy", Fingerprint: sum1, Type: "ssh-ed25519"}
	if change != nil {
		change(&k)
	}
	b, err := json.Marshal(k)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, strconv.Itoa(p.pid))
	if err := os.WriteFile(path, b, 0o640); err != nil {
		t.Fatal(err)
	}
	return path
}

func needRoot(t *testing.T) {
	t.Helper()
	if os.Getuid() == 0 {
		return
	}
	if os.Getenv("CASTGATE_TEST_ALL") == "1" {
		t.Fatal("needs root")
	}
	t.Skip("needs root: a record is believed only when root wrote it")
}

// lookupPID is lookup for the process that has this pid now.
func lookupPID(runDir string, pid int) (Key, bool) {
	p, err := readProcess(pid)
	if err != nil {
		return Key{}, false
	}
	return lookup(runDir, p)
}

func TestLookup(t *testing.T) {
	needRoot(t)
	dir := t.TempDir()
	path := record(t, dir, nil)
	if k, ok := lookupPID(dir, os.Getpid()); !ok || k.Fingerprint != sum1 || k.User != "deploy" {
		t.Errorf("got %+v, %v", k, ok)
	}
	child := exec.Command("sleep", "1000")
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = child.Process.Kill(); _ = child.Wait() }()
	if k, ok := Accepted(dir, child.Process.Pid); !ok || k.Fingerprint != sum1 {
		t.Errorf("through the ancestry: %+v, %v", k, ok)
	}
	for name, spoil := range map[string]func() error{
		"others may write it": func() error { return os.Chmod(path, 0o660) },
		"another's":           func() error { return os.Chown(path, 1, 0) },
		"a link":              func() error { return os.Rename(path, path+"0") },
	} {
		if err := spoil(); err != nil {
			t.Fatal(err)
		}
		if name == "a link" {
			if err := os.Symlink(path+"0", path); err != nil {
				t.Fatal(err)
			}
		}
		if k, ok := lookupPID(dir, os.Getpid()); ok {
			t.Errorf("%s: believed %+v", name, k)
		}
		_ = os.Remove(path)
		path = record(t, dir, nil)
	}
}

func TestRecordOfAnotherProcess(t *testing.T) {
	needRoot(t)
	for name, change := range map[string]func(*Key){
		"the pid was used again": func(k *Key) { k.Start++ },
		"copied":                 func(k *Key) { k.PID++ },
		"not a fingerprint":      func(k *Key) { k.Fingerprint = "SHA256:\x1b[2J" },
	} {
		dir := t.TempDir()
		record(t, dir, change)
		if k, ok := lookupPID(dir, os.Getpid()); ok {
			t.Errorf("%s: believed %+v", name, k)
		}
	}
}

func FuzzRecord(f *testing.F) {
	f.Add([]byte(`{"pid":1,"start":2,"user":"deploy","fingerprint":"` + sum1 + `"}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		if k, err := parseRecord(b); err == nil && k.Fingerprint != "" && !validFingerprint(k.Fingerprint) {
			t.Fatalf("%+v", k)
		}
	})
}

func FuzzLogins(f *testing.F) {
	f.Add([]byte(sum1 + " octocat 583231\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if login, id := findLogin(b, sum1); !validLogin(login) || id < 0 {
			t.Fatalf("%q", login)
		}
	})
}
