// SPDX-License-Identifier: AGPL-3.0-or-later

// Package host looks at the host it runs on as its administrator would:
// `castgate check` finds what is wrong with the door, `castgate enable` and
// `castgate disable` change sshd's configuration and take it back.
//
// Every check is one small function that returns findings; the list in
// check.go is the order of the report. A check reads what is really in force
// (sshd -T for each account, the mode a file has, the units systemd knows)
// rather than what a file says should be.
package host

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"

	"castgate/cmd/internal/config"
	keyconf "castgate/keys/settings"
	"castgate/upload"
	"castgate/upload/archive"
	wrapconfig "castgate/wrap/config"
)

// Files that the checks look at.
const (
	Snippet   = "/etc/ssh/sshd_config.d/10-castgate.conf"
	Example   = Snippet + ".example"
	sshdMain  = "/etc/ssh/sshd_config"
	pamSshd   = "/etc/pam.d/sshd"
	wrapPath  = "/usr/bin/castgate-wrap"
	keysPath  = "/usr/bin/castgate-keys"
	keysUser  = "castgate-keys"
	homePath  = "/usr/lib/castgate/home"
	guardSock = "/run/castgate/guard.sock"
)

// Host is what several checks need to know; it is gathered once.
type Host struct {
	ctx      context.Context
	Accounts []Account
	Keys     *keyconf.Config
	Wrap     wrapconfig.Config
	Upload   upload.Config
	Archive  archive.Config

	keysErr, wrapErr, uploadErr, archiveErr error

	sshd    map[string]settings // by account
	sshdErr error
	version version

	follows map[Finding]bool // from castgate's not being in force
}

// Look gathers the facts.
func Look(ctx context.Context) (*Host, error) {
	if os.Geteuid() != 0 {
		return nil, errors.New("only root can look at every part of the host")
	}
	h := &Host{ctx: ctx, follows: map[Finding]bool{}, Keys: keyconf.Default(), Upload: upload.Defaults(), Archive: archive.Defaults()}
	h.keysErr = config.Load(keyconf.DefaultFile, h.Keys)
	h.uploadErr = config.Load("/etc/castgate/upload.yaml", &h.Upload)
	h.archiveErr = config.Load(archive.ConfigPath, &h.Archive)
	h.Wrap, h.wrapErr = wrapconfig.Read(wrapconfig.Path)
	var err error
	if h.Accounts, err = accounts(ctx, named(h.Keys)...); err != nil {
		return nil, err
	}
	if err := privsep(); err != nil {
		return nil, err
	}
	h.version = sshdVersion(ctx)
	h.sshd, h.sshdErr = effective(ctx, h.Accounts)
	return h, nil
}

// privsep makes the directory without which sshd answers nothing, not even -t.
// Its unit makes it; where ssh.socket listens (Ubuntu), the unit has not run
// before the first connection.
func privsep() error { return os.MkdirAll("/run/sshd", 0o755) }

// patience is for programs that answer at once when all is well.
const patience = 30 * time.Second

// output runs a program and returns what it printed on both streams.
func output(ctx context.Context, name string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = append(os.Environ(), "LC_ALL=C")
	out, err := cmd.CombinedOutput()
	text := strings.TrimSpace(string(out))
	if err != nil && ctx.Err() != nil {
		err = fmt.Errorf("no answer within %v", patience)
	}
	return text, err
}

// said is what a program complained about: its last line, or the error.
func said(out string, err error) string {
	if out == "" && err != nil {
		return err.Error()
	}
	lines := strings.Split(out, "\n")
	return lines[len(lines)-1]
}

// firstLine is what a program said first: of castgate's, the message.
func firstLine(out string) string {
	line, _, _ := strings.Cut(out, "\n")
	return line
}
