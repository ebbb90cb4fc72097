// SPDX-License-Identifier: AGPL-3.0-or-later

package wrap_test

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"castgate/packaging/hosttest"
)

// TestPasswordsAreInNoRecording types passwords at everything that asks for
// them and looks for their bytes in the file, whatever policy records of the
// input short of all of it.
func TestPasswordsAreInNoRecording(t *testing.T) {
	const secret, other = "Hering-Anis-3", "Lupinen%Torf8"
	h := newHost(t, "/bin/sh") // it leaves the echo to the terminal
	hosttest.Run(t, "sh", "-c", "echo "+h.user.Name+":"+secret+" | chpasswd; echo '"+h.user.Name+" ALL=(ALL) ALL' >/etc/sudoers.d/passwords; chmod 440 /etc/sudoers.d/passwords")
	t.Cleanup(func() { _ = os.Remove("/etc/sudoers.d/passwords") })
	inner := hosttest.StartSshd(t, "PasswordAuthentication yes")
	for _, policy := range []string{"no", "echoed"} {
		hosttest.Config(t, "wrap", "notice: \"\"\nrecord: {input: \""+policy+"\"}\nlimits: {free: 1MiB}\n")
		x := h.session(t)
		x.Type("PS1='re''ady$ '; echo typed''-text\r")
		for _, s := range []struct {
			command string
			prompts []string // each is answered with the password of its place
			typed   []string
			want    string
		}{
			{"sudo -k; sudo id -un", []string{"password for "}, []string{secret}, "root"},
			{"su -c 'echo i''n' " + h.user.Name, []string{"Password: "}, []string{secret}, "\nin"},
			{"ssh -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -p " + strconv.Itoa(inner.Port) + " 127.0.0.1 'echo i''n'", []string{"password: "}, []string{secret}, "\nin"},
			{"ssh-keygen -q -t ed25519 -f key.$$.`date +%N` && echo m''ade", []string{"passphrase", "again: "}, []string{other, other}, "\nmade"},
			{"passwd", []string{"Current password: ", "New password: ", "new password: "}, []string{secret, other, other}, "successfully"},
			{"passwd", []string{"Current password: ", "New password: ", "new password: "}, []string{other, secret, secret}, "successfully"},
			{"bash -c 'read -rs -p \"secret: \" s; echo; echo ${#s}'", []string{"secret: "}, []string{secret}, "\n" + strconv.Itoa(len(secret))},
			{"python3 -c 'import getpass; print(len(getpass.getpass()))'", []string{"Password: "}, []string{secret}, "\n" + strconv.Itoa(len(secret))},
		} {
			x.Expect("ready$ ")
			x.Type(s.command + "\r")
			for i, prompt := range s.prompts {
				x.Expect(prompt)
				h.waitForNoEcho(t) // bash asks before it switches the echo off, and who is faster is seen
				x.Type(s.typed[i] + "\r")
			}
			x.Expect(s.want)
		}
		x.Expect("ready$ ")
		x.Type("exit\r")
		x.Wait()
		files, _ := filepath.Glob("/var/spool/castgate/incoming/*.cast")
		if len(files) == 0 {
			t.Fatal("no recording")
		}
		text, err := os.ReadFile(files[0])
		if err != nil {
			t.Fatal(err)
		}
		for _, password := range []string{secret, other} {
			if strings.Contains(string(text), password) {
				t.Errorf("%s: %q is in the file", policy, password)
			}
		}
		rec := one(t)
		if strings.Contains(string(rec.Input)+string(rec.Output), secret) || strings.Contains(string(rec.Input), other) {
			t.Errorf("%s: a password is in the recording: %q", policy, rec.Input)
		}
		if typed := strings.Contains(string(rec.Input), "typed''-text"); typed != (policy == "echoed") {
			t.Errorf("%s: the input is %q", policy, rec.Input)
		}
	}
}

// waitForNoEcho waits until the only session's own terminal echoes no more.
func (h *host) waitForNoEcho(t *testing.T) {
	t.Helper()
	recorder, err := strconv.Atoi(strings.TrimSpace(hosttest.Run(t, "pgrep", "-x", "-u", h.user.Name, "castgate-wrap")))
	if err != nil {
		t.Fatal(err)
	}
	shell := hosttest.Children(recorder)[0]
	hosttest.WaitFor(t, "the terminal not to echo", func() bool {
		return strings.Contains(hosttest.Run(t, "stty", "-a", "-F", "/proc/"+strconv.Itoa(shell)+"/fd/0"), " -echo ")
	})
}
