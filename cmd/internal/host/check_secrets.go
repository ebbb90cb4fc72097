// SPDX-License-Identifier: AGPL-3.0-or-later

package host

import (
	"fmt"
	"os/user"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"castgate/upload/archive"
)

// secret is a file that one program must be able to read, and nobody else.
type secret struct{ path, reader, without string }

// secretFiles are those that the configuration names.
func (h *Host) secretFiles() []secret {
	var all []secret
	add := func(path, reader, without string) {
		// A credential of systemd's is there while its service runs, and only
		// for that.
		if path != "" && !strings.HasPrefix(path, "/run/credentials/") {
			all = append(all, secret{path, reader, without})
		}
	}
	if h.keysErr == nil && !h.unconfigured() {
		add(h.Keys.GitHub.TokenFile, keysUser, "castgate-keys can't ask GitHub")
		add(h.Keys.GitHub.App.KeyFile, keysUser, "castgate-keys can't ask GitHub")
	}
	if h.uploadErr == nil {
		for _, t := range h.Upload.Targets {
			path := ""
			switch {
			case t.Asciinema != nil:
				path = t.Asciinema.InstallIDFile
			case t.S3 != nil && t.S3.Ticket != nil:
				path = t.S3.Ticket.KeyFile
			case t.S3 != nil:
				path = t.S3.CredentialsFile
			case t.Archive != nil:
				path = t.Archive.KeyFile
			case t.TTYSpy != nil:
				path = t.TTYSpy.KeyFile
			}
			add(path, "castgate-upload", "recordings wait in the spool")
		}
	}
	if h.archiveErr == nil {
		for _, path := range archiveSecrets(h.Archive) {
			add(path, "castgate-archive", "castgate serve does not start")
		}
	}
	return all
}

func archiveSecrets(c archive.Config) []string {
	all := []string{c.Web.KeyFile, c.Receive.KeyFile, c.Auditors.TokenFile}
	if c.Auditors.GitHub != nil {
		all = append(all, c.Auditors.GitHub.ClientSecretFile)
	}
	for _, bucket := range []*archive.S3Config{c.Store.S3, c.Receive.Tickets} {
		if bucket != nil {
			all = append(all, bucket.CredentialsFile)
		}
	}
	return all
}

// secrets are readable by the program that needs them and by nobody else.
func (h *Host) secrets() []Finding {
	const what = "secrets"
	var all []Finding
	for _, s := range h.secretFiles() {
		if f := s.wrong(); f.Why != "" {
			f.Level, f.What = Fail, what
			all = append(all, f)
		}
	}
	if all == nil {
		return ok(what)
	}
	return all
}

func (s secret) wrong() (f Finding) {
	var st unix.Stat_t
	f.Fix = fmt.Sprintf("chown root:%s %s && chmod 0640 %s", s.reader, s.path, s.path)
	switch err := unix.Stat(s.path, &st); {
	case err != nil:
		f.Why, f.Fix = fmt.Sprintf("%s: %v: %s", s.path, err, s.without), "write it there, then "+f.Fix
	case st.Mode&0o007 != 0:
		f.Why = fmt.Sprintf("everybody may read %s (mode %04o)", s.path, st.Mode&0o7777)
	case !mayRead(st, s.reader):
		f.Why = fmt.Sprintf("%s can't read %s (%s:%s %04o): %s", s.reader, s.path, userName(st.Uid), groupName(st.Gid), st.Mode&0o7777, s.without)
	case st.Size == 0:
		f.Why, f.Fix = s.path+" is empty: "+s.without, "write it there"
	}
	return f
}

// mayRead reports whether a user may read a file as its owner or by a group.
func mayRead(st unix.Stat_t, name string) bool {
	u, err := user.Lookup(name)
	if err != nil {
		return false
	}
	if u.Uid == strconv.Itoa(int(st.Uid)) {
		return st.Mode&0o400 != 0
	}
	groups, _ := u.GroupIds()
	return st.Mode&0o040 != 0 && slices.Contains(groups, strconv.Itoa(int(st.Gid)))
}
