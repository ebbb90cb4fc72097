// SPDX-License-Identifier: AGPL-3.0-or-later

package wrap

import (
	"os"
	"strconv"
	"strings"
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
