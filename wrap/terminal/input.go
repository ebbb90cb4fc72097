// SPDX-License-Identifier: AGPL-3.0-or-later

package terminal

import (
	"bytes"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// kept returns what of the input p is recorded, nil for nothing. policy is one of
// no, echoed, masked and all; line is what the person is asked. With "echoed"
// input counts only while the terminal itself echoes: what is typed with echo
// off is never kept. With "masked" it is kept that something was typed.
//
// What is a password? A prompt (getpass(3), sudo, ssh, read -s) switches ECHO
// off and leaves the line to the kernel: ICANON stays on. Line editors and
// full-screen programs, which echo by themselves (readline), want each key at
// once and switch both off. So do the few prompts that show a star for each
// letter (sudo's pwfeedback, systemd-ask-password); they are known by what they
// ask. To take an editor for such a prompt loses nothing: what it shows is in
// the recording.
func kept(policy string, p []byte, master int, line *lastLine) []byte {
	if policy == "all" {
		return p
	}
	if policy != "echoed" && policy != "masked" {
		return nil
	}
	modes, err := unix.IoctlGetTermios(master, unix.TCGETS)
	switch {
	case err == nil && modes.Lflag&unix.ECHO != 0:
		return p
	case policy == "echoed":
		return nil
	case err == nil && modes.Lflag&unix.ICANON == 0 && !line.asksForSecret():
		return p
	}
	return mask(p)
}

// mask hides each byte but the ends of lines.
func mask(p []byte) []byte {
	hidden := bytes.Repeat([]byte{'*'}, len(p))
	for i, c := range p {
		if c == '\r' || c == '\n' {
			hidden[i] = c
		}
	}
	return hidden
}

// lastLine is the end of what was shown, back to the last line feed at most.
type lastLine struct {
	buf [512]byte // a prompt and the stars after it
	n   int
}

func (l *lastLine) add(p []byte) {
	if i := bytes.LastIndexByte(p, '\n'); i >= 0 {
		p, l.n = p[i+1:], 0
	}
	if over := l.n + len(p) - len(l.buf); over > 0 {
		if over >= l.n {
			p, l.n = p[max(0, len(p)-len(l.buf)):], 0
		} else {
			l.n = copy(l.buf[:], l.buf[over:l.n])
		}
	}
	l.n += copy(l.buf[l.n:], p)
}

// secretWords ask for a secret, in the languages that sudo is most often
// translated to.
var secretWords = []string{
	"passw", "passphrase", "passcode", "pin:", "pin for", "kennwort", "mot de passe", "contrase", "senha", "парол",
	"密码", "密碼", "パスワード", "암호",
}

func (l *lastLine) asksForSecret() bool {
	line := string(bytes.ToLower(l.buf[:l.n]))
	return slices.ContainsFunc(secretWords, func(word string) bool { return strings.Contains(line, word) })
}
