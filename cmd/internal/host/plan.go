// SPDX-License-Identifier: AGPL-3.0-or-later

package host

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"castgate/cmd/internal/cli"
	"castgate/cmd/internal/config"
	keyconf "castgate/keys/settings"
	"castgate/wrap/restrict"
)

// plan is the door as it is and as castgate enable would make it: sshd itself is
// asked about both, with the arguments of the sshd that runs.
type plan struct {
	server   server
	accounts []Account
	keys     *keyconf.Config
	text     []byte // of the drop-in
	now      map[string]settings
	then     map[string]settings
	conf     restrict.Config // then
}

func newPlan(ctx context.Context) (*plan, error) {
	p := &plan{}
	if all := servers(ctx); len(all) > 0 {
		p.server = all[0]
	}
	p.keys = keyconf.Default()
	err := config.Load(keyconf.DefaultFile, p.keys)
	if err != nil {
		return nil, err
	}
	if p.accounts, err = loginAccounts(ctx, p.keys); err != nil {
		return nil, err
	}
	if p.now, err = effective(ctx, p.server.args, p.accounts); err != nil {
		return nil, err
	}
	p.accounts = reachableAccounts(p.accounts, p.now)
	if p.text, err = dropIn(ctx, p.server.args); err != nil {
		return nil, err
	}
	p.conf = restrict.ReadArgs(p.server.args, map[string][]byte{Snippet: p.text})
	if !slices.Contains(p.conf.Files, Snippet) {
		return nil, cli.Hint(fmt.Errorf("castgate would not be in force: %s does not include %s", p.server.main(), filepath.Dir(Snippet)),
			`put "Include %s/*.conf" on its first line`, filepath.Dir(Snippet))
	}
	p.then, err = p.planned(ctx)
	return p, err
}

// loginAccounts are those that somebody may log in to: people's, root, services'
// that have a shell, as git servers' have, what keys.yaml names, and the members'
// names, which a directory may know without listing them.
func loginAccounts(ctx context.Context, conf *keyconf.Config) ([]Account, error) {
	all, err := accounts(ctx, slices.Concat(named(conf), memberNames(conf.Cache.Dir))...)
	if err != nil {
		return nil, err
	}
	if !slices.ContainsFunc(all, func(a Account) bool { return a.Name == "root" }) {
		all = append(all, Account{Name: "root", Home: "/root", Shell: "/bin/sh"})
	}
	return all, nil
}

// planned asks sshd what would hold, from one file that says what its files
// shall say.
func (p *plan) planned(ctx context.Context) (map[string]settings, error) {
	dir, err := os.MkdirTemp("/run", "castgate-plan-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	if err := os.WriteFile(dir+"/sshd_config", p.conf.Text(), 0o600); err != nil {
		return nil, err
	}
	args := []string{"-f", dir + "/sshd_config"}
	for i := 0; i+1 < len(p.server.args); i += 2 {
		if p.server.args[i] != "-f" {
			args = append(args, p.server.args[i:i+2]...)
		}
	}
	then, err := effective(ctx, args, p.accounts)
	if err != nil {
		text := strings.ReplaceAll(err.Error(), dir+"/sshd_config", "all its files together")
		err = cli.Hint(fmt.Errorf("sshd does not accept the change: %s", text), "sshd -T shows what is in force now; %s is what would be added", Example)
	}
	return then, err
}

// sshds says whether an account is left to sshd, on purpose: by a Match block
// with a ForceCommand of its own.
func (p *plan) sshds(a Account) bool {
	command := p.then[a.Name].get("forcecommand")
	line, found := p.conf.Decides("forcecommand", command, a.restrict())
	return command != forceCommand && found && len(line.Below) > 0
}

// inForce returns an error unless castgate would hold for every account that is
// not left to sshd: then nothing that enable writes is the door.
func (p *plan) inForce(all map[string]settings) error {
	held := false
	for _, a := range p.accounts {
		if p.sshds(a) {
			continue
		}
		key := unheld(a, all[a.Name])
		if key == "" {
			held = true
			continue
		}
		line, found := p.conf.Decides(key, all[a.Name].get(key), a.restrict())
		where := "sshd's own default"
		if found {
			where = line.Where()
		}
		return cli.Hint(fmt.Errorf("castgate would not be in force for %s: %s is %q, as %s says", a.Name, key, all[a.Name].get(key), where), "%s",
			adviceOn(line))
	}
	if !held {
		return errors.New("castgate would not be in force: every account is left to sshd by a Match block")
	}
	return nil
}

func adviceOn(line restrict.Setting) string {
	switch {
	case line.File == "":
		return "take that out of the sshd's arguments: systemctl cat ssh and /etc/default/ssh show where they come from (EC2 Instance Connect has a drop-in of the unit)"
	case filepath.Dir(line.File) == filepath.Dir(Snippet):
		return fmt.Sprintf("give %s a name that sorts after %s, or take that line out: in sshd_config(5) the first value wins", line.File, filepath.Base(Snippet))
	}
	return fmt.Sprintf("the line that includes %s must stand above it: in sshd_config(5) the first value wins", filepath.Dir(Snippet))
}

const forceCommand = "exec " + wrapPath

// unheld names the first of castgate's settings that does not hold for an
// account, "" when all do.
func unheld(a Account, s settings) string {
	command := s.get("authorizedkeyscommand")
	switch {
	case s.get("forcecommand") != forceCommand:
		return "forcecommand"
	case a.Shell != wrapPath && !slices.Contains(s["setenv"], "HOME="+homePath):
		return "setenv"
	case !strings.HasPrefix(command, keysPath+" ") && (command != "none" || ownFile(s)):
		return "authorizedkeyscommand"
	case a.UID != 0 && ownFile(s):
		return "authorizedkeysfile"
	case s.get("disableforwarding") != "yes":
		return "disableforwarding"
	}
	return ""
}

// reachableAccounts leaves out those whose shell lets nobody in, unless sshd
// lets them in all the same: a key or a password is enough for sftp and tunnels.
func reachableAccounts(all []Account, by map[string]settings) []Account {
	return slices.DeleteFunc(slices.Clone(all), func(a Account) bool {
		return !a.canLogIn() && len(ways(a, by[a.Name])) == 0
	})
}

// leftTo are the accounts that a Match block keeps for sshd, with its line.
func (p *plan) leftTo() map[string][]string {
	all := map[string][]string{}
	for _, a := range p.accounts {
		if p.sshds(a) {
			line, _ := p.conf.Decides("forcecommand", p.then[a.Name].get("forcecommand"), a.restrict())
			all[line.Where()] = append(all[line.Where()], a.Name)
		}
	}
	return all
}

// nobody says that no account is a person's, as in the image of a host to be.
func (p *plan) nobody() bool {
	return !slices.ContainsFunc(p.accounts, func(a Account) bool { return a.UID >= firstUser })
}

// account finds one of the plan's.
func (p *plan) account(name string) (Account, bool) {
	i := slices.IndexFunc(p.accounts, func(a Account) bool { return a.Name == name })
	if i < 0 {
		return Account{}, false
	}
	return p.accounts[i], true
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
