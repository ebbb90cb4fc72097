// SPDX-License-Identifier: AGPL-3.0-or-later

package guard

import (
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"castgate/wrap/restrict"
)

func hookEnv(change map[string]string) func(string) string {
	env := map[string]string{
		"PAM_SERVICE": "sshd", "PAM_TYPE": "open_session", "PAM_USER": "deploy",
		"SSH_CONNECTION":  "192.0.2.7 50514 192.0.2.1 22",
		"SSH_AUTH_INFO_0": "publickey ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl\n",
	}
	for name, value := range change {
		env[name] = value
	}
	return func(name string) string { return env[name] }
}

// deploy is an account without a home, and so without keys of its own.
func deploy(name string) restrict.Account {
	return restrict.Account{Name: name, UID: 1000, Home: func() (string, error) { return "/nonexistent", nil }}
}

func TestHookThereAndBack(t *testing.T) {
	needRoot(t)
	dir := filepath.Join(t.TempDir(), "castgate")
	h := Hook{RunDir: dir, GID: 7, Getenv: hookEnv(nil), Parent: os.Getpid(), Account: deploy}
	if err := h.Run(); err != nil {
		t.Fatal(err)
	}
	k, ok := lookupPID(dir, os.Getpid())
	if !ok || k.User != "deploy" || k.Type != "ssh-ed25519" || k.Fingerprint != "SHA256:+DiY3wvvV6TuJJhbpZisF/zLDA0zPMSvHdkr4UvCOqU" || k.Connection != "192.0.2.7 50514 192.0.2.1 22" {
		t.Errorf("record %+v, %v", k, ok)
	}
	st, err := os.Stat(filepath.Join(dir, strconv.Itoa(os.Getpid())))
	if err != nil || st.Mode().Perm() != 0o640 {
		t.Errorf("mode %v, %v", st.Mode(), err)
	}
	if err := h.Run(); err != nil {
		t.Errorf("a second time: %v", err)
	}
	h.Getenv = hookEnv(map[string]string{"PAM_TYPE": "close_session"})
	for range 2 {
		if err := h.Run(); err != nil {
			t.Fatal(err)
		}
	}
	if _, ok := lookupPID(dir, os.Getpid()); ok {
		t.Error("the record outlived its session")
	}
	if names, _ := readNames(dir); len(names) != 0 {
		t.Errorf("left %v", names)
	}
}

func TestHookWithoutAKey(t *testing.T) {
	needRoot(t)
	dir := t.TempDir()
	env := hookEnv(map[string]string{"SSH_AUTH_INFO_0": "password\n"})
	if err := (Hook{RunDir: dir, Getenv: env, Parent: os.Getpid(), Account: deploy}).Run(); err != nil {
		t.Fatal(err)
	}
	if k, ok := lookupPID(dir, os.Getpid()); !ok || k.Fingerprint != "" {
		t.Errorf("record %+v, %v", k, ok)
	}
}

func TestHookOfOtherServices(t *testing.T) {
	dir := t.TempDir()
	for _, change := range []map[string]string{{"PAM_SERVICE": "cron"}, {"PAM_SERVICE": ""}, {"PAM_TYPE": "auth"}} {
		if err := (Hook{RunDir: dir, Getenv: hookEnv(change), Parent: os.Getpid(), Account: deploy}).Run(); err != nil {
			t.Errorf("%v: %v", change, err)
		}
	}
	if names, _ := readNames(dir); len(names) != 0 {
		t.Errorf("wrote %v", names)
	}
}

// TestHookTidies: a monitor that was killed can't close its session.
func TestHookTidies(t *testing.T) {
	needRoot(t)
	dir := t.TempDir()
	const nobody = "4194305" // one more than the kernel's PID_MAX_LIMIT
	for _, name := range []string{nobody, "." + nobody, "guard.sock", "1"} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o640); err != nil {
			t.Fatal(err)
		}
	}
	if err := (Hook{RunDir: dir, Getenv: hookEnv(nil), Parent: os.Getpid(), Account: deploy}).Run(); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]bool{nobody: false, "." + nobody: false, "guard.sock": true, "1": true} {
		if _, err := os.Stat(filepath.Join(dir, name)); (err == nil) != want {
			t.Errorf("%s: %v", name, err)
		}
	}
}
