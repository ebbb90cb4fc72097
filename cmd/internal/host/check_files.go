// SPDX-License-Identifier: AGPL-3.0-or-later

package host

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"castgate/wrap/hint"
)

// file is a path with the owner and the mode it must have.
type file struct {
	path, owner, group string
	mode               uint32
}

// installed is what the package puts on a host. Other modes would let a user in,
// or keep a program out.
var installed = []file{
	{"/usr/bin/castgate", "root", "root", 0o755},
	{"/usr/bin/castgate-once", "root", "root", 0o755},
	{keysPath, "root", "root", 0o755},
	{"/usr/bin/castgate-upload", "root", "root", 0o755},
	{"/usr/lib/castgate/castgate-guard", "root", "root", 0o755},
	{"/etc/castgate", "root", "root", 0o755},
	{"/etc/castgate/keys.yaml", "root", "castgate-keys", 0o640},
	{"/etc/castgate/wrap.yaml", "root", "root", 0o644},
	{"/etc/castgate/upload.yaml", "root", "castgate-upload", 0o640},
	{"/etc/castgate/archive.yaml", "root", "castgate-archive", 0o640},
	{"/etc/castgate/signing-key", "root", "castgate-upload", 0o640},
	{"/var/spool/castgate", "root", "castgate", 0o750},
	{"/var/spool/castgate/live", "root", "castgate", 0o770},
	{"/var/spool/castgate/incoming", "root", "castgate", 0o770},
	{"/var/spool/castgate/bad", "root", "castgate", 0o770},
	{"/var/spool/castgate/kept", "root", "castgate", 0o770},
	{"/var/cache/castgate-keys", "castgate-keys", "castgate-keys", 0o755},
	{"/var/lib/castgate-keys", "root", "root", 0o755},
	{"/var/lib/castgate-keys/people", "root", "root", 0o755},
	{"/var/lib/castgate-keys/seen", "castgate-keys", "castgate-keys", 0o755},
	{"/var/lib/castgate", "root", "castgate-archive", 0o1775},
	{"/var/lib/castgate/archive", "castgate-upload", "castgate-archive", 0o2770},
	{"/var/lib/castgate/upload", "castgate-upload", "castgate-upload", 0o755},
	{"/run/castgate", "root", "root", 0o755},
}

// files: one finding for each path that is not as it should be.
func (h *Host) files() []Finding {
	const what = "owners and modes of castgate's files"
	var all []Finding
	for _, f := range installed {
		if why := f.wrong(); why != "" {
			fix := fmt.Sprintf("chown %s:%s %s && chmod %04o %s", f.owner, f.group, f.path, f.mode, f.path)
			if strings.HasPrefix(f.path, "/var/") || strings.HasPrefix(f.path, "/run/") {
				fix = "systemd-tmpfiles --create castgate.conf"
			}
			all = append(all, Finding{Fail, what, why, fix})
		}
	}
	if all == nil {
		return ok(what)
	}
	return all
}

// wrong says how a file differs, "" when it doesn't. A stricter mode is no
// fault of files; directories must be enterable as they are.
func (f file) wrong() string {
	var st unix.Stat_t
	if err := unix.Stat(f.path, &st); err != nil {
		return fmt.Sprintf("%s: %v", f.path, err)
	}
	owner, group := userName(st.Uid), groupName(st.Gid)
	mode := st.Mode & 0o7777
	if owner != f.owner || group != f.group || mode != f.mode {
		return fmt.Sprintf("%s is %s:%s %04o and not %s:%s %04o", f.path, owner, group, mode, f.owner, f.group, f.mode)
	}
	return ""
}

func userName(uid uint32) string {
	if u, err := user.LookupId(strconv.Itoa(int(uid))); err == nil {
		return u.Username
	}
	return strconv.Itoa(int(uid))
}

func groupName(gid uint32) string {
	if g, err := user.LookupGroupId(strconv.Itoa(int(gid))); err == nil {
		return g.Name
	}
	return strconv.Itoa(int(gid))
}

// setgid: without the bit, or where the kernel ignores it, castgate-wrap
// refuses every session.
func (h *Host) setgid() []Finding {
	const what = "castgate-wrap is setgid"
	f := file{wrapPath, "root", "castgate", 0o2755}
	if why := f.wrong(); why != "" {
		if h.Wrap.Plain {
			return warn(what, why+`: "plain: yes" lets sessions run, but people can spoil their recordings`, "plain: no, and the setgid bit")
		}
		return failed(what, why+": it refuses every session", "dpkg-statoverride --force-statoverride-add --update --add root castgate 2755 "+wrapPath)
	}
	var fs unix.Statfs_t
	if err := unix.Statfs(wrapPath, &fs); err == nil && fs.Flags&unix.ST_NOSUID != 0 {
		return failed(what, "the file system of "+wrapPath+" is mounted nosuid: it refuses every session", "mount it without nosuid")
	}
	if h.Wrap.Plain {
		return warn(what, `wrap.yaml says "plain: yes": where the bit is lost, people can spoil their recordings`, "plain: no")
	}
	return ok(what)
}

// shells: with the recorder in /etc/shells people may chsh, and so leave it.
func (h *Host) shells() []Finding {
	const what = "/etc/shells"
	text, _ := os.ReadFile("/etc/shells")
	if slices.Contains(strings.Fields(string(text)), wrapPath) {
		return failed(what, "it lists "+wrapPath+": people may then change their shell with chsh, away from the recorder", "take that line out")
	}
	return ok(what)
}

// loginShells: the real shells that wrap.yaml names must be there.
func (h *Host) loginShells() []Finding {
	const what = "shells"
	var missing []string
	for _, a := range h.Accounts {
		shell := a.Shell
		if shell == wrapPath {
			shell = h.Wrap.Shells[a.Name]
		}
		if st, err := os.Stat(shell); shell != "" && (err != nil || !st.Mode().IsRegular() || st.Mode()&0o111 == 0) {
			missing = append(missing, fmt.Sprintf("%s of %s", shell, a.Name))
		}
	}
	if len(missing) > 0 {
		return failed(what, "can't be run: "+names(missing), "install them, or chsh -s /bin/bash; for castgate-wrap as the login shell: shells in wrap.yaml")
	}
	return ok(what)
}

// fishMemory is what fish writes at a root login. Values in it count for every
// fish that can read it, so nobody else's may.
const fishMemory = homePath + "/.config/fish/fish_variables"

// homeTree: what a shell finds in the home of the moment runs before the
// recorder, and it is everybody's.
func (h *Host) homeTree() []Finding {
	const what = "nothing is in the home before the recorder"
	wrong := ""
	err := filepath.WalkDir(homePath, func(path string, d fs.DirEntry, err error) error {
		var st unix.Stat_t
		switch {
		case err != nil:
			return err
		case !d.IsDir() && (path != fishMemory || !d.Type().IsRegular()):
			wrong = path + " is no directory: shells may run it before the recorder"
		case path == fishMemory && unix.Stat(path, &st) == nil && st.Mode&0o044 != 0:
			wrong = path + " is read by every fish before the recorder"
		case unix.Stat(path, &st) == nil && (st.Uid != 0 || st.Mode&0o022 != 0):
			wrong = path + " may be written by others than root"
		default:
			return nil
		}
		return fs.SkipAll
	})
	switch {
	case err != nil:
		return failed(what, err.Error(), "install the package again")
	case wrong != "":
		return failed(what, wrong, "only directories that are root's belong below "+homePath)
	}
	return ok(what)
}

func yaml(what string, err error) []Finding {
	if err != nil {
		return failed(what, err.Error(), hint.Of(err))
	}
	return ok(what)
}

func (h *Host) wrapYAML() []Finding   { return yaml("wrap.yaml", h.wrapErr) }
func (h *Host) uploadYAML() []Finding { return yaml("upload.yaml", h.uploadErr) }
func (h *Host) keysYAML() []Finding   { return yaml("keys.yaml", h.keysErr) }

// archiveYAML: without the file the defaults hold.
func (h *Host) archiveYAML() []Finding {
	if errors.Is(h.archiveErr, fs.ErrNotExist) {
		return ok("archive.yaml")
	}
	return yaml("archive.yaml", h.archiveErr)
}

// guard: with "require" a session without it is refused.
func (h *Host) guard() []Finding {
	const what = "castgate-guard"
	if h.Wrap.Guard == "no" {
		return ok(what + " (wrap.yaml: no)")
	}
	level, why := Warn, "it does not listen at "+guardSock+": who holds a session's terminal, and what it leaves behind, is not seen"
	if h.Wrap.Guard == "require" {
		level, why = Fail, "it does not listen at "+guardSock+", and wrap.yaml requires it: every session is refused"
	}
	if st, err := os.Stat(guardSock); err != nil || st.Mode()&os.ModeSocket == 0 {
		return []Finding{{level, what, why, "systemctl enable --now castgate-guard.socket"}}
	}
	if why := (file{guardSock, "root", "castgate", 0o660}).wrong(); why != "" {
		return failed(what, why, "systemctl restart castgate-guard.socket")
	}
	return ok(what)
}

// spool: a rename from live to incoming must stay on one file system.
func (h *Host) spool() []Finding {
	const what = "the spool"
	var live, incoming unix.Stat_t
	if unix.Stat(h.Wrap.Spool+"/live", &live) != nil || unix.Stat(h.Wrap.Spool+"/incoming", &incoming) != nil {
		return failed(what, h.Wrap.Spool+" has no live and incoming", "systemd-tmpfiles --create castgate.conf")
	}
	if live.Dev != incoming.Dev {
		return failed(what, "live and incoming are on different file systems: no session can be closed", "mount a file system on "+h.Wrap.Spool+", not below it")
	}
	if h.uploadErr == nil && h.wrapErr == nil && h.Upload.Spool != h.Wrap.Spool {
		return failed(what, fmt.Sprintf("wrap.yaml records into %q, upload.yaml delivers from %q", h.Wrap.Spool, h.Upload.Spool), "name the same directory in both")
	}
	return ok(what)
}

// space: below limits.free new sessions are refused, except root's.
func (h *Host) space() []Finding {
	const what = "room in the spool"
	var fs unix.Statfs_t
	if err := unix.Statfs(h.Wrap.Spool, &fs); err != nil {
		return nil // spool has said it
	}
	free := int64(fs.Bavail) * fs.Bsize
	limit := int64(h.Wrap.Limits.Free)
	switch {
	case free < limit:
		return failed(what, fmt.Sprintf("%d MiB are free, and below %d MiB (limits.free) sessions are refused", free>>20, limit>>20), "make room on the file system of "+h.Wrap.Spool)
	case free < 2*limit:
		return warn(what, fmt.Sprintf("%d MiB are free; below %d MiB (limits.free) sessions are refused", free>>20, limit>>20), "make room on the file system of "+h.Wrap.Spool)
	case fs.Files > 0 && fs.Ffree*100 < fs.Files:
		return warn(what, "fewer than 1 % of the inodes are free", "make room on the file system of "+h.Wrap.Spool)
	}
	return ok(what)
}

// bad holds recordings that no target would take.
func (h *Host) bad() []Finding {
	const what = "recordings that can't be delivered"
	found, _ := filepath.Glob(h.Wrap.Spool + "/bad/*.cast")
	if len(found) > 0 {
		return warn(what, fmt.Sprintf("%d in %s/bad, for example %s", len(found), h.Wrap.Spool, filepath.Base(found[0])), "castgate-upload status says why")
	}
	return ok(what)
}
