// SPDX-License-Identifier: AGPL-3.0-or-later

package keys

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// emergency looks into the account's break-glass file, before anything that
// could fail. It reports whether the decision is made: for an offered key that
// the file has. A file that is broken or missing opens nothing and must not
// close the ordinary way either.
func (s *Service) emergency(d *Decision, offered *Key) bool {
	path, ok := s.Config.Emergency[strings.ToLower(d.Account)]
	if !ok {
		return false
	}
	lines, err := readEmergency(path)
	if err != nil {
		d.no("emergency file: %s", err)
		d.Warnings = append(d.Warnings, "emergency file: "+err.Error())
	}
	for _, l := range lines {
		if offered == nil || l.key.Equal(*offered) {
			d.Lines = append(d.Lines, l.text+"\n")
			d.Source, d.Why = "emergency", fmt.Sprintf("emergency key from %q", path)
		}
	}
	if len(d.Lines) == 0 {
		d.no("emergency file %q has no such key", path)
		return false
	}
	d.step("%s", d.Why)
	return offered != nil
}

type emergencyLine struct {
	text string
	key  Key
}

// maxEmergency bounds a break-glass file: it is for a handful of keys.
const maxEmergency = 1 << 20

// readEmergency reads an authorized_keys file that only root can have written.
// Its lines keep their options, which are root's own words. The error is about
// the file, or about lines that open nothing: sshd lets castgate's ForceCommand
// stand above a command=, and so a key that may run one command would open a shell.
func readEmergency(path string) (lines []emergencyLine, err error) {
	if err := rootOnly(path); err != nil {
		return nil, err
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var faults []error
	sc := bufio.NewScanner(f)
	sc.Buffer(nil, maxEmergency)
	for n := 1; sc.Scan(); n++ {
		text := strings.TrimSpace(sc.Text())
		k, options, ok := findKey(text)
		if !ok {
			continue
		}
		if err := checkOptions(options); err != nil {
			faults = append(faults, fmt.Errorf("%s:%d: %w", path, n, err))
			continue
		}
		lines = append(lines, emergencyLine{text, k})
	}
	return lines, errors.Join(append(faults, sc.Err())...)
}

// EmergencyKeys counts the keys of a break-glass file, as a login would read it.
func EmergencyKeys(path string) (int, error) {
	lines, err := readEmergency(path)
	return len(lines), err
}

// findKey finds the key in a line, and the options before it. A blank inside a
// quoted option does not make a field look like a key: what follows must parse
// as the key of that type.
func findKey(line string) (k Key, options string, ok bool) {
	if line == "" || line[0] == '#' {
		return Key{}, "", false
	}
	fields := strings.Fields(line)
	for i := range len(fields) - 1 {
		if k, err := ParseKey(fields[i], fields[i+1]); err == nil {
			before, _, _ := strings.Cut(line, fields[i+1])
			return k, strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(before), fields[i])), true
		}
	}
	return Key{}, "", false
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
