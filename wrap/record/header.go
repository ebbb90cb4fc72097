// SPDX-License-Identifier: AGPL-3.0-or-later

package record

import (
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"castgate/wrap/asciicast"
)

// Facts is what a recorder knows of a session before its program starts.
type Facts struct {
	Start   time.Time
	Command string       // what runs; "" for a shell
	Shell   string       // the program that runs it
	Term    string       // $TERM
	Lang    string       // $LANG
	Size    unix.Winsize // of the terminal; zero without one
	Session asciicast.Session
}

// Header is the first line of the session's recording. What this process can
// find out about itself and the host is added; nobody needs to tell it.
func (f Facts) Header() asciicast.Header {
	s := f.Session
	s.UID, s.Host = os.Getuid(), hostname()
	s.Boot, s.Audit = firstLine("/proc/sys/kernel/random/boot_id"), auditSession()
	h := asciicast.Header{
		Timestamp: f.Start.Unix(),
		Term:      asciicast.Term{Cols: int(f.Size.Col), Rows: int(f.Size.Row), Type: f.Term},
		Command:   f.Command,
		Env:       map[string]string{"SHELL": f.Shell},
		Session:   &s,
	}
	if f.Lang != "" {
		h.Env["LANG"] = f.Lang
	}
	return h
}

func hostname() string {
	name, err := os.Hostname()
	if err != nil || name == "" {
		return "localhost"
	}
	return name
}

// unsetAudit is the audit session of a process that PAM gave none, (u32)-1.
const unsetAudit = 4294967295

// auditSession reads the kernel's number of the audit session, 0 if there is none.
func auditSession() int64 {
	n, err := strconv.ParseInt(firstLine("/proc/self/sessionid"), 10, 64)
	if err != nil || n == unsetAudit {
		return 0
	}
	return n
}

// firstLine is that of a file which the kernel makes, "" when there is none.
func firstLine(path string) string {
	text, _ := os.ReadFile(path)
	line, _, _ := strings.Cut(string(text), "\n")
	return line
}
