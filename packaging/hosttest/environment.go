// SPDX-License-Identifier: AGPL-3.0-or-later

package hosttest

import (
	"path/filepath"
	"strings"
)

// passed are the variables that tell a test what to do; castgate's own
// (CASTGATE_SESSION, say, where somebody tests in a recorded session) are not.
var passed = []string{"CASTGATE_TEST_", "CASTGATE_BENCH_", "CASTGATE_HOSTTEST_", "CGO_ENABLED=", "GOTRACEBACK=", "GODEBUG=", "GOMAXPROCS="}

// environment is what the tests on a host begin with: a fresh login of root's,
// whatever the machine's had. The go command asks no network, for there is none.
func (m machine) environment(machines []string) []string {
	env := []string{
		"HOME=/root", "USER=root", "LOGNAME=root", "SHELL=/bin/bash", "LANG=C.UTF-8", "TERM=dumb",
		"GOPROXY=off", "GOTOOLCHAIN=local", "GOENV=off",
	}
	env = append(env, m.Go...)
	for _, kv := range machines {
		if path, ok := strings.CutPrefix(kv, "PATH="); ok {
			env = append(env, "PATH="+m.path(path))
		}
		for _, prefix := range passed {
			if strings.HasPrefix(kv, prefix) {
				env = append(env, kv)
			}
		}
	}
	return env
}

// path is Debian's for root, then Go's, then where the machine has the rest.
func (m machine) path(machines string) string {
	path := "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
	for _, kv := range m.Go {
		if root, ok := strings.CutPrefix(kv, "GOROOT="); ok {
			path += ":" + filepath.Join(root, "bin")
		}
	}
	for _, dir := range filepath.SplitList(machines) {
		if filepath.IsAbs(dir) && !strings.Contains(":"+path+":", ":"+dir+":") {
			path += ":" + dir
		}
	}
	return path
}
