// SPDX-License-Identifier: AGPL-3.0-or-later

package keys

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"syscall"

	"castgate/keys/pubkey"
)

// emergency looks into the account's break-glass file, before anything that
// could fail. It reports whether the decision is made: for an offered key that
// the file has. A file that is broken or missing opens nothing and must not
// close the ordinary way either.
func (d *Decision) emergency(path string) bool {
	lines, err := readEmergency(path)
	if err != nil {
		d.no("emergency file: %s", err)
		d.Warnings = append(d.Warnings, "emergency file: "+err.Error())
	}
	for _, l := range lines {
		if d.offered == nil || l.Key.Equal(*d.offered) {
			d.Lines = append(d.Lines, l.Text+"\n")
			d.Source, d.Why = "emergency", fmt.Sprintf("emergency key from %q", path)
		}
	}
	if len(d.Lines) == 0 {
		d.no("emergency file %q has no such key", path)
		return false
	}
	d.step("%s", d.Why)
	return d.offered != nil
}

// maxEmergency bounds a break-glass file: it is for a handful of keys.
const maxEmergency = 1 << 20

// readEmergency reads an authorized_keys file that only root can have written.
// Its lines keep their options, which are root's own words. The error is about
// the file, or about lines that open nothing: sshd lets castgate's ForceCommand
// stand above a command=, and so a key that may run one command would open a shell.
func readEmergency(path string) (lines []pubkey.Line, err error) {
	if err := rootOnly(path); err != nil {
		return nil, err
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxEmergency+1))
	faults := []error{err}
	if len(text) > maxEmergency {
		faults = append(faults, fmt.Errorf("%q is longer than %d bytes: the keys at its end are not read", path, maxEmergency))
		text = text[:bytes.LastIndexByte(text, '\n')+1]
	}
	for _, l := range pubkey.ReadLines(path, text) {
		if l.Fault != nil {
			faults = append(faults, fmt.Errorf("%s:%d: %w", path, l.Number, l.Fault))
			continue
		}
		lines = append(lines, l)
	}
	return lines, errors.Join(faults...)
}

// EmergencyKeys counts the keys of a break-glass file, as a login would read it.
func EmergencyKeys(path string) (int, error) {
	lines, err := readEmergency(path)
	return len(lines), err
}

// rootOnly refuses a file that somebody else than root could have written, by
// its own mode and owner and those of its directory.
func rootOnly(path string) error {
	for _, p := range []string{path, filepath.Dir(path)} {
		info, err := os.Stat(p)
		if err != nil {
			return err
		}
		st := info.Sys().(*syscall.Stat_t)
		switch {
		case st.Uid != 0:
			return fmt.Errorf("%q belongs to uid %d, not to root", p, st.Uid)
		case st.Mode&0o022 != 0:
			return fmt.Errorf("%q may be written by others (mode %04o)", p, st.Mode&0o7777)
		case p == path && !info.Mode().IsRegular():
			return errors.New("not a regular file")
		}
	}
	return nil
}
