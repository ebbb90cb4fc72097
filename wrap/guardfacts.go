// SPDX-License-Identifier: AGPL-3.0-or-later

package wrap

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"

	"castgate/wrap/guard"
	"castgate/wrap/hint"
	"castgate/wrap/spool"
)

// loginsPath is where castgate-keys leaves, for all to read, whose keys the
// ones it printed are.
const loginsPath = "/var/cache/castgate-keys/logins"

// askGuard tells the guard of the session and puts what it knows into the
// header. Without it the header and the log say so.
func (s *session) askGuard() error {
	h := s.header.Session
	if s.config.Guard == "no" {
		h.Guard = "no"
		s.without()
		return nil
	}
	facts, err := s.hello()
	if err != nil {
		h.Guard = plainGuard(err)
		s.without()
		if s.guardRequired() {
			return hint.Add(err, "systemctl start castgate-guard.socket; guard: use in wrap.yaml lets sessions begin without")
		}
		s.log.Warn("guard absent", s.who("why", err.Error())...)
		go s.callAgain()
		return nil
	}
	h.Key, h.Login, h.LoginID, h.Parent = facts.Key, facts.Login, facts.LoginID, facts.Nested
	h.Nested = facts.Standing == guard.Nested
	if facts.Standing != guard.Direct {
		h.Standing = string(facts.Standing)
	}
	for _, p := range facts.Holders {
		h.Holders = append(h.Holders, strings.ToValidUTF8(fmt.Sprintf("%s %d %d", p.Comm, p.PID, p.UID), "\ufffd"))
	}
	h.Guard = cmp.Or(facts.Refuse, facts.Doubt)
	if facts.Standing != guard.Direct || len(facts.Holders) > 0 || h.Guard != "" {
		s.log.Warn("guard report", s.who("standing", string(facts.Standing), "between", facts.Between,
			"holders", fmt.Sprint(facts.Holders), "refuse", facts.Refuse, "doubt", facts.Doubt)...)
	}
	if facts.Refuse != "" && s.guardRequired() {
		return fmt.Errorf("the guard refuses the session: %s", facts.Refuse)
	}
	return nil
}

// guardRequired says that there is no session without the guard's help. Who gets
// in whatever fails (mayGoOn) is recorded then as under guard: use: a recording
// that others might have got around is more than none.
func (s *session) guardRequired() bool { return s.config.Guard == "require" && !s.mayGoOn() }

// plainGuard is the header's word for a guard that did not help.
func plainGuard(err error) string {
	if errors.Is(err, os.ErrNotExist) || errors.Is(err, unix.ECONNREFUSED) {
		return "absent"
	}
	return "no answer"
}

// without finds what can be found without privileges: the session hook's
// record of the accepted key, which root wrote, and the ancestry.
func (s *session) without() {
	h := s.header.Session
	if key, ok := guard.Accepted(guard.RunDir, os.Getpid()); ok && key.User == s.account.Name {
		h.Key = key.Fingerprint
		h.Login, h.LoginID = guard.LoginOf(loginsPath, key.Fingerprint)
	}
	// sshd sets no CASTGATE_SESSION, so with one the recorder was started inside
	// a session. Which one is the user's claim; only the guard can prove it.
	parent := s.getenv("CASTGATE_SESSION")
	direct, known := guard.StartedBySSHD(os.Getpid())
	h.Nested = parent != "" || known && !direct
	if spool.ValidID(parent) {
		h.Parent = parent
	}
}
