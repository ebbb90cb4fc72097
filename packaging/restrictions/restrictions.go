// SPDX-License-Identifier: AGPL-3.0-or-later

// Package restrictions has the controls that may narrow what a key of root's
// opens before castgate is enabled, and must narrow it afterwards. The tests on
// throwaway hosts and on booted Debians try each, and docs/restrictions.md
// lists them.
package restrictions

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"castgate/packaging/hosttest"
)

// Control is one of them, and what comes of it.
type Control struct {
	Name   string // what it is, as the document has it
	Holder string // who holds to it while castgate is enabled

	Keys string   // root's authorized_keys: KEY is the client's key, CA an authority
	Cert []string // ssh-keygen's options for the certificate that the client shows; nil for none
	Sshd string   // lines of sshd_config

	Options []string // the client's
	Command string   // what it asks for; "" for a shell
	Stdout  string   // what it gets
	Status  int
}

// asked tells which command ran, and what it was told of the client's.
const asked = `command="echo only-this ${SSH_ORIGINAL_COMMAND-nothing}; exit 7"`

const (
	byRecorder = "castgate-wrap"
	bySshd     = "sshd"
	refused    = "refused: status 254"
)

var past = []string{"-n", "root", "-V", "20200101:20200102"}

// Controls are all of them.
var Controls = []Control{
	{Name: "none: root's unrestricted key", Holder: "-", Keys: "KEY", Command: "echo $((40+2)); exit 3", Stdout: "42\n", Status: 3},
	{Name: "`command=`", Holder: byRecorder, Keys: asked + " KEY", Command: "id -u", Stdout: "only-this id -u\n", Status: 7},
	{Name: "`command=`, a shell asked for", Holder: byRecorder, Keys: asked + " KEY", Stdout: "only-this nothing\n", Status: 7},
	{Name: "`command=`, a terminal asked for", Holder: byRecorder, Keys: asked + " KEY", Options: []string{"-tt"}, Command: "id -u", Stdout: "only-this id -u\r\n", Status: 7},
	{Name: "`command=`, sftp asked for", Holder: byRecorder, Keys: `command="echo only-this ${SSH_ORIGINAL_COMMAND##*/}" KEY`, Options: []string{"-s"}, Command: "sftp", Stdout: "only-this sftp-server\n"},
	{Name: "`command=\"\"`", Holder: byRecorder, Keys: `command="" KEY`, Command: "id -u"},
	{Name: "`command=` with quotes in it", Holder: byRecorder, Keys: `restrict,command="printf '%s\n' \"a  b\"" KEY`, Command: "id -u", Stdout: "a  b\n"},
	{Name: "`command=`, the line that cloud images write", Holder: byRecorder, Keys: `no-port-forwarding,no-agent-forwarding,no-X11-forwarding,command="echo 'Please login as the user \"admin\" rather than the user \"root\".';echo;exit 142" KEY`, Command: "id -u", Stdout: "Please login as the user \"admin\" rather than the user \"root\".\n\n", Status: 142},
	{Name: "`command=` on a line after others", Holder: byRecorder, Keys: "# command=\"x\" KEY\nCA\n" + asked + " KEY", Command: "id -u", Stdout: "only-this id -u\n", Status: 7},
	{Name: "two lines with one key, restricted differently", Holder: refused, Keys: asked + " KEY\nKEY", Command: "id -u", Status: 254},
	{Name: "`PermitRootLogin forced-commands-only`", Holder: byRecorder, Sshd: "PermitRootLogin forced-commands-only", Keys: asked + " KEY", Command: "id -u", Stdout: "only-this id -u\n", Status: 7},
	{Name: "`PermitRootLogin forced-commands-only`, an unrestricted key", Holder: bySshd, Sshd: "PermitRootLogin forced-commands-only", Keys: "KEY", Command: "id -u", Status: 255},
	{Name: "`restrict`: no terminal", Holder: bySshd, Keys: "restrict KEY", Options: []string{"-tt"}, Command: "tty", Status: 255},
	{Name: "`from=`", Holder: bySshd, Keys: `from="192.0.2.99" KEY`, Command: "id -u", Status: 255},
	{Name: "`from=` with `command=`", Holder: bySshd, Keys: `from="192.0.2.99",` + asked + " KEY", Command: "id -u", Status: 255},
	{Name: "`expiry-time=`", Holder: bySshd, Keys: `expiry-time="20200101" KEY`, Command: "id -u", Status: 255},
	{Name: "`permitopen=`", Holder: bySshd + ": no forwarding at all", Keys: `permitopen="127.0.0.1:1" KEY`, Options: []string{"-W", "127.0.0.1:22"}, Status: 255},
	{Name: "`environment=`", Holder: bySshd + ": not set (PermitUserEnvironment no)", Keys: `environment="LD_PRELOAD=x",environment="A=b" KEY`, Command: "echo \"<$A$LD_PRELOAD>\"", Stdout: "<>\n"},
	{Name: "`cert-authority` with `command=`", Holder: byRecorder, Keys: "cert-authority," + asked + " CA", Cert: []string{"-n", "root"}, Command: "id -u", Stdout: "only-this id -u\n", Status: 7},
	{Name: "a certificate's `force-command`", Holder: byRecorder, Keys: "cert-authority CA", Cert: []string{"-n", "root", "-O", "force-command=echo only-this $SSH_ORIGINAL_COMMAND; exit 7"}, Command: "id -u", Stdout: "only-this id -u\n", Status: 7},
	{Name: "a certificate's `force-command`, by `TrustedUserCAKeys`", Holder: byRecorder, Sshd: "TrustedUserCAKeys /etc/ssh/trial_ca.pub", Cert: []string{"-n", "root", "-O", "force-command=echo only-this $SSH_ORIGINAL_COMMAND; exit 7"}, Command: "id -u", Stdout: "only-this id -u\n", Status: 7},
	{Name: "a certificate without `force-command`", Holder: "-", Keys: "cert-authority CA", Cert: []string{"-n", "root"}, Command: "echo whole; exit 3", Stdout: "whole\n", Status: 3},
	{Name: "a certificate's `source-address`", Holder: bySshd, Keys: "cert-authority CA", Cert: []string{"-n", "root", "-O", "source-address=192.0.2.99/32"}, Command: "id -u", Status: 255},
	{Name: "a certificate's validity", Holder: bySshd, Keys: "cert-authority CA", Cert: past, Command: "id -u", Status: 255},
	{Name: "`principals=`", Holder: bySshd, Keys: `cert-authority,principals="other" CA`, Cert: []string{"-n", "root"}, Command: "id -u", Status: 255},
	{Name: "`AuthorizedPrincipalsFile` with `command=`", Holder: refused, Sshd: "TrustedUserCAKeys /etc/ssh/trial_ca.pub\nAuthorizedPrincipalsFile /etc/ssh/trial_principals", Cert: []string{"-n", "backup"}, Command: "id -u", Status: 254},
	{Name: "`Match` with a `ForceCommand` of its own", Holder: bySshd + ": not recorded, and `castgate check` says so", Sshd: "Match User root\n    ForceCommand echo menu", Keys: "KEY", Command: "id -u", Stdout: "menu\n"},
}

// Host is where they are tried: sshd with castgate's drop-in.
type Host interface {
	Write(name, text string, mode os.FileMode)
	// Configure puts lines into sshd's configuration, above those of castgate only
	// where they are no Match, and lets sshd read it.
	Configure(lines string)
	Ssh(key *hosttest.Key, user string, options []string, command ...string) *exec.Cmd
}

// Try tries each control.
func Try(t *testing.T, host func(t *testing.T) Host) {
	for _, c := range Controls {
		t.Run(c.Name, func(t *testing.T) { c.try(t, host(t)) })
	}
}

func (c Control) try(t *testing.T, h Host) {
	t.Helper()
	key, ca := hosttest.NewKey(t, "ed25519"), hosttest.NewKey(t, "ed25519")
	h.Write("/etc/ssh/trial_ca.pub", ca.Line+"\n", 0o644)
	h.Write("/etc/ssh/trial_principals", `command="echo by-principal" backup`+"\n", 0o644)
	h.Write("/root/.ssh/authorized_keys", strings.NewReplacer("KEY", key.Line, "CA", ca.Line).Replace(c.Keys)+"\n", 0o600)
	h.Configure(c.Sshd)
	options := c.Options
	if c.Cert != nil {
		args := append([]string{"-q", "-s", ca.Path, "-I", "trial"}, append(c.Cert, key.Path+".pub")...)
		if out, err := exec.Command("ssh-keygen", args...).CombinedOutput(); err != nil {
			t.Fatalf("ssh-keygen %v: %v\n%s", args, err, out)
		}
		options = append([]string{"-o", "CertificateFile=" + key.Path + "-cert.pub"}, options...)
	}
	var command []string
	if c.Command != "" {
		command = []string{c.Command}
	}
	got := hosttest.Do(t, h.Ssh(key, "root", options, command...), nil)
	// On a terminal the notice comes first.
	if out := strings.TrimPrefix(got.Stdout, "This session is recorded.\r\n"); out != c.Stdout || got.Status != c.Status {
		t.Errorf("got %+v, want %q and status %d", got, c.Stdout, c.Status)
	}
}

// Table is the document's.
func Table() string {
	var b strings.Builder
	b.WriteString("| control | who holds to it | what the client gets |\n|---|---|---|\n")
	for _, c := range Controls {
		got := fmt.Sprintf("status %d", c.Status)
		if out := strings.TrimSpace(c.Stdout); out != "" {
			got = fmt.Sprintf("%q, status %d", strings.ReplaceAll(out, "|", `\|`), c.Status)
		}
		fmt.Fprintf(&b, "| %s | %s | %s |\n", c.Name, c.Holder, got)
	}
	return b.String()
}
