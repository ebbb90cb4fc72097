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
	"castgate/cmd/internal/config"
	keyconf "castgate/keys/settings"
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
	if err := privsep(); err != nil {
		return err
	}
	people, err := loginAccounts(ctx)
	if err != nil {
		return err
	}
	if !slices.ContainsFunc(people, func(a Account) bool { return a.Name == "root" }) {
		people = append(people, Account{Name: "root", Home: "/root"})
	}
	before, err := effective(ctx, people)
	if err != nil {
		return err
	}
	all, err := enabling(ctx, people, before["root"].get("usepam") == "yes")
	if err != nil {
		return err
	}
	if ok, err := s.propose(all, "castgate is already enabled"); !ok {
		return err
	}
	trial := trialAccount(ctx, s.User)
	try := func() error {
		after, err := effective(ctx, people)
		if err != nil {
			return err
		}
		if err := widened(people, before, after); err != nil {
			return err
		}
		return s.try(ctx, trial)
	}
	return s.perform(ctx, all, try,
		"castgate is enabled; sessions that are open stay as they are.\n"+
			"Keep this one open, and log in from a second terminal now. `castgate disable` takes it back.")
}

// loginAccounts are those that somebody may log in to: people's, root, what
// keys.yaml names, and services' that have a shell, as git servers' have.
func loginAccounts(ctx context.Context) ([]Account, error) {
	conf := keyconf.Default()
	if err := config.Load(keyconf.DefaultFile, conf); err != nil {
		return nil, err
	}
	all, err := accounts(ctx, named(conf)...)
	if err != nil {
		return nil, err
	}
	return withServices(all)
}

// Disable takes castgate out of sshd's configuration.
func (s *Switch) Disable(ctx context.Context) error {
	if err := privsep(); err != nil {
		return err
	}
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
func enabling(ctx context.Context, all []Account, pam bool) (changes, error) {
	text, err := dropIn(ctx)
	if err != nil {
		return nil, err
	}
	snippet, err := newChange(Snippet, text)
	if err != nil {
		return nil, err
	}
	if err := doubtful(all, text, pam && !hidden(), true); err != nil {
		return nil, cli.Hint(fmt.Errorf("some keys are restricted in a way that castgate could not hold to, and their logins would be refused: %w", err),
			"give each key one line; a Match block with a ForceCommand of its own, or none, leaves accounts to sshd, unrecorded")
	}
	svc, err := people()
	if err != nil {
		return nil, err
	}
	shells, err := recorderAsShell(all, svc.Owners.Opens)
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
	shells, err := ownShells()
	return slices.Concat(changes{snippet}, pam, local, shells), err
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
		if c.name() == pamKept || c.name() == wrapKept {
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
		out = append(out, c.name())
	}
	return out
}
