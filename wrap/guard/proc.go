// SPDX-License-Identifier: AGPL-3.0-or-later

package guard

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// procID names one process of this boot. A pid alone names nobody: it is used again.
type procID struct {
	pid   int
	start uint64 // field 22 of stat, in clock ticks since boot
}

// process is one line of the process table.
type process struct {
	procID
	ppid  int
	state byte
	sid   int // field 6: the session it belongs to, in the sense of setsid(2)
	comm  string
}

// same says that p and q are one process, now or at two moments.
func (p process) same(q process) bool { return p.procID == q.procID && p.pid != 0 }

// dead says that the process runs no more: its children have new parents.
func (p process) dead() bool { return p.state == 'Z' || p.state == 'X' }

// ended says whether p has; an error, that this could not be read.
func (p process) ended() (bool, error) {
	now, err := readProcess(p.pid)
	if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ESRCH) {
		return true, nil
	}
	return err == nil && (!now.same(p) || now.dead()), err
}

var errProc = errors.New("not in the form of proc(5)")

// procSize is more than /proc/PID/stat has, and more than comes before the
// groups in /proc/PID/status.
const procSize = 2 << 10

// readProc reads the start of a file of /proc into buf. The recorder asks for
// several at each login: package os would tell the runtime's poller of each.
func readProc(buf []byte, path string) ([]byte, error) {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: path, Err: err}
	}
	defer unix.Close(fd)
	n, err := unix.Read(fd, buf[:cap(buf)])
	if err != nil {
		return nil, &os.PathError{Op: "read", Path: path, Err: err}
	}
	return buf[:n], nil
}

// readProcess reads /proc/PID/stat.
func readProcess(pid int) (process, error) {
	var buf [procSize]byte
	b, err := readProc(buf[:0], "/proc/"+strconv.Itoa(pid)+"/stat")
	if err != nil {
		return process{}, err
	}
	return parseStat(b)
}

// parseStat understands a line of /proc/PID/stat. The second field, the name,
// is the process's own choice and may contain anything, ") S 1" as well: the
// last parenthesis ends it, since all later fields are numbers (proc(5)).
func parseStat(b []byte) (process, error) {
	open, end := bytes.IndexByte(b, '('), bytes.LastIndexByte(b, ')')
	if open < 1 || end < open {
		return process{}, errProc
	}
	rest := strings.Fields(string(b[end+1:]))
	const upToStart = 20 // state is field 3, starttime field 22
	if len(rest) < upToStart || len(rest[0]) != 1 {
		return process{}, errProc
	}
	p := process{state: rest[0][0], comm: string(b[open+1 : end])}
	var errs [4]error
	p.pid, errs[0] = strconv.Atoi(strings.TrimSpace(string(b[:open])))
	p.ppid, errs[1] = strconv.Atoi(rest[1])
	p.sid, errs[2] = strconv.Atoi(rest[3])
	p.start, errs[3] = strconv.ParseUint(rest[19], 10, 64)
	if err := errors.Join(errs[:]...); err != nil {
		return process{}, errProc
	}
	return p, nil
}

// uids are the real, effective, saved and file system user ids.
type uids [4]uint32

func (u uids) all(id uint32) bool { return u == uids{id, id, id, id} }

func readUIDs(pid int) (uids, error) {
	var buf [procSize]byte
	b, err := readProc(buf[:0], "/proc/"+strconv.Itoa(pid)+"/status")
	if err != nil {
		return uids{}, err
	}
	return parseUIDs(b)
}

// parseUIDs finds the line "Uid:" of /proc/PID/status. The name comes first
// there, with line breaks escaped by the kernel.
func parseUIDs(b []byte) (uids, error) {
	for line := range strings.Lines(string(b)) {
		rest, ok := strings.CutPrefix(line, "Uid:")
		if !ok {
			continue
		}
		var u uids
		fields := strings.Fields(rest)
		if len(fields) != len(u) {
			return u, errProc
		}
		for i, f := range fields {
			n, err := strconv.ParseUint(f, 10, 32)
			if err != nil {
				return u, errProc
			}
			u[i] = uint32(n)
		}
		return u, nil
	}
	return uids{}, errProc
}

// audit returns the audit session id of a process, AuditUnset when it has
// none, or when the kernel has no audit.
func audit(pid int) uint32 {
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/sessionid")
	if err != nil {
		return AuditUnset
	}
	n, err := strconv.ParseUint(strings.TrimSpace(string(b)), 10, 32)
	if err != nil {
		return AuditUnset
	}
	return uint32(n)
}

// maxAncestors bounds a walk to the root of the tree. A session's shell is
// rarely deeper than ten; a person can make it as deep as they like.
const maxAncestors = 256

// ancestors returns pid's parent, its parent, and so on up to process 1. The
// processes may change while we look; every entry was at that moment the
// parent of the one before it.
func ancestors(pid int) ([]process, error) {
	p, err := readProcess(pid)
	if err != nil {
		return nil, err
	}
	var chain []process
	for p.ppid > 0 && len(chain) < maxAncestors {
		parent, err := readProcess(p.ppid)
		if err != nil {
			return chain, fmt.Errorf("ancestors of %d: %w", pid, err)
		}
		// A parent that is younger than its child has the pid of one that died.
		if parent.start > p.start {
			return chain, fmt.Errorf("ancestors of %d: the parent of %d has gone", pid, p.pid)
		}
		chain = append(chain, parent)
		p = parent
	}
	return chain, nil
}
