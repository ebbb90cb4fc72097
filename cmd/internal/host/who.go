// SPDX-License-Identifier: AGPL-3.0-or-later

package host

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/user"
	"slices"
	"strings"

	"castgate/cmd/internal/cli"
	"castgate/keys"
)

// access is who gets in with castgate, beside who could log in until now.
type access struct {
	accounts []Account
	answers  map[string]keys.Answer
	before   map[string][]string // ways without castgate-keys
	after    map[string][]string
	behind   string // the account of the person who is here
}

// access asks castgate-keys and sshd.
func (p *plan) access(ctx context.Context) (*access, error) {
	answers, err := askKeys(ctx, p.accounts)
	if err != nil {
		return nil, err
	}
	a := &access{p.accounts, answers, map[string][]string{}, map[string][]string{}, behind()}
	for _, account := range p.accounts {
		now, then := p.now[account.Name], p.then[account.Name]
		a.before[account.Name] = ways(account, now)
		if strings.HasPrefix(now.get("authorizedkeyscommand"), keysPath) && a.opens(account.Name) {
			a.before[account.Name] = append(a.before[account.Name], byGitHub)
		}
		a.after[account.Name] = ways(account, then)
		if why := barred(account, then); why != "" {
			a.answers[account.Name] = keys.Answer{Why: "sshd refuses it: " + why}
		} else if !strings.HasPrefix(then.get("authorizedkeyscommand"), keysPath) {
			a.answers[account.Name] = keys.Answer{Why: "sshd does not ask castgate-keys about it"}
		}
		switch answer := a.answers[account.Name]; {
		case answer.Keys > answer.Emergency:
			a.after[account.Name] = append(a.after[account.Name], byGitHub)
		case answer.Emergency > 0:
			a.after[account.Name] = append(a.after[account.Name], byEmergency)
		}
	}
	return a, nil
}

const (
	byGitHub    = "by GitHub"
	byEmergency = "a key of its emergency file"
)

func (a *access) opens(account string) bool { return a.answers[account].Keys > 0 }

// behind is the account of the person at the keyboard: who called sudo, or as
// whom the kernel saw them log in (proc(5), loginuid). "" for nobody's.
func behind() string {
	if name := os.Getenv("SUDO_USER"); name != "" {
		return name
	}
	text, _ := os.ReadFile("/proc/self/loginuid")
	u, err := user.LookupId(strings.TrimSpace(string(text))) // 4294967295 where nobody did
	if err != nil {
		return ""
	}
	return u.Username
}

// lost are the ways that an account has now and would not have.
func (a *access) lost(account string) []string {
	return slices.DeleteFunc(slices.Clone(a.before[account]), func(w string) bool { return slices.Contains(a.after[account], w) })
}

// show prints who gets in, and who does not any more.
func (a *access) show(out io.Writer, p *plan) {
	fmt.Fprintln(out, "who gets in with castgate:")
	for _, account := range a.accounts {
		name := account.Name
		var how []string
		if answer := a.answers[name]; answer.Keys > answer.Emergency {
			how = append(how, fmt.Sprintf("%s by GitHub (%s)", counted(len(answer.People), "person", "people"), names(answer.People)))
		}
		for _, w := range a.after[name] {
			if w != byGitHub {
				how = append(how, w)
			}
		}
		if how != nil {
			fmt.Fprintf(out, "  %s: %s\n", name, strings.Join(how, ", "))
		}
	}
	for _, line := range sortedKeys(p.leftTo()) {
		fmt.Fprintf(out, "  unrecorded, sshd's own as %s says: %s\n", line, names(p.leftTo()[line]))
	}
	head := "what opened an account until now, and does not any more:\n"
	for _, account := range a.accounts {
		lost := a.lost(account.Name)
		if len(lost) == 0 {
			continue
		}
		still := ""
		if len(a.after[account.Name]) == 0 {
			still = "; nothing opens it then"
			if why := a.answers[account.Name].Why; why != "" {
				still += ": " + why
			}
		}
		fmt.Fprintf(out, "%s  %s%s: %s%s\n", head, account.Name, kind(account, p), strings.Join(lost, ", "), still)
		head = ""
	}
}

// kind says what is unusual of an account.
func kind(a Account, p *plan) string {
	var all []string
	if strings.Contains(p.now[a.Name].get("forcecommand"), "internal-sftp") {
		all = append(all, "sftp only")
	}
	if local, err := localAccounts(); err == nil && !slices.ContainsFunc(local, func(b Account) bool { return a.Name == b.Name }) {
		all = append(all, "of a directory")
	}
	if all == nil {
		return ""
	}
	return " (" + strings.Join(all, ", ") + ")"
}

// refused says why the door should not be changed: each reason, or nil.
func (a *access) refused(image bool) error {
	var errs []error
	if !image && !slices.ContainsFunc(a.accounts, func(b Account) bool { return a.opens(b.Name) }) {
		errs = append(errs, a.nobody())
	}
	if a.behind != "" && len(a.before[a.behind]) > 0 && len(a.after[a.behind]) == 0 {
		errs = append(errs, cli.Hint(fmt.Errorf("%s, who is here, would not get in any more: %s", a.behind, a.answers[a.behind].Why), "castgate-keys explain %s", a.behind))
	}
	if !image && !slices.ContainsFunc(a.accounts, func(b Account) bool { return a.withoutGitHub(b.Name) }) {
		errs = append(errs, cli.Hint(errors.New("nobody could get in without GitHub, on the day when it is away and the cache too old"), `put a key into root's authorized_keys, or name a file under "emergency" in keys.yaml`))
	}
	return errors.Join(errs...)
}

func (a *access) withoutGitHub(account string) bool {
	return a.answers[account].Emergency > 0 || slices.ContainsFunc(a.after[account], func(w string) bool { return w != byGitHub })
}

// nobody says why castgate-keys opens nothing: the reason that most accounts have.
func (a *access) nobody() error {
	count, most := map[string]int{}, ""
	hint := "castgate-keys explain ACCOUNT says why"
	for _, b := range a.accounts {
		answer := a.answers[b.Name]
		if count[answer.Why]++; b.UID != 0 && count[answer.Why] >= count[most] {
			most = answer.Why
		}
		if answer.Hint != "" {
			hint = answer.Hint
		}
	}
	if most != "" {
		most = ": " + most
	}
	return cli.Hint(errors.New("castgate-keys opens no account"+most), "%s", hint)
}
