// SPDX-License-Identifier: AGPL-3.0-or-later

package host

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"castgate/cmd/internal/cli"
	"castgate/keys/pubkey"
	keyconf "castgate/keys/settings"
)

// trial is a login as people's will be: castgate-keys lets its key in, whatever
// sshd it is offered to, and it counts when its session was recorded.
type trial struct {
	out     io.Writer
	dir     string // of its private key, root's
	account Account
	then    settings // of the account, with castgate
	key     string   // fingerprint
}

// tries are what the client is asked to run. A terminal session and a command
// take different ways through the recorder.
var tries = []struct {
	options []string
	what    string
}{
	{nil, "a command"},
	{[]string{"-tt"}, "a terminal session"},
}

// trialStatus is the exit status that the trial's session must end with.
const trialStatus = 42

// trialAccount is whom the trial login is for: the one that was named, the
// person behind sudo, the first person whom castgate-keys lets in, root.
func (s *Switch) trialAccount(p *plan, who *access) (Account, error) {
	if s.User != "" {
		a, there := p.account(s.User)
		if !there {
			return a, cli.Hint(fmt.Errorf("trial login: there is no account %q that anybody can log in to", s.User), "-user names another")
		}
		return a, nil
	}
	best, weight := Account{}, 0
	for _, a := range p.accounts {
		if p.sshds(a) || barred(a, p.then[a.Name]) != "" || !a.canLogIn() {
			continue
		}
		w := 1
		switch {
		case a.Name == who.behind:
			w = 4
		case a.UID != 0 && who.opens(a.Name):
			w = 3
		case a.UID != 0:
			w = 2
		}
		if w > weight {
			best, weight = a, w
		}
	}
	if weight == 0 {
		return best, cli.Hint(errors.New("trial login: sshd lets nobody in to whom castgate would apply"), "-user ACCOUNT names one; -no-trial WHY does without, for the image of a host to be")
	}
	return best, nil
}

// newTrial makes the key of the moment, and lets castgate-keys know of it. With
// -no-trial there is none.
func (s *Switch) newTrial(ctx context.Context, p *plan, account Account) (*trial, func(), error) {
	if s.NoTrial != "" {
		fmt.Fprintf(s.Out, "no trial login: %s\n", s.NoTrial)
		return nil, func() {}, nil
	}
	dir, err := os.MkdirTemp("/run", "castgate-trial-") // root's, every directory of it
	if err != nil {
		return nil, nil, err
	}
	file := filepath.Join(keyconf.TrialDir, strings.ToLower(account.Name))
	done := func() { _ = os.RemoveAll(dir); _ = os.Remove(file); _ = os.Remove(keyconf.TrialDir) }
	t := &trial{out: s.Out, dir: dir, account: account, then: p.then[account.Name]}
	err = func() error {
		if out, err := output(ctx, "ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "castgate-trial", "-f", dir+"/key"); err != nil {
			return errors.New(said(out, err))
		}
		public, err := os.ReadFile(dir + "/key.pub")
		if err != nil {
			return err
		}
		k, err := pubkey.ParseLine(strings.TrimSpace(string(public)))
		if err != nil {
			return err
		}
		t.key = k.Fingerprint()
		for _, dir := range []string{filepath.Dir(keyconf.TrialDir), keyconf.TrialDir} {
			if err := publicDir(dir); err != nil {
				return err
			}
		}
		return write(file, public, 0o644)
	}()
	if err != nil {
		done()
		return nil, nil, fmt.Errorf("make a key for the trial login: %w", err)
	}
	return t, done, nil
}

// publicDir makes a directory that castgate-keys can enter, whatever the umask is.
func publicDir(path string) error {
	if err := os.Mkdir(path, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return os.Chmod(path, 0o755)
}

// beside tries it with a second sshd, which has read the change: the one that
// people use has not yet. It stands on a free port of loopback; all else is as
// the first one's arguments and files say.
func (t *trial) beside(ctx context.Context, p *plan) error {
	if t == nil {
		return nil
	}
	port, stop, err := trialServer(ctx, t.dir, p.server.args)
	if err != nil {
		return err
	}
	defer stop()
	return t.at(ctx, "127.0.0.1:"+strconv.Itoa(port), "beside", logSince(ctx))
}

// real tries it with the sshd that people use: its arguments, its socket, its
// files, and the program that it asks about keys.
func (t *trial) real(ctx context.Context, p *plan) error {
	all := servers(ctx)
	if len(all) == 0 {
		if t == nil {
			return nil // an image, in which nothing runs
		}
		return errNobodyListens
	}
	now, err := effective(ctx, all[0].args, p.accounts)
	if err != nil {
		return err
	}
	if err := p.inForce(now); err != nil {
		return err
	}
	addr, err := answering(ctx, all[0].addrs, settle)
	if err != nil || t == nil {
		return err
	}
	return t.at(ctx, addr, "at "+addr, logSince(ctx))
}

// logSince returns what sshd will have logged from now on: a trial is in the
// journal as every login is.
func logSince(ctx context.Context) func() string {
	since := time.Now()
	return func() string {
		_, _ = output(ctx, "journalctl", "--sync") // what was written a moment ago, too
		out, _ := output(ctx, "journalctl", "--quiet", "--no-pager", "--output=cat", "--lines=50", fmt.Sprintf("--since=@%d", since.Unix()),
			"--identifier=sshd", "--identifier=sshd-session", "--identifier=sshd-auth")
		return out
	}
}

// at logs in at an address, for each of the tries.
func (t *trial) at(ctx context.Context, addr, where string, log func() string) error {
	if !t.keyAlone() {
		return t.keyStep(ctx, addr, where, log)
	}
	for _, try := range tries {
		if err := t.login(ctx, addr, try.options); err != nil {
			why := append(causes(t.account, t.then), toldBySSHD(log())...)
			if len(why) == 0 {
				why = []string{"sshd: " + said(strings.TrimSpace(log()), errors.New("says nothing"))}
			}
			return fmt.Errorf("trial login of %q for %s, %s: %w; %s", t.account.Name, try.what, where, err, strings.Join(why, "; "))
		}
		fmt.Fprintf(t.out, "trial login of %s for %s: works, and is recorded, %s\n", t.account.Name, try.what, where)
	}
	return nil
}

// keyAlone reports whether a key is all that sshd asks for.
func (t *trial) keyAlone() bool {
	return slices.ContainsFunc(strings.Fields(t.then.get("authenticationmethods")), func(list string) bool {
		return list == "any" || list == "publickey"
	})
}

// keyStep proves what a program can of a login that asks a person for more.
func (t *trial) keyStep(ctx context.Context, addr, where string, log func() string) error {
	out, err := output(ctx, "ssh", t.client(addr, []string{"-o", "LogLevel=VERBOSE", "-o", "PreferredAuthentications=publickey"}, "true")...)
	if !strings.Contains(out, "partial success") {
		why := append(causes(t.account, t.then), toldBySSHD(log())...)
		return fmt.Errorf("trial login of %q, %s: its key is not accepted as the first step (AuthenticationMethods %s): %s; %s",
			t.account.Name, where, t.then.get("authenticationmethods"), said(out, err), strings.Join(why, "; "))
	}
	fmt.Fprintf(t.out, "trial login of %s, %s: its key is accepted; sshd asks for more (AuthenticationMethods %s), which only a person can answer: that step, the session and its recording were not tried\n",
		t.account.Name, where, t.then.get("authenticationmethods"))
	return nil
}

// client is the command line of the stock client.
func (t *trial) client(addr string, options []string, command string) []string {
	host, port, _ := net.SplitHostPort(addr)
	args := []string{
		"-F", "none", "-i", t.dir + "/key", "-o", "IdentitiesOnly=yes", "-o", "IdentityAgent=none", "-o", "BatchMode=yes",
		"-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "GlobalKnownHostsFile=/dev/null",
		"-o", "ConnectTimeout=10", "-p", port, "-l", t.account.Name,
	}
	return append(append(args, options...), host, command)
}
