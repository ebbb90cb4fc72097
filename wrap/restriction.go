// SPDX-License-Identifier: AGPL-3.0-or-later

package wrap

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"castgate/wrap/account"
	"castgate/wrap/guard"
	"castgate/wrap/hint"
	"castgate/wrap/restrict"
	"castgate/wrap/setgid"
)

// restrict holds the session to the command of its key or certificate. sshd
// gives ForceCommand, that is, the recorder, precedence over both, and so a key
// that may run one command would otherwise open a shell.
func (s *session) restrict() error {
	if !s.req.Forced {
		return nil // sshd itself has put the key's command here
	}
	r, err := s.restriction()
	if err != nil {
		return hint.Add(
			fmt.Errorf("which command this login is restricted to can't be told: %w", err),
			"castgate check names the keys; castgate-wrap(8), RESTRICTED KEYS, says what it takes",
		)
	}
	if r.Forced {
		s.req.restrictTo(r.Command)
	}
	return nil
}

// restriction asks whoever knows the key: the session hook, which root's sshd
// told; for root, whose files nobody else can forge, sshd's own note
// (ExposeAuthInfo, sshd_config(5)). Where neither knows, nothing may restrict
// the account's logins.
func (s *session) restriction() (restrict.Restriction, error) {
	if key, ok := guard.Accepted(guard.RunDir, os.Getpid()); ok && key.Told && key.Of(s.account.Name, s.account.UID) {
		return key.Restriction()
	}
	var known restrict.Config
	_ = setgid.AsUser(func() error { known = restrict.ReadConfig(os.Getpid()); return nil })
	who := restrict.Account{
		Name: s.account.Name, UID: s.account.UID,
		Home: func() (string, error) { return s.account.Home, nil },
	}
	if auth, err := authInfo(s.getenv("SSH_USER_AUTH")); err == nil && os.Getuid() == 0 {
		return known.Of(who, auth)
	}
	if os.Getppid() == 1 {
		// The client went away before its command began. The hook's note and
		// sshd's own went with it.
		return restrict.Restriction{}, errors.New("the connection has ended")
	}
	return restrict.Restriction{}, setgid.AsUser(func() error { return unrestricted(known, who) })
}

// unrestricted: a session hook that is there and has said nothing has failed, and
// then whatever can't be told may restrict the login. On a host that has none,
// it is what the account's files show, as far as it can be told which they are;
// castgate check says that the hook is off.
func unrestricted(known restrict.Config, who restrict.Account) error {
	if hooked() {
		return known.Unrestricted(who)
	}
	if !known.Whole() {
		return nil
	}
	lines, err := known.Restricted(who)
	if err == nil && len(lines) > 0 {
		err = fmt.Errorf("%s restricts a key, and nothing says which key this is", lines[0].Where())
	}
	return err
}

// hooked says whether PAM's stack for sshd has the session hook.
func hooked() bool { return hookedIn("/etc/pam.d/sshd", 0) }

// maxStack is more than PAM's files include one another deep.
const maxStack = 8

func hookedIn(file string, depth int) bool {
	text, _ := os.ReadFile(file)
	for line := range strings.Lines(string(text)) {
		line, _, _ = strings.Cut(line, "#")
		if strings.Contains(line, "castgate-guard session-hook") {
			return true
		}
		f := strings.Fields(line)
		includes := len(f) == 2 && f[0] == "@include" || len(f) == 3 && (f[1] == "include" || f[1] == "substack")
		if includes && depth < maxStack && hookedIn(filepath.Join(filepath.Dir(file), f[len(f)-1]), depth+1) {
			return true
		}
	}
	return false
}

// maxAuthInfo bounds sshd's note: a line for each method.
const maxAuthInfo = 256 << 10

// methods are sshd's, as its note names them.
var methods = []string{"publickey", "password", "keyboard-interactive", "hostbased", "gssapi-with-mic", "none"}

// authInfo reads sshd's note of how root came in (session.c, auth_info_file). It
// is believed only where nobody else can have written it: a client may send the
// variable where sshd itself does not set it.
func authInfo(path string) (string, error) {
	if filepath.Dir(path) != "/tmp" || !strings.HasPrefix(filepath.Base(path), "sshauth.") {
		return "", errors.New("sshd left no note")
	}
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return "", err
	}
	defer f.Close()
	var st unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &st); err != nil {
		return "", err
	}
	if st.Mode&unix.S_IFMT != unix.S_IFREG || st.Uid != 0 || st.Nlink != 1 || st.Mode&0o077 != 0 || st.Size > maxAuthInfo {
		return "", fmt.Errorf("%q is not sshd's", path)
	}
	text, err := io.ReadAll(io.LimitReader(f, maxAuthInfo))
	for line := range strings.Lines(string(text)) {
		method, _, _ := strings.Cut(strings.TrimSpace(line), " ")
		method, _, _ = strings.Cut(method, "/") // keyboard-interactive/pam
		if !slices.Contains(methods, method) {
			return "", fmt.Errorf("%q is not sshd's", path)
		}
	}
	if err == nil && len(text) == 0 {
		err = fmt.Errorf("%q is empty", path)
	}
	return string(text), err
}

// shellBefore is the header's word for a session that the account's own shell
// had before the recorder: another process of the account could reach that one.
func (s *session) shellBefore() string {
	if s.req.SSH && !account.IsRecorder(s.account.Shell) {
		return "before"
	}
	return ""
}
