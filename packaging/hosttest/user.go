// SPDX-License-Identifier: AGPL-3.0-or-later

package hosttest

import (
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// User is an account on the host.
type User struct {
	Name, Home string
	UID, GID   int
}

// AddUser makes an account with a home of its own and removes it, with all
// its processes, when the test ends. More arguments are useradd's.
func AddUser(t testing.TB, name, shell string, args ...string) *User {
	t.Helper()
	Need(t)
	// "*" is no password but no lock either: sshd refuses locked accounts.
	Run(t, append([]string{"useradd", "--create-home", "--shell", shell, "--password", "*", name}, args...)...)
	t.Cleanup(func() {
		_ = exec.Command("pkill", "-KILL", "-u", name).Run() // status 1: nothing was left
		Run(t, "sh", "-c", "userdel --force --remove "+name+" 2>&1")
	})
	u, err := user.Lookup(name)
	if err != nil {
		t.Fatal(err)
	}
	uid, _ := strconv.Atoi(u.Uid)
	gid, _ := strconv.Atoi(u.Gid)
	return &User{Name: name, Home: u.HomeDir, UID: uid, GID: gid}
}

// Authorize puts public key lines into the account's authorized_keys file.
func (u *User) Authorize(t testing.TB, keys ...*Key) {
	t.Helper()
	var lines strings.Builder
	for _, k := range keys {
		lines.WriteString(k.Line + "\n")
	}
	u.Write(t, ".ssh/authorized_keys", lines.String())
}

// Write writes a file below the account's home, directories and all, as the
// account's own.
func (u *User) Write(t testing.TB, name, text string) {
	t.Helper()
	path := filepath.Join(u.Home, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	for p := path; p != u.Home; p = filepath.Dir(p) {
		if err := os.Chown(p, u.UID, u.GID); err != nil {
			t.Fatal(err)
		}
	}
}

// Command is a command that runs as the account, in its home, with the
// environment of a fresh login but without any session.
func (u *User) Command(name string, args ...string) *exec.Cmd {
	cmd := exec.Command(name, args...)
	cmd.Dir = u.Home
	cmd.Env = []string{"HOME=" + u.Home, "USER=" + u.Name, "LOGNAME=" + u.Name, "PATH=/usr/local/bin:/usr/bin:/bin"}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(u.UID), Gid: uint32(u.GID)}}
	return cmd
}

// Key is an SSH key pair in files.
type Key struct {
	Path        string // of the private key; Path + ".pub" is the public one
	Line        string // of authorized_keys, with no newline
	Fingerprint string // SHA256:...
}

// NewKey makes a key: "ed25519", "rsa", "ecdsa".
func NewKey(t testing.TB, keyType string) *Key {
	t.Helper()
	path := filepath.Join(t.TempDir(), "id_"+keyType)
	if out, err := exec.Command("ssh-keygen", "-q", "-t", keyType, "-N", "", "-C", "", "-f", path).CombinedOutput(); err != nil {
		t.Fatalf("ssh-keygen: %v\n%s", err, out)
	}
	line, err := os.ReadFile(path + ".pub")
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("ssh-keygen", "-l", "-E", "sha256", "-f", path+".pub").Output()
	if err != nil {
		t.Fatal(err)
	}
	return &Key{Path: path, Line: strings.TrimSpace(string(line)), Fingerprint: strings.Fields(string(out))[1]}
}
