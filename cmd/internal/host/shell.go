// SPDX-License-Identifier: AGPL-3.0-or-later

package host

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"

	"castgate/cmd/internal/cli"
	"castgate/wrap/account"
	wrapconfig "castgate/wrap/config"
)

// shellChange gives an account of /etc/passwd another login shell.
type shellChange struct{ account, before, after string }

func (c shellChange) name() string   { return "the login shell of " + c.account }
func (c shellChange) needed() bool   { return c.before != c.after }
func (c shellChange) undone() change { return shellChange{c.account, c.after, c.before} }

func (c shellChange) show(w io.Writer) error {
	_, err := fmt.Fprintf(w, "login shell of %s: %s -> %s\n", c.account, c.before, c.after)
	return err
}

// apply leaves the lock and the writing of passwd(5) to usermod(8).
func (c shellChange) apply() error {
	if out, err := output(context.Background(), "/usr/sbin/usermod", "-s", c.after, c.account); err != nil {
		return fmt.Errorf("usermod -s %s %s: %s", c.after, c.account, said(out, err))
	}
	return nil
}

// recorderAsShell makes the recorder the login shell of the accounts that
// castgate-keys opens, and keeps their own shells in wrap.yaml. Behind
// ForceCommand alone their own shell runs first, and any other process of theirs
// can take it or its pipes before it has become the recorder.
//
// wrap.yaml comes first: what it says of an account whose shell is still its
// own does nothing.
func recorderAsShell(all []Account, opens func(account string) bool) (changes, error) {
	conf, local, err := shellsNow()
	if err != nil {
		return nil, err
	}
	shells := maps.Clone(conf.Shells)
	if shells == nil {
		shells = map[string]string{}
	}
	var switched changes
	for _, a := range all {
		if !a.wantsRecorder(opens) || !slices.Contains(local, a) {
			continue
		}
		shells[a.Name] = account.RealShell(account.Account{Name: a.Name, Shell: a.Shell}, nil, nil)
		switched = append(switched, shellChange{a.Name, a.Shell, wrapPath})
	}
	kept, err := shellsKept(shells)
	if err != nil {
		return nil, err
	}
	before, err := newChange(wrapKept, nil)
	if err != nil {
		return nil, err
	}
	if before.after = before.before; before.before == nil && kept.needed() {
		before.after = kept.before
	}
	return append(changes{before, kept}, switched...), nil
}

// shellsNow reads what wrap.yaml and passwd(5) say of shells.
func shellsNow() (wrapconfig.Config, []Account, error) {
	conf, err := wrapconfig.Read(wrapconfig.Path)
	if err != nil {
		return conf, nil, err
	}
	local, err := localAccounts()
	return conf, local, err
}

// wrapKept is wrap.yaml as it was, for disable.
const wrapKept = "/etc/castgate/wrap.yaml.before"

// wantsRecorder: root's own shell is the way in when the recorder is broken.
func (a Account) wantsRecorder(opens func(account string) bool) bool {
	return a.UID != 0 && a.canLogIn() && a.Shell != wrapPath && opens(a.Name)
}

// ownShells gives every account its own shell back, and then forgets it.
func ownShells() (changes, error) {
	conf, local, err := shellsNow()
	if err != nil {
		return nil, err
	}
	var all changes
	shells := maps.Clone(conf.Shells)
	for _, a := range local {
		if a.Shell == wrapPath {
			own := account.RealShell(account.Account{Name: a.Name, Shell: a.Shell}, conf.Shells, exists)
			all = append(all, shellChange{a.Name, a.Shell, own})
			delete(shells, a.Name)
		}
	}
	kept, err := shellsKept(shells)
	if err != nil {
		return nil, err
	}
	before, err := newChange(wrapKept, nil)
	if err != nil {
		return nil, err
	}
	// Where castgate alone has changed it since, it comes back to the letter.
	again, err := withShells(before.before, conf.Shells)
	if before.before != nil && err == nil && bytes.Equal(again, kept.before) {
		kept.after = before.before
	}
	return append(all, kept, before), nil
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// shellsKept is wrap.yaml with these shells.
func shellsKept(shells map[string]string) (fileChange, error) {
	c, err := newChange(wrapconfig.Path, nil)
	if err != nil {
		return c, err
	}
	c.after, err = withShells(c.before, shells)
	return c, err
}

// withShells is the text of wrap.yaml with these shells in the place of those
// that it has. All else, the comments above all, stays as somebody wrote it.
func withShells(text []byte, shells map[string]string) ([]byte, error) {
	rest, old, err := cutShells(text)
	if err != nil || maps.Equal(old, shells) {
		return text, err
	}
	if len(shells) == 0 {
		return rest, nil
	}
	var b strings.Builder
	b.Write(rest)
	if len(rest) > 0 && rest[len(rest)-1] != '\n' {
		b.WriteByte('\n')
	}
	b.WriteString("shells:\n")
	for _, name := range slices.Sorted(maps.Keys(shells)) {
		fmt.Fprintf(&b, "  %q: %q\n", name, shells[name])
	}
	_, now, err := cutShells([]byte(b.String()))
	if err == nil && !maps.Equal(now, shells) {
		err = cli.Hint(fmt.Errorf("read %q: no place for the shells of accounts", wrapconfig.Path), "write %q as a key of its own, with its accounts on lines below it", "shells")
	}
	return []byte(b.String()), err
}

// cutShells takes the key "shells", with what is below it, out of wrap.yaml.
func cutShells(text []byte) (rest []byte, shells map[string]string, err error) {
	conf, err := wrapconfig.Parse(text)
	if err != nil {
		return nil, nil, fmt.Errorf("read %q: %w", wrapconfig.Path, err)
	}
	below, braces := false, 0
	for line := range strings.Lines(string(text)) {
		// Only a line that begins at the margin, and is no comment, ends it, unless
		// braces are open.
		if first := line[0]; braces == 0 && first != ' ' && first != '\t' && first != '\r' && first != '\n' && first != '#' {
			below = strings.HasPrefix(line, "shells:")
		}
		if below {
			braces += strings.Count(line, "{") - strings.Count(line, "}")
		}
		if !below || strings.HasPrefix(line, "#") || strings.TrimSpace(line) == "" {
			rest = append(rest, line...)
		}
	}
	left, err := wrapconfig.Parse(rest)
	switch {
	case err != nil:
		err = fmt.Errorf("read %q without its key %q: %w", wrapconfig.Path, "shells", err)
	case len(left.Shells) > 0:
		err = fmt.Errorf("read %q: the key %q is not at the beginning of a line", wrapconfig.Path, "shells")
	}
	return rest, conf.Shells, err
}
