// SPDX-License-Identifier: AGPL-3.0-or-later

package guard

import (
	"bytes"
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

// RunDir is where the session hook leaves one record for each connection.
const RunDir = "/run/castgate"

// maxRecord bounds a record: a few short fields, and a command.
const maxRecord = 256 << 10

// Key is who came in, as the session hook, run by sshd as root, was told. What
// the person could forge (SSH_USER_AUTH's file, environment=) is no part of it.
type Key struct {
	PID         int    `json:"pid"`                   // sshd's monitor of this connection
	Start       uint64 `json:"start"`                 // its start time, against reuse of the pid
	User        string `json:"user"`                  // the account that was opened
	Fingerprint string `json:"fingerprint,omitempty"` // "SHA256:…"; "" when no key was used
	Type        string `json:"type,omitempty"`        // "ssh-ed25519"
	Connection  string `json:"connection,omitempty"`  // as in SSH_CONNECTION

	UID     int    `json:"uid"`               // of User; negative where it isn't known
	Told    bool   `json:"told"`              // the rest is known: not by hooks of older versions
	Forced  bool   `json:"forced,omitempty"`  // the key is restricted to Command
	Command string `json:"command,omitempty"` //
	Unsure  string `json:"unsure,omitempty"`  // why it can't be told whether it is
}

// Of says that the account was opened that has this name or, since sshd takes a
// name as it was typed, this uid.
func (k Key) Of(name string, uid int) bool { return k.User == name || k.Told && k.UID == uid }

// Restriction is what the session may run.
func (k Key) Restriction() (restrict.Restriction, error) {
	if k.Unsure != "" {
		return restrict.Restriction{}, errors.New(k.Unsure)
	}
	return restrict.Restriction{Forced: k.Forced, Command: k.Command}, nil
}

// Accepted finds the record of the connection that the process pid belongs to,
// in its nearest ancestor that has one.
func Accepted(runDir string, pid int) (Key, bool) {
	var st unix.Stat_t
	if unix.Stat(runDir, &st) != nil {
		return Key{}, false // nobody writes records here
	}
	chain, _ := ancestors(pid) // a partial chain is as good as it goes
	for _, p := range chain {
		if k, ok := lookup(runDir, p); ok {
			return k, true
		}
	}
	return Key{}, false
}

// lookup returns the record of a process, sshd's monitor. It is believed only when
// root wrote it, for the process that has this pid now.
func lookup(runDir string, p process) (Key, bool) {
	b, err := readTrusted(filepath.Join(runDir, strconv.Itoa(p.pid)), maxRecord, 0)
	if err != nil {
		return Key{}, false
	}
	k, err := parseRecord(b)
	if err != nil || k.PID != p.pid || k.Start != p.start {
		return Key{}, false
	}
	return k, true
}

func parseRecord(b []byte) (Key, error) {
	var k Key
	if err := json.Unmarshal(b, &k); err != nil {
		return Key{}, err
	}
	if k.Fingerprint != "" && !validFingerprint(k.Fingerprint) {
		return Key{}, fmt.Errorf("fingerprint %q", clip(k.Fingerprint, maxSession))
	}
	return k, nil
}

// validFingerprint wants "SHA256:" and 43 characters of base64, as ssh-keygen -l prints.
func validFingerprint(s string) bool {
	sum, ok := strings.CutPrefix(s, "SHA256:")
	if !ok || len(sum) != 43 {
		return false
	}
	return strings.IndexFunc(sum, func(r rune) bool {
		return (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && r != '+' && r != '/'
	}) < 0
}

// maxLogins bounds the cache of logins: some 70 bytes for each key of each
// member of an organisation of 100,000.
const maxLogins = 16 << 20

// Logins is where castgate-keys tells whose keys it knows.
const Logins = "/var/cache/castgate-keys/logins"

// LoginOf returns whose key fingerprint is on GitHub, as castgate-keys wrote
// it into path: lines of "SHA256:… login id". It is "" where that is not known,
// and the id 0. A key that two people have is nobody's: a name is never guessed.
func LoginOf(path, fingerprint string) (login string, id int64) {
	if !validFingerprint(fingerprint) {
		return "", 0
	}
	b, err := readTrusted(path, maxLogins, anyOwner)
	if err != nil {
		return "", 0
	}
	return findLogin(b, fingerprint)
}

func findLogin(b []byte, fingerprint string) (login string, id int64) {
	prefix := []byte(fingerprint + " ")
	for line := range bytes.Lines(b) {
		rest, ok := bytes.CutPrefix(line, prefix)
		if !ok {
			continue
		}
		f := strings.Fields(string(rest))
		if len(f) == 0 || !validLogin(f[0]) {
			continue
		}
		var number int64
		if len(f) > 1 {
			number, _ = strconv.ParseInt(f[1], 10, 64)
		}
		if login != "" && (login != f[0] || id != number) {
			return "", 0
		}
		login, id = f[0], max(number, 0)
	}
	return login, id
}

// validLogin holds a login to GitHub's characters (a user of an enterprise
// has an underscore) and its 39 letters, with room for a short code behind.
func validLogin(s string) bool {
	const longest = 64
	return len(s) <= longest && strings.IndexFunc(s, func(r rune) bool {
		return (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && r != '-' && r != '_'
	}) < 0
}

// anyOwner is for a file whose writer's uid differs from host to host: that
// only its owner may write it must do.
const anyOwner = -1

// readTrusted reads a regular file that others than its owner can't write.
func readTrusted(path string, limit int64, owner int) ([]byte, error) {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	f := os.NewFile(uintptr(fd), path)
	defer f.Close()
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return nil, err
	}
	switch {
	case st.Mode&unix.S_IFMT != unix.S_IFREG:
		return nil, errors.New("not a regular file")
	case st.Mode&0o022 != 0 || owner != anyOwner && int(st.Uid) != owner:
		return nil, errors.New("others may write it")
	case st.Size > limit:
		return nil, errors.New("too big")
	}
	b := make([]byte, st.Size)
	n, err := unix.Pread(fd, b, 0)
	if err != nil {
		return nil, err
	}
	return b[:n], nil
}
