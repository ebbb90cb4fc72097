// SPDX-License-Identifier: AGPL-3.0-or-later

package guard

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"castgate/wrap/restrict"
)

// Hook is the PAM session hook: pam_exec(8) runs it as root, below sshd's
// monitor, with what PAM and sshd know in its environment. The record it
// leaves is how a recorder learns with which key a person came in; it is gone
// with the connection.
type Hook struct {
	RunDir string
	GID    int // group castgate, which may read the records
	Getenv func(string) string
	Parent int // the process that opens the session: sshd's monitor
	// Account looks up a name in passwd(5).
	Account func(name string) restrict.Account
}

// Run does what the session's event asks for. Other services than sshd have
// nothing to record: a common-session stack is everybody's.
func (h Hook) Run() error {
	if h.Getenv("PAM_SERVICE") != "sshd" {
		return nil
	}
	switch h.Getenv("PAM_TYPE") {
	case "open_session":
		return h.open()
	case "close_session":
		return h.close()
	}
	return nil
}

func (h Hook) open() error {
	p, err := readProcess(h.Parent)
	if err != nil {
		return fmt.Errorf("read sshd's process: %w", err)
	}
	// sshd's environment is root's word only below root's sshd.
	if u, err := readUIDs(h.Parent); err != nil || !u.all(0) {
		return fmt.Errorf("process %d is not root's", h.Parent)
	}
	k := Key{PID: p.pid, Start: p.start, User: h.Getenv("PAM_USER"), Connection: h.Getenv("SSH_CONNECTION")}
	h.accepted(&k, h.Getenv("SSH_AUTH_INFO_0"))
	b, err := json.Marshal(k)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(h.RunDir, 0o755); err != nil {
		return err
	}
	h.tidy()
	return h.write(strconv.Itoa(p.pid), append(b, '\n'))
}

// accepted notes with which key the person came in, and what it is restricted
// to. No key: a password or another method; the record then says just that.
func (h Hook) accepted(k *Key, auth string) {
	keys, err := restrict.Keys(auth)
	if err == nil && len(keys) > 0 { // with several keys required the last one completed the login
		last := keys[len(keys)-1]
		k.Type, k.Fingerprint = last.Type, last.Fingerprint()
	}
	a := h.Account(k.User)
	k.UID, k.Told = a.UID, true
	r, err := restrict.ReadConfig(h.Parent).Of(a, auth)
	if err != nil {
		k.Unsure = err.Error()
	}
	k.Forced, k.Command = r.Forced, r.Command
}

// write makes the record whole or not at all. A reader never sees a part, nor
// a record that others than root and the recorder's group may read.
func (h Hook) write(name string, b []byte) error {
	dir, err := os.OpenRoot(h.RunDir)
	if err != nil {
		return err
	}
	defer dir.Close()
	tmp := "." + name
	_ = dir.Remove(tmp) // left by one that was killed
	f, err := dir.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = f.Write(b)
	err = errors.Join(err, f.Chown(0, h.GID), f.Chmod(0o640))
	if err == nil {
		err = dir.Rename(tmp, name)
	}
	if err != nil {
		_ = dir.Remove(tmp)
	}
	return err
}

func (h Hook) close() error {
	err := os.Remove(filepath.Join(h.RunDir, strconv.Itoa(h.Parent)))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	return err
}

// maxTidy bounds what one login does for others.
const maxTidy = 64

// tidy removes records of monitors that were killed before they could close
// their sessions.
func (h Hook) tidy() {
	d, err := os.Open(h.RunDir)
	if err != nil {
		return
	}
	defer d.Close()
	names, _ := d.Readdirnames(maxTidy) // fewer is fine
	for _, name := range names {
		pid, err := strconv.Atoi(strings.TrimPrefix(name, "."))
		if err != nil {
			continue
		}
		if unix.Kill(pid, 0) == unix.ESRCH {
			_ = os.Remove(filepath.Join(h.RunDir, name))
		}
	}
}
