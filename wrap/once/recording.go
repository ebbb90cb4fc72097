// SPDX-License-Identifier: AGPL-3.0-or-later

package once

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// Formats of the log.
const (
	FormatCast = "cast" // asciicast v3
	FormatRaw  = "raw"  // what was asked for, shown and, where nothing echoes it, sent
)

// logFile is where the recording goes.
type logFile struct {
	fd      int
	created string // path of a file that didn't exist before
	restore bool   // fd was blocking, and is shared with others
}

// openLog opens the log: path, or standard output when path is "". A file with
// something in it is refused: it may be a recording.
func openLog(path string) (*logFile, error) {
	l, err := open(path)
	if err != nil {
		return nil, fault(StatusLog, "open the log: %w", err)
	}
	return l, nil
}

func open(path string) (*logFile, error) {
	if path == "" || path == "-" || path == "/dev/stdout" {
		return openStdout()
	}
	const flags = unix.O_WRONLY | unix.O_APPEND | unix.O_CLOEXEC | unix.O_NOCTTY | unix.O_NONBLOCK
	fd, err := unix.Open(path, flags|unix.O_CREAT|unix.O_EXCL, 0o600)
	if err == nil {
		return &logFile{fd: fd, created: path}, nil
	}
	if !errors.Is(err, unix.EEXIST) {
		return nil, &fs.PathError{Op: "create", Path: path, Err: err}
	}
	if fd, err = unix.Open(path, flags, 0); err != nil {
		return nil, &fs.PathError{Op: "open", Path: path, Err: err}
	}
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil || st.Mode&unix.S_IFMT == unix.S_IFREG && st.Size > 0 {
		unix.Close(fd)
		return nil, errors.Join(err, fmt.Errorf("%q exists and is not empty; castgate-once never writes into a recording", path))
	}
	return &logFile{fd: fd}, nil
}

// openStdout opens standard output anew where that is possible, for the flags
// that the recorder needs belong to the open file, which others may share. It
// isn't for a socket, without /proc, or for somebody else's pipe. A file stays
// as it is: it never blocks, and with an offset of its own the recording would
// be overwritten by messages that go to the same file (2>&1).
func openStdout() (*logFile, error) {
	var st unix.Stat_t
	regular := unix.Fstat(1, &st) == nil && st.Mode&unix.S_IFMT == unix.S_IFREG
	if !regular {
		fd, err := unix.Open("/proc/self/fd/1", unix.O_WRONLY|unix.O_CLOEXEC|unix.O_NOCTTY|unix.O_NONBLOCK, 0)
		if err == nil {
			return &logFile{fd: fd}, nil
		}
	}
	flags, err := unix.FcntlInt(1, unix.F_GETFL, 0)
	if err == nil && flags&unix.O_ACCMODE == unix.O_RDONLY {
		err = unix.EBADF
	}
	if err != nil {
		return nil, &fs.PathError{Op: "write", Path: "standard output", Err: err}
	}
	l := &logFile{restore: !regular && flags&unix.O_NONBLOCK == 0}
	if l.fd, err = unix.FcntlInt(1, unix.F_DUPFD_CLOEXEC, 3); err != nil {
		return nil, os.NewSyscallError("fcntl", err)
	}
	if l.restore {
		err = unix.SetNonblock(l.fd, true)
	}
	return l, err
}

// close closes the log. One that no session has written to is removed when
// castgate-once made it: an empty file is no recording.
func (l *logFile) close() {
	if l.restore {
		_ = unix.SetNonblock(l.fd, false)
	}
	var st unix.Stat_t
	empty := unix.Fstat(l.fd, &st) == nil && st.Size == 0
	unix.Close(l.fd)
	if l.created != "" && empty {
		_ = os.Remove(filepath.Clean(l.created))
	}
}
