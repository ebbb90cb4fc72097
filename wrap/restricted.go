// SPDX-License-Identifier: AGPL-3.0-or-later

package wrap

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	"golang.org/x/sys/unix"

	"castgate/wrap/guard"
	"castgate/wrap/restrict"
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
		return &adviceError{
			fmt.Errorf("which command this login is restricted to can't be told: %w", err),
			"castgate check names the keys; castgate-wrap(8), RESTRICTED KEYS, says what it takes",
		}
	}
	if r.Forced {
		s.req.restrictTo(r.Command)
	}
	return nil
}

// restriction asks whoever knows the key: the session hook, which root's sshd
// told; for root, whose files nobody else can forge, sshd's own note
// (ExposeAuthInfo, sshd_config(5)). Where neither knows, nothing in the
// account's files may restrict anything.
func (s *session) restriction() (restrict.Restriction, error) {
	if key, ok := guard.Accepted(guard.RunDir, os.Getpid()); ok && key.User == s.account.Name {
		return key.Restriction()
	}
	config := restrict.ReadConfig(os.Getpid())
	account := restrict.Account{
		Name: s.account.Name, UID: s.account.UID,
		Home: func() (string, error) { return s.account.Home, nil },
	}
	if auth, err := authInfo(s.getenv("SSH_USER_AUTH")); err == nil && os.Getuid() == 0 {
		return config.Of(account, auth)
	}
	var lines []restrict.Line
	err := asUser(func() (err error) {
		lines, err = config.Restricted(account)
		return err
	})
	if err == nil && len(lines) > 0 {
		err = fmt.Errorf("%s restricts a key, and the session hook has not said which key this is", lines[0].Where())
	}
	return restrict.Restriction{}, err
}

// maxAuthInfo bounds sshd's note: a line for each method.
const maxAuthInfo = 256 << 10

// authInfo reads sshd's note of how root came in. It is believed only where
// nobody else can have written it.
func authInfo(path string) (string, error) {
	if path == "" {
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
	return string(text), err
}

// ordinary are shells that run what they are told. Others may be there to
// refuse, and are asked.
var ordinary = []string{"sh", "ash", "bash", "csh", "dash", "fish", "ksh", "ksh93", "mksh", "tcsh", "zsh"}

func ordinaryShell(path string) bool { return slices.Contains(ordinary, filepath.Base(path)) }

// shellBefore is the header's word for a session that the account's own shell
// had before the recorder: another process of the account could reach that one.
func (s *session) shellBefore() string {
	if s.req.SSH && !isRecorder(s.account.Shell) {
		return "before"
	}
	return ""
}
