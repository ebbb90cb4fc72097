// SPDX-License-Identifier: AGPL-3.0-or-later

// Package restrict finds the command that a key or a certificate is restricted
// to. sshd knows it, but a ForceCommand of sshd_config(5) stands above the
// command= of authorized_keys(5) and the force-command of a certificate, so
// that the recorder, which is that ForceCommand, must hold to it.
//
// The question is asked with what sshd says of the login ("publickey
// ssh-ed25519 AAAA...", SSH_USER_AUTH and pam_exec's SSH_AUTH_INFO_0) and
// answered from the files in which sshd looks for keys. Where the answer can't
// be told for certain it is an error, never "no restriction".
package restrict

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// Restriction is what a login may run.
type Restriction struct {
	Forced  bool   // it may run Command alone; an empty command is one, too
	Command string // as it stands in the file or the certificate
}

// Account is the one that is opened.
type Account struct {
	Name string
	UID  int                    // negative where it isn't known
	Home func() (string, error) // asked only where a file's name depends on it
}

// Of returns the restriction of a login with the keys that auth names. A login
// without a key has none.
func (c Config) Of(a Account, auth string) (Restriction, error) {
	keys, err := Keys(auth)
	if err != nil {
		return Restriction{}, err
	}
	var all []Restriction
	for _, k := range keys {
		found, err := c.ofKey(a, k)
		if err != nil {
			return Restriction{}, err
		}
		all = append(all, found...)
	}
	return one(all)
}

// ofKey returns what stands beside one accepted key: in its certificate, and
// on the lines with it or, for a certificate, with its authority.
func (c Config) ofKey(a Account, k Key) ([]Restriction, error) {
	lines, err := c.Lines(a)
	if err != nil {
		return nil, err
	}
	want := k.Blob
	if k.Cert != nil {
		want = k.Cert.Authority
		if err := c.principals(a); err != nil {
			return nil, err
		}
	}
	var all []Restriction
	var first *Line
	var fault error // sshd may read what we can't
	for _, l := range lines {
		switch {
		case l.Fault != nil && len(l.Blob) == 0:
			fault = fmt.Errorf("%s: %w", l.Where(), l.Fault)
		case !bytes.Equal(l.Blob, want):
		case l.Fault != nil:
			return nil, fmt.Errorf("%s: %w", l.Where(), l.Fault)
		case l.Authority != (k.Cert != nil):
		case first == nil:
			first = &l
		case first.Restriction != l.Restriction:
			return nil, fmt.Errorf("%s and %s restrict one key in different ways", first.Where(), l.Where())
		}
	}
	if first == nil {
		err = errors.Join(fault, c.otherCommand(a))
	} else {
		all = append(all, first.Restriction)
	}
	if k.Cert != nil {
		all = append(all, k.Cert.Restriction)
	}
	return all, err
}

// keysCommand prints no command= with a key (castgate-keys.yaml(5), options).
const keysCommand = "/usr/bin/castgate-keys"

// otherCommand refuses keys that another program than castgate-keys may have
// printed, as the servers of git repositories have one: with command= before
// every key.
func (c Config) otherCommand(a Account) error {
	for _, command := range c.values("authorizedkeyscommand", a, "none") {
		if w := words(command); len(w) > 0 && w[0] != keysCommand && !strings.EqualFold(w[0], "none") {
			return fmt.Errorf("AuthorizedKeysCommand %q may restrict a key, and its answer isn't known", w[0])
		}
	}
	return nil
}

// one merges the restrictions of one login as sshd does (auth-options.c,
// sshauthopt_merge): none gives way, and two different commands are refused.
func one(all []Restriction) (Restriction, error) {
	var r Restriction
	for _, next := range all {
		switch {
		case !next.Forced:
		case !r.Forced:
			r = next
		case r != next:
			return Restriction{}, errors.New("the login's keys are restricted to different commands")
		}
	}
	return r, nil
}

// Restricted returns the lines of the account's files that restrict something:
// while there are any, a login whose key isn't known can't be let go on.
func (c Config) Restricted(a Account) ([]Line, error) {
	lines, err := c.Lines(a)
	return slices.DeleteFunc(lines, func(l Line) bool { return !l.Forced && !l.Authority && l.Fault == nil }), err
}

// Unrestricted returns an error unless no login to the account can be
// restricted at all, whatever its key: by a line of a file, a certificate,
// another program, or what the caller may not read.
func (c Config) Unrestricted(a Account) error {
	lines, err := c.Restricted(a)
	switch {
	case err != nil:
		return err
	case len(lines) > 0:
		return fmt.Errorf("%s restricts a key", lines[0].Where())
	case len(c.unread) > 0:
		return fmt.Errorf("%q can't be read", c.unread[0])
	case c.Certificates(a):
		return errors.New("TrustedUserCAKeys: a certificate may be restricted")
	}
	return c.otherCommand(a)
}

// Certificates says whether sshd takes certificates of an authority of its own.
func (c Config) Certificates(a Account) bool {
	return slices.ContainsFunc(c.values("trustedusercakeys", a, "none"), func(ca string) bool { return !strings.EqualFold(ca, "none") })
}

// Doubts says what of the account's keys could not be told at a login, and so
// would be refused.
func (c Config) Doubts(a Account) []error {
	lines, err := c.Lines(a)
	if err != nil {
		return []error{err}
	}
	var all []error
	doubt := func(err error) {
		known := func(e error) bool { return e.Error() == err.Error() }
		if err != nil && !slices.ContainsFunc(all, known) {
			all = append(all, err)
		}
	}
	certificates := c.Certificates(a)
	for _, l := range lines {
		if len(l.Blob) == 0 {
			doubt(fmt.Errorf("%s: %w", l.Where(), l.Fault))
			continue
		}
		k := Key{Blob: l.Blob}
		if l.Authority {
			certificates, k.Cert = true, &Cert{Authority: l.Blob}
		}
		_, err := c.ofKey(a, k)
		doubt(err)
	}
	if certificates {
		doubt(c.principals(a))
	}
	doubt(c.otherCommand(a))
	return all
}

// Lines returns the lines with keys of every file that may open the account.
func (c Config) Lines(a Account) ([]Line, error) {
	files, err := c.keyFiles(a)
	if err != nil {
		return nil, err
	}
	var all []Line
	for _, file := range files {
		text, err := read(file)
		if err != nil {
			return nil, err
		}
		all = append(all, ParseLines(file, text)...)
	}
	return all, nil
}

// principals refuses what may carry a command= of its own for certificates:
// AuthorizedPrincipalsFile's lines, and whatever AuthorizedPrincipalsCommand says.
func (c Config) principals(a Account) error {
	for _, command := range c.values("authorizedprincipalscommand", a, "none") {
		if command != "none" {
			return errors.New("AuthorizedPrincipalsCommand may restrict a certificate, and its answer isn't known")
		}
	}
	files, err := c.files("authorizedprincipalsfile", a, "none")
	if err != nil {
		return err
	}
	for _, file := range files {
		text, err := read(file)
		if err != nil {
			return err
		}
		for line := range bytes.Lines(text) {
			if line = bytes.TrimSpace(line); !bytes.HasPrefix(line, []byte("#")) && bytes.Contains(bytes.ToLower(line), []byte("command=")) {
				return fmt.Errorf("%q restricts certificates, and which line counted isn't known", file)
			}
		}
	}
	return nil
}

// maxFile bounds a file of keys: 100,000 of them, with options.
const maxFile = 64 << 20

// read returns a file as sshd would: what is missing, or no regular file, has
// no keys in it.
func read(name string) ([]byte, error) {
	// Looked at first: what somebody made a link to may do something when opened.
	if info, err := os.Stat(name); err != nil || !info.Mode().IsRegular() {
		return nil, missing(err)
	}
	f, err := os.OpenFile(name, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, missing(err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err == nil && len(text) > maxFile {
		err = fmt.Errorf("read %q: larger than %d bytes", name, maxFile)
	}
	return text, err
}

// missing leaves out the errors that say that there is no such file.
func missing(err error) error {
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENOTDIR) || errors.Is(err, unix.ELOOP) {
		return nil
	}
	return err
}
