// SPDX-License-Identifier: AGPL-3.0-or-later

package hosttest

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// A host begins as a Debian where castgate never was, and where nobody has an
// account, whatever the machine below has: an overlay shows all of it.

// left are places where castgate, its package or its users leave files.
// Mounted ones (/run, /tmp, /root, /home) are new in every host.
var left = []string{
	"/usr/bin/castgate*", "/usr/sbin/castgate*", "/usr/lib/castgate*", "/usr/local/*bin/castgate*",
	"/usr/lib/systemd/system/castgate*", "/usr/lib/systemd/system/*.wants/castgate*",
	"/usr/lib/sysusers.d/castgate*", "/usr/lib/tmpfiles.d/castgate*",
	"/usr/share/pam-configs/castgate*", "/usr/share/man/man?/castgate*",
	"/usr/share/bash-completion/completions/castgate*", "/usr/share/zsh/*/_castgate*", "/usr/share/fish/vendor_completions.d/castgate*",
	"/var/cache/castgate*", "/var/lib/castgate*", "/var/log/castgate*", "/var/spool/castgate*",
	"/var/lib/dpkg/info/castgate.*", "/var/lib/dpkg/info/castgate:*",
	// What sshd, PAM and cron do for everybody on the machine.
	"/etc/ssh/sshd_config.d/*", "/etc/ssh/sshrc", "/etc/ssh/ssh_known_hosts", "/etc/environment.d/*",
	"/etc/localtime", "/etc/timezone", "/etc/nologin", "/var/spool/cron/crontabs/*", "/var/spool/cron/atjobs/*", "/var/lib/systemd/linger/*",
}

// named are directories where castgate is part of many names: links of units,
// deb-systemd-helper's state, sudo's and cron's files.
var named = []string{"/etc", "/var/lib/systemd"}

// lines are of files that name castgate in lines of their own.
var lines = []string{"/etc/pam.d/*", "/var/lib/pam/*", "/etc/shells", "/var/lib/dpkg/statoverride"}

// emptied say to every login what the machine's administrator wants said.
var emptied = []string{"/etc/environment", "/etc/default/locale", "/etc/subuid", "/etc/subgid"}

func clean(machine) error {
	// First of all: castgate's copy is below /etc/castgate.
	if err := restore("/etc/castgate/pam.d-sshd.before", "/etc/pam.d/sshd"); err != nil {
		return err
	}
	if err := restore("/usr/share/openssh/sshd_config", "/etc/ssh/sshd_config"); err != nil {
		return err
	}
	for _, do := range []func() error{removeLeft, removeNamed, dropLines, forgetPackage, forgetAccounts} {
		if err := do(); err != nil {
			return err
		}
	}
	for _, path := range emptied {
		if err := rewrite(path, func([]byte) []byte { return nil }); err != nil {
			return err
		}
	}
	return nil
}

// restore copies a file over another one, where both are there.
func restore(from, to string) error {
	text, err := os.ReadFile(newRoot + from)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return rewrite(to, func([]byte) []byte { return text })
}

func removeLeft() error {
	for _, pattern := range left {
		found, err := filepath.Glob(newRoot + pattern)
		if err != nil {
			return err
		}
		for _, path := range found {
			if err := os.RemoveAll(path); err != nil {
				return err
			}
		}
	}
	return nil
}

func removeNamed() error {
	for _, dir := range named {
		err := filepath.WalkDir(newRoot+dir, func(path string, d fs.DirEntry, err error) error {
			if errors.Is(err, fs.ErrNotExist) {
				return nil
			}
			if err != nil || !strings.Contains(d.Name(), "castgate") {
				return err
			}
			if err := os.RemoveAll(path); err != nil || !d.IsDir() {
				return err
			}
			return fs.SkipDir
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func dropLines() error {
	for _, pattern := range lines {
		found, err := filepath.Glob(newRoot + pattern)
		if err != nil {
			return err
		}
		for _, path := range found {
			err := rewrite(strings.TrimPrefix(path, newRoot), func(text []byte) []byte {
				return keep(text, func(line []byte) bool { return !bytes.Contains(line, []byte("castgate")) })
			})
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// forgetPackage takes the package out of dpkg's list.
func forgetPackage() error {
	return rewrite("/var/lib/dpkg/status", func(text []byte) []byte {
		start := bytes.Index(text, []byte("Package: castgate\n"))
		if start < 0 || start > 0 && text[start-1] != '\n' {
			return text
		}
		_, after, _ := bytes.Cut(text[start:], []byte("\n\n"))
		return append(text[:start:start], after...)
	})
}

// forgetAccounts leaves root, the distribution's system accounts and nobody.
func forgetAccounts() error {
	gone := map[string]bool{}
	for _, db := range []struct {
		path string
		id   int // field of the uid or gid; 0 for a file that has none
	}{{"/etc/passwd", 2}, {"/etc/group", 2}, {"/etc/shadow", 0}, {"/etc/gshadow", 0}} {
		err := rewrite(db.path, func(text []byte) []byte {
			return keep(text, func(line []byte) bool {
				f := strings.Split(string(bytes.TrimSpace(line)), ":")
				if len(f) > 3 && db.id > 0 {
					id, err := strconv.Atoi(f[db.id])
					gone[f[0]] = gone[f[0]] || strings.HasPrefix(f[0], "castgate") || err == nil && id >= 1000 && id < 60000
				}
				return !gone[f[0]]
			})
		})
		if err != nil {
			return err
		}
	}
	err := rewrite("/etc/passwd", func(text []byte) []byte {
		return bytes.ReplaceAll(text, []byte(":/usr/bin/castgate-wrap\n"), []byte(":/bin/bash\n"))
	})
	if err != nil {
		return err
	}
	for _, path := range []string{"/etc/group", "/etc/gshadow"} {
		if err := rewrite(path, func(text []byte) []byte { return withoutMembers(text, gone) }); err != nil {
			return err
		}
	}
	return nil
}

// withoutMembers takes accounts out of the last field of group(5).
func withoutMembers(text []byte, gone map[string]bool) []byte {
	var out []byte
	for line := range bytes.Lines(text) {
		i := bytes.LastIndexByte(line, ':') + 1
		var members []string
		for _, m := range strings.Split(string(bytes.TrimSpace(line[i:])), ",") {
			if !gone[m] {
				members = append(members, m)
			}
		}
		out = append(append(out, line[:i]...), strings.Join(members, ",")+"\n"...)
	}
	return out
}

func keep(text []byte, wanted func(line []byte) bool) []byte {
	var out []byte
	for line := range bytes.Lines(text) {
		if wanted(line) {
			out = append(out, line...)
		}
	}
	return out
}

// rewrite changes a file that is there in place: it keeps owner and mode.
func rewrite(path string, change func(text []byte) []byte) error {
	info, err := os.Stat(newRoot + path)
	if errors.Is(err, fs.ErrNotExist) || err == nil && !info.Mode().IsRegular() {
		return nil
	}
	if err != nil {
		return err
	}
	before, err := os.ReadFile(newRoot + path)
	if err != nil {
		return err
	}
	after := change(bytes.Clone(before))
	if bytes.Equal(before, after) {
		return nil
	}
	if err := os.WriteFile(newRoot+path, after, info.Mode().Perm()); err != nil {
		return fmt.Errorf("clean %q: %w", path, err)
	}
	return nil
}
