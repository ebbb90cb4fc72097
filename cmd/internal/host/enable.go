// SPDX-License-Identifier: AGPL-3.0-or-later

package host

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"castgate/cmd/internal/cli"
	"castgate/wrap/hint"
)

// pamKept is /etc/pam.d/sshd as it was, for disable.
const pamKept = "/etc/castgate/pam.d-sshd.before"

// Switch turns the door on or off.
type Switch struct {
	Out     io.Writer
	DryRun  bool   // show, and change nothing
	Yes     bool   // nobody is asked
	Force   bool   // go on where enable would refuse
	User    string // account of the trial login; "" picks one
	NoTrial string // why there is none; it goes on record
	// Agree is asked once, after the diff and before the first change.
	Agree func() (bool, error)
}

// Unchanged is what enable and disable end with when all was so already.
var Unchanged = cli.Exit(cli.StatusUnchanged)

// refuse is an error before the first change.
func refuse(err error) error {
	if err == nil {
		return nil
	}
	return &cli.Status{Code: cli.StatusRefusedChange, Err: err}
}

// ErrDeclined is what enable and disable end with when Agree said no.
var ErrDeclined = errors.New("nothing was changed")

// Enable puts castgate into sshd's configuration and takes it back when sshd
// does not accept it or a login does not work.
func (s *Switch) Enable(ctx context.Context) error {
	unlock, err := alone()
	if err != nil {
		return refuse(err)
	}
	defer unlock()
	if err := privsep(); err != nil {
		return err
	}
	p, who, all, err := s.prepare(ctx)
	if err != nil {
		return refuse(err)
	}
	who.show(s.Out, p)
	if err := who.refused(s.NoTrial != "" && p.nobody()); err != nil {
		if !s.Force {
			return refuse(cli.Hint(err, "%s; -force goes on all the same", hint.Of(err)))
		}
		fmt.Fprintf(s.Out, "in spite of this, as -force says:\n%v\n", err)
	}
	var account Account
	if s.NoTrial == "" {
		if account, err = s.trialAccount(p, who); err != nil {
			return refuse(err)
		}
	}
	fresh := !needed(all)
	if fresh && s.DryRun {
		fmt.Fprintln(s.Out, "castgate is already enabled")
		return Unchanged
	}
	if !fresh {
		if err := s.propose(all); err != nil || s.DryRun {
			return err
		}
	}
	t, clean, err := s.newTrial(ctx, p, account)
	if err != nil {
		return err
	}
	defer clean()
	if fresh {
		// The files are as they should be, which says nothing of the sshd that runs.
		why := t.real(ctx, p)
		if why == nil {
			fmt.Fprintln(s.Out, "castgate is already enabled")
			return Unchanged
		}
		fmt.Fprintf(s.Out, "castgate is in sshd's files, and not in force: %v\nsshd reads them again\n", why)
	}
	note, err := s.note(p, t)
	if err != nil {
		return err
	}
	return s.perform(ctx, append(all, note), func() error { return t.beside(ctx, p) }, func() error { return t.real(ctx, p) },
		"castgate is enabled; sessions that are open stay as they are.\n"+
			"Keep this one open, and log in from a second terminal now. `castgate disable` takes it back.")
}

// prepare finds out what there is, what would be, and what has to change.
func (s *Switch) prepare(ctx context.Context) (*plan, *access, changes, error) {
	p, err := newPlan(ctx)
	if err != nil {
		return nil, nil, nil, err
	}
	if err := p.inForce(p.then); err != nil {
		return nil, nil, nil, err
	}
	if err := widened(p.accounts, p.now, p.then, p.conf); err != nil {
		return nil, nil, nil, err
	}
	who, err := p.access(ctx)
	if err != nil {
		return nil, nil, nil, err
	}
	all, err := enabling(p)
	if err == nil && s.Yes && !s.Force {
		err = handEdited(p.text)
	}
	return p, who, all, err
}

// Disable takes castgate out of sshd's configuration.
func (s *Switch) Disable(ctx context.Context) error {
	unlock, err := alone()
	if err != nil {
		return refuse(err)
	}
	defer unlock()
	if err := privsep(); err != nil {
		return err
	}
	all, err := disabling()
	if err != nil {
		return err
	}
	if !needed(all) {
		fmt.Fprintln(s.Out, "castgate is not enabled")
		return Unchanged
	}
	if err := s.propose(all); err != nil || s.DryRun {
		return err
	}
	return s.perform(ctx, all, func() error { return nil }, func() error { return answers(ctx) },
		"castgate is disabled: logins are as before, nobody gets in by GitHub teams, nothing is recorded.\n"+
			"Keep this session open, and log in from a second terminal now.")
}

// enabling lists what has to change.
func enabling(p *plan) (changes, error) {
	pam := p.now["root"].get("usepam") == "yes"
	snippet, err := newChange(Snippet, p.text)
	if err != nil {
		return nil, err
	}
	if err := doubtful(p.accounts, p.conf, pam && !hidden(), true); err != nil {
		return nil, cli.Hint(fmt.Errorf("some keys are restricted in a way that castgate could not hold to, and their logins would be refused: %w", err),
			"give each key one line; a Match block with a ForceCommand of its own, or none, leaves accounts to sshd, unrecorded")
	}
	svc, err := people()
	if err != nil {
		return nil, err
	}
	shells, err := recorderAsShell(p.accounts, svc.Owners.Opens)
	if err != nil {
		return nil, err
	}
	hook, err := pamEnabled(pam)
	if err != nil {
		return nil, err
	}
	local, err := localEnabled()
	return slices.Concat(shells, changes{snippet}, hook, local), err
}

func disabling() (changes, error) {
	snippet, err := newChange(Snippet, nil)
	if err != nil {
		return nil, err
	}
	pam, err := pamDisabled()
	if err != nil {
		return nil, err
	}
	local, err := localDisabled()
	if err != nil {
		return nil, err
	}
	note, err := newChange(notePath, nil)
	if err != nil {
		return nil, err
	}
	shells, err := ownShells()
	return slices.Concat(changes{snippet}, pam, local, shells, changes{note}), err
}

func needed(all changes) bool {
	return slices.ContainsFunc(all, func(c change) bool { return c.needed() })
}

// propose shows the changes and asks.
func (s *Switch) propose(all changes) error {
	for _, c := range all {
		if !c.needed() || slices.Contains([]string{pamKept, wrapKept, notePath}, c.name()) {
			continue // a copy, a note: no news
		}
		if err := c.show(s.Out); err != nil {
			return fmt.Errorf("show the change: %w", err)
		}
	}
	if s.DryRun || s.Yes {
		return nil
	}
	yes, err := s.Agree()
	if err == nil && !yes {
		err = ErrDeclined
	}
	return refuse(err)
}

// perform makes the changes, tries them before and after sshd reads them, and
// takes them back when they fail.
func (s *Switch) perform(ctx context.Context, all changes, before, after func() error, done string) error {
	var wanted changes
	for _, c := range all {
		if c.needed() {
			wanted = append(wanted, c)
		}
	}
	if err := wanted.apply(); err != nil {
		return err
	}
	reloaded := false
	err := func() error {
		if out, err := output(ctx, sshdPath, "-t"); err != nil {
			return fmt.Errorf("sshd does not accept the change: %s", said(out, err))
		}
		if err := before(); err != nil {
			return err
		}
		reloaded = true
		if err := reload(ctx); err != nil {
			return err
		}
		return after()
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
		out = append(out, c.name())
	}
	return out
}
