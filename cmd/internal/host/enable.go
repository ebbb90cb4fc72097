// SPDX-License-Identifier: AGPL-3.0-or-later

package host

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"strings"

	"castgate/cmd/internal/cli"
)

// pamKept is /etc/pam.d/sshd as it was, for disable.
const pamKept = "/etc/castgate/pam.d-sshd.before"

// Switch turns the door on or off.
type Switch struct {
	Out    io.Writer
	DryRun bool   // show, and change nothing
	User   string // account of the trial login; "" picks one
	// Agree is asked once, after the diff and before the first change.
	Agree func() (bool, error)
}

// ErrDeclined is what enable and disable end with when Agree said no.
var ErrDeclined = errors.New("nothing was changed")

// Enable puts castgate into sshd's configuration and takes it back when sshd
// does not accept it or a login does not work.
func (s *Switch) Enable(ctx context.Context) error {
	all, err := enabling()
	if err != nil {
		return err
	}
	if ok, err := s.propose(all, "castgate is already enabled"); !ok {
		return err
	}
	trial := trialAccount(ctx, s.User)
	return s.perform(ctx, all, func() error { return s.try(ctx, trial) },
		"castgate is enabled; sessions that are open stay as they are.\n"+
			"Keep this one open, and log in from a second terminal now. `castgate disable` takes it back.")
}

// Disable takes castgate out of sshd's configuration.
func (s *Switch) Disable(ctx context.Context) error {
	all, err := disabling()
	if err != nil {
		return err
	}
	if ok, err := s.propose(all, "castgate is not enabled"); !ok {
		return err
	}
	return s.perform(ctx, all, func() error { return nil },
		"castgate is disabled: logins are as before, nobody gets in by GitHub teams, nothing is recorded.\n"+
			"Keep this session open, and log in from a second terminal now.")
}

// enabling lists what has to change.
func enabling() (changes, error) {
	text, err := os.ReadFile(Example)
	if err != nil {
		return nil, cli.Hint(err, "install the package again, or take the file from /usr/share/doc/castgate/examples")
	}
	snippet, err := newChange(Snippet, text)
	if err != nil {
		return nil, err
	}
	all := changes{snippet}
	pam, err := os.ReadFile(pamSshd)
	if err == nil && readenv.Match(pam) {
		all = append(all, change{pamSshd, pam, withoutReadenv(pam)})
		kept, err := newChange(pamKept, pam)
		if err != nil {
			return nil, err
		}
		all = append(all, kept)
	}
	return all, nil
}

// withoutReadenv is Debian's file with ~/.pam_environment left unread.
func withoutReadenv(pam []byte) []byte {
	return regexp.MustCompile(`(?m)^([^#\n]*pam_env\.so.*?)[ \t]+user_readenv=1`).ReplaceAll(pam, []byte("$1"))
}

func disabling() (changes, error) {
	snippet, err := newChange(Snippet, nil)
	if err != nil {
		return nil, err
	}
	all := changes{snippet}
	kept, err := os.ReadFile(pamKept)
	if err != nil {
		return all, nil // enable did not change it
	}
	now, err := newChange(pamSshd, kept)
	if err != nil {
		return nil, err
	}
	// What somebody changed since stays.
	if bytes.Equal(now.before, withoutReadenv(kept)) {
		all = append(all, now)
	}
	return append(all, change{pamKept, kept, nil}), nil
}

// propose shows the changes and asks. It returns false when there is nothing
// to do, or nothing may be done.
func (s *Switch) propose(all changes, done string) (bool, error) {
	needed := false
	for _, c := range all {
		if !c.needed() {
			continue
		}
		needed = true
		if c.path == pamKept {
			continue // a copy: no news
		}
		if err := c.show(s.Out); err != nil {
			return false, fmt.Errorf("show the change: %w", err)
		}
	}
	if !needed {
		fmt.Fprintln(s.Out, done)
		return false, nil
	}
	if s.DryRun {
		return false, nil
	}
	yes, err := s.Agree()
	if err == nil && !yes {
		err = ErrDeclined
	}
	return err == nil, err
}

// perform makes the changes, tries them, and takes them back when they fail.
func (s *Switch) perform(ctx context.Context, all changes, try func() error, done string) error {
	var wanted changes
	for _, c := range all {
		if c.needed() {
			wanted = append(wanted, c)
		}
	}
	if err := privsep(); err != nil {
		return err
	}
	if err := wanted.apply(); err != nil {
		return err
	}
	reloaded := false
	err := func() error {
		if out, err := output(ctx, sshdPath, "-t"); err != nil {
			return fmt.Errorf("sshd does not accept the change: %s", said(out, err))
		}
		if err := try(); err != nil {
			return err
		}
		reloaded = true
		if err := reload(ctx); err != nil {
			return err
		}
		return answers(ctx)
	}()
	if err == nil {
		fmt.Fprintln(s.Out, done)
		return nil
	}
	// The caller may have been interrupted: taking back must work all the same.
	back := context.WithoutCancel(ctx)
	undo := wanted.undo()
	if reloaded {
		undo = errors.Join(undo, reload(back))
	}
	if undo != nil {
		return cli.Hint(fmt.Errorf("%w; and it could not be taken back: %w", err, undo), "keep this session open and look at %s", strings.Join(paths(wanted), ", "))
	}
	return cli.Hint(fmt.Errorf("%w; the change was taken back", err), "castgate check looks for the reason")
}

func paths(all changes) []string {
	var out []string
	for _, c := range all {
		out = append(out, c.path)
	}
	return out
}
