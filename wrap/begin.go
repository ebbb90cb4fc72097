// SPDX-License-Identifier: AGPL-3.0-or-later

package wrap

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"castgate/wrap/hint"
	"castgate/wrap/record"
	"castgate/wrap/setgid"
	"castgate/wrap/spool"
	"castgate/wrap/terminal"
)

// begin makes everything ready without which the user's shell may not start.
func (s *session) begin(configured bool) error {
	var err error
	if s.wake, err = terminal.NewWaker(); err != nil {
		return err
	}
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return os.NewSyscallError("prctl", err)
	}
	s.rec = &record.Recorder{
		FD: -1, Start: s.start, Limit: int64(s.policy.Limits.Session), Allow: s.mayGoOn(),
		OnLoss: s.lost, Wake: s.wake.Sync,
	}
	if !configured {
		return nil
	}
	if setgid.Mode() == setgid.Plain && !s.config.Plain {
		return hint.Add(
			errors.New("castgate-wrap runs without its setgid bit"),
			"dpkg-statoverride --list /usr/bin/castgate-wrap shows what it should be; a nosuid mount or no_new_privs takes it away; plain: yes in wrap.yaml allows it",
		)
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
		return fmt.Errorf("%w: %d bytes are free in %q, limits.free keeps %d", record.ErrFull, free, s.dir.Path, keep)
	}
	return nil
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
	s.log.Error("session goes on unrecorded", s.who("why", err.Error(), "hint", hint.Of(err))...)
	s.discard()
	if s.rec == nil {
		s.rec = &record.Recorder{Start: s.start, Allow: true}
	}
	s.rec.Without(err)
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
func (s *session) close(end record.End) {
	if s.file == nil {
		return
	}
	failed := s.rec.Err() != nil
	if err := s.rec.Finish(end, record.ClientGone); err != nil && !failed {
		s.log.Error("recording lost", s.who("why", err.Error(), "verdict", "the session had ended")...)
	}
	// The lock goes with the descriptor, after the rename: an uploader must not
	// take the recording for an orphan in between.
	if err := s.dir.Ready(s.id); err != nil {
		s.log.Error("recording not handed over", s.who("why", err.Error(), "hint", hint.Of(err))...)
	}
	s.file.Close()
}
