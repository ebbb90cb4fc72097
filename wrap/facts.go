// SPDX-License-Identifier: AGPL-3.0-or-later

package wrap

import (
	"encoding/binary"
	"encoding/hex"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// NewID returns a UUIDv7 (RFC 9562 section 5.7): recordings sort by their start.
func NewID(now time.Time) string {
	var u [16]byte
	_, _ = unix.Getrandom(u[:], 0) // 16 bytes never fail once the kernel is up (getrandom(2))
	binary.BigEndian.PutUint64(u[:8], uint64(now.UnixMilli())<<16|uint64(u[6])<<8|uint64(u[7]))
	u[6] = u[6]&0x0f | 0x70
	u[8] = u[8]&0x3f | 0x80
	h := hex.EncodeToString(u[:])
	return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]
}

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

func readLine(path string) string {
	text, err := os.ReadFile(path)
	if err != nil {
		return ""
	}
	line, _, _ := strings.Cut(string(text), "\n")
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
