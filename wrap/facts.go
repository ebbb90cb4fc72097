// SPDX-License-Identifier: AGPL-3.0-or-later

package wrap

import (
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// unsetAudit is the audit session of a process that PAM gave none, (u32)-1.
const unsetAudit = 4294967295

// auditSession reads the kernel's number of the audit session, 0 if there is none.
func auditSession() int64 {
	n, err := strconv.ParseInt(readLine("/proc/self/sessionid"), 10, 64)
	if err != nil || n == unsetAudit {
		return 0
	}
	return n
}

func bootID() string { return readLine("/proc/sys/kernel/random/boot_id") }

func hostname() string {
	name, err := os.Hostname()
	if err != nil || name == "" {
		return "localhost"
	}
	return name
}

// open opens a file to read that no poller need know: os.Open would tell the
// Go runtime's of it, with five system calls for each of the files that a login
// asks for.
func open(path string) (*os.File, error) {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: path, Err: err}
	}
	return os.NewFile(uintptr(fd), path), nil
}

// readLine returns the first line of a file that the kernel makes.
func readLine(path string) string {
	f, err := open(path)
	if err != nil {
		return ""
	}
	defer f.Close()
	var buf [256]byte
	n, _ := f.Read(buf[:])
	line, _, _ := strings.Cut(string(buf[:n]), "\n")
	return line
}

// endpoints splits SSH_CONNECTION, "client-ip port server-ip port" (ssh(1)).
func endpoints(connection string) (client, server string) {
	f := strings.Fields(connection)
	if len(f) != 4 {
		return "", ""
	}
	return f[0] + " " + f[1], f[2] + " " + f[3]
}

// recordedEnv is the header's env: what a player can use and a server accepts.
func recordedEnv(getenv func(string) string, shell string) map[string]string {
	env := map[string]string{"SHELL": shell}
	if lang := getenv("LANG"); lang != "" {
		env["LANG"] = strings.ToValidUTF8(lang, "\ufffd")
	}
	return env
}
