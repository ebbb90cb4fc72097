// SPDX-License-Identifier: AGPL-3.0-or-later

package wrap

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"castgate/wrap/guard"
	"castgate/wrap/spool"
)

// guardTimeout is what an absent, stopped or hung guard may cost a login.
const guardTimeout = 500 * time.Millisecond

// loginsPath is where castgate-keys leaves, for all to read, whose keys the
// ones it printed are.
const loginsPath = "/var/cache/castgate-keys/logins"

// begin makes everything ready without which the user's shell may not start.
func (s *session) begin(configured bool) error {
	var err error
	if s.wake, err = NewWaker(); err != nil {
		return err
	}
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return os.NewSyscallError("prctl", err)
	}
	s.rec = &Recorder{
		FD: -1, Start: s.start, Limit: int64(s.policy.Limits.Session), Allow: s.mayGoOn(),
		OnLoss: s.lost, Wake: func() { s.wake.set(wakeSync) },
	}
	if !configured {
		return nil
	}
	if Mode() == ModePlain && !s.config.Plain {
		return &adviceError{
			errors.New("castgate-wrap runs without its setgid bit"),
			"dpkg-statoverride --list /usr/bin/castgate-wrap shows what it should be; a nosuid mount or no_new_privs takes it away; plain: yes in wrap.yaml allows it",
		}
	}
	if err := s.create(); err != nil {
		return err
	}
	if err := s.askGuard(); err != nil {
		return err
	}
	if err := s.rec.Begin(s.header); err != nil {
		return err
	}
	return s.dir.SyncLive()
}

// create makes the recording and holds it against the limits.
func (s *session) create() error {
	var err error
	if s.dir, err = spool.Open(s.config.Spool); err != nil {
		return err
	}
	if err := s.room(); err != nil {
		return err
	}
	n, err := s.dir.LiveOf(os.Getuid())
	if err != nil {
		return err
	}
	if limit := s.policy.Limits.SessionsPerUser; n >= limit && os.Getuid() != 0 {
		return fmt.Errorf("%d sessions of %s are being recorded, limits.sessions_per_user is %d", n, s.account.Name, limit)
	}
	if s.file, err = s.dir.Create(s.id); err != nil {
		return err
	}
	s.rec.FD = int(s.file.Fd())
	s.rec.Full = s.room
	return nil
}

// room holds the spool's free space against limits.free.
func (s *session) room() error {
	free, err := s.dir.Free()
	if err != nil {
		return err
	}
	if keep := uint64(s.policy.Limits.Free); free < keep {
		return fmt.Errorf("%w: %d bytes are free in %q, limits.free keeps %d", ErrFull, free, s.dir.Path, keep)
	}
	return nil
}

// askGuard tells the guard of the session and puts what it knows into the
// header. Without it the header and the log say so.
func (s *session) askGuard() error {
	h := s.header.Session
	if s.config.Guard == "no" {
		h.Guard = "no"
		s.without()
		return nil
	}
	facts, err := s.introduce()
	if fatal := (*fatalError)(nil); errors.As(err, &fatal) {
		return err
	}
	if err != nil {
		h.Guard = plainGuard(err)
		s.without()
		if s.guardRequired() {
			return &adviceError{err, "systemctl start castgate-guard.socket; guard: use in wrap.yaml lets sessions begin without"}
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
		h.Holders = append(h.Holders, strings.ToValidUTF8(p.String(), "\ufffd"))
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

// lost is told when recording fails in mid-session.
func (s *session) lost(err error) {
	verdict := "ended"
	if s.rec.Allow {
		verdict = "goes on unrecorded"
	}
	s.log.Error("recording lost", s.who("why", err.Error(), "verdict", verdict)...)
}

// goOnUnrecorded is on_failure: allow, and root.
func (s *session) goOnUnrecorded(err error) {
	s.log.Error("session goes on unrecorded", s.who("why", err.Error(), "hint", hintOf(err))...)
	s.discard()
	if s.rec == nil {
		s.rec = &Recorder{FD: -1, Start: s.start, Allow: true}
	}
	s.rec.err = err
	if s.tty {
		fmt.Fprintf(os.Stderr, "castgate-wrap: warning: this session is not recorded\r\n")
	}
}

// discard removes a recording that never began.
func (s *session) discard() {
	if s.file != nil {
		_ = s.dir.Discard(s.id)
		s.file.Close()
		s.file = nil
	}
}

// close ends the recording and hands it to the uploader.
func (s *session) close(end End) {
	if s.file == nil {
		return
	}
	if end.Hangup {
		_ = s.rec.Marker("the client went away")
	}
	failed := s.rec.Err() != nil
	if err := s.rec.Finish(end.Status); err != nil && !failed {
		s.log.Error("recording lost", s.who("why", err.Error(), "verdict", "the session had ended")...)
	}
	// The lock goes with the descriptor, after the rename: an uploader must not
	// take the recording for an orphan in between.
	if err := s.dir.Ready(s.id); err != nil {
		s.log.Error("recording not handed over", s.who("why", err.Error(), "hint", hintOf(err))...)
	}
	s.file.Close()
}
