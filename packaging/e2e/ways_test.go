// SPDX-License-Identifier: AGPL-3.0-or-later

package e2e_test

import (
	"os/exec"
	"testing"

	"castgate/packaging/hosttest"
)

// account is the one that all ways open, so that its name, home and uid are
// the same bytes in every session.
const account = "tester"

const recorder = "/usr/bin/castgate-wrap"

// way is one way to reach the account's shell.
type way struct {
	name     string
	sshd     *hosttest.Sshd
	shell    string // in passwd; "" for the real one
	recorded bool
}

// matrix is the account and the four ways to log in to it: plain sshd, sshd
// with the shipped snippet, the recorder as the login shell, and both.
type matrix struct {
	t    *testing.T
	user *hosttest.User
	key  *hosttest.Key
	ways []way
	real string // the account's real shell
	set  string // what passwd says now
}

func newMatrix(t *testing.T, lines ...string) *matrix {
	t.Helper()
	hosttest.Install(t)
	m := &matrix{t: t, key: hosttest.NewKey(t, "ed25519"), real: "/bin/bash", set: "/bin/bash"}
	m.user = hosttest.AddUser(t, account, m.real)
	m.user.Authorize(t, m.key)
	// sshd shows no message of the day when ForceCommand is set, whatever it is.
	m.user.Write(t, ".hushlogin", "")
	m.listen(t, lines...)
	return m
}

// listen starts the two sshds, with more lines of sshd_config.
func (m *matrix) listen(t *testing.T, lines ...string) {
	t.Helper()
	plain := hosttest.StartSshd(t, lines...)
	forced := hosttest.StartSshd(t, append(lines, snippet(t, userKeys...))...)
	m.ways = []way{
		{"plain", plain, "", false},
		{"forced", forced, "", true},
		{"login shell", plain, recorder, true},
		{"login shell, forced", forced, recorder, true},
	}
}

// as makes shell the account's real shell.
func (m *matrix) as(shell string) {
	m.t.Helper()
	m.real = shell
	hosttest.Config(m.t, "wrap", "notice: \"\"\nshells: {"+account+": "+shell+"}\n")
}

// enter makes passwd ready for the way w.
func (m *matrix) enter(w way) {
	m.t.Helper()
	want := w.shell
	if want == "" {
		want = m.real
	}
	if m.set != want {
		hosttest.Run(m.t, "sed", "-i", `s|^\(`+account+`:.*:\)[^:]*$|\1`+want+"|", "/etc/passwd")
		m.set = want
	}
}

// ssh is the client for the way w.
func (m *matrix) ssh(w way, options []string, command ...string) *exec.Cmd {
	m.t.Helper()
	m.enter(w)
	return w.sshd.Ssh(m.key, account, options, command...)
}
