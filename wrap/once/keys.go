// SPDX-License-Identifier: AGPL-3.0-or-later

package once

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/netip"
	"os"
	"time"

	"golang.org/x/crypto/ssh"
)

// maxKeys bounds what is read: an organisation's ten thousand keys fit, a
// device file doesn't.
const maxKeys = 8 << 20

// Keys are the authorized keys, as they were when castgate-once started.
type Keys struct {
	lines []*Key
}

// LoadKeys reads an authorized_keys file; "-" is standard input. A line that
// can't be understood fails the whole file, for somebody's login depends on it.
// A line whose options castgate-once doesn't honour is left out, loudly: to
// leave out the option instead could open more than its author meant.
func LoadKeys(path string, stdin io.Reader, log *slog.Logger) (*Keys, error) {
	text, err := readKeys(path, stdin)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fault(StatusKeysMissing, "read the authorized keys %q: no such file", path)
	case err != nil:
		return nil, fault(StatusKeysUnreadable, "read the authorized keys: %w", err)
	}
	keys, refused, err := ParseKeys(text)
	if err != nil {
		return nil, fault(StatusKeysUnparsable, "authorized keys %q: %w", path, err).advise("sshd(8), AUTHORIZED_KEYS FILE FORMAT")
	}
	for _, r := range refused {
		log.Warn("key refused", "file", path, "line", r.Line, "why", r.Err.Error())
	}
	switch {
	case len(keys.lines) > 0:
		return keys, nil
	case len(refused) > 0:
		return nil, fault(StatusKeysUnparsable, "authorized keys %q: no line can be used: %w", path, refused[0])
	}
	return nil, fault(StatusKeysEmpty, "authorized keys %q: there is no key in it", path)
}

func readKeys(path string, stdin io.Reader) ([]byte, error) {
	from := stdin
	if path != "-" {
		f, err := os.Open(path)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		from = f
	}
	text, err := io.ReadAll(io.LimitReader(from, maxKeys+1))
	if err == nil && len(text) > maxKeys {
		err = fmt.Errorf("%q is larger than %d bytes", path, maxKeys)
	}
	return text, err
}

// LineError is a line that can't be used.
type LineError struct {
	Line int
	Err  error
}

func (e *LineError) Error() string { return fmt.Sprintf("line %d: %v", e.Line, e.Err) }
func (e *LineError) Unwrap() error { return e.Err }

// ParseKeys parses the lines of an authorized_keys file. refused are the lines
// with options that aren't honoured.
func ParseKeys(text []byte) (keys *Keys, refused []*LineError, err error) {
	keys = &Keys{}
	n := 0
	for line := range bytes.Lines(text) {
		n++
		line = bytes.Trim(line, " \t\r\n")
		if len(line) == 0 || line[0] == '#' {
			continue
		}
		key, err := parseLine(string(line))
		var option *optionError
		switch {
		case errors.As(err, &option):
			refused = append(refused, &LineError{n, err})
		case err != nil:
			return nil, nil, &LineError{n, err}
		default:
			key.Line = n
			keys.lines = append(keys.lines, key)
		}
	}
	return keys, refused, nil
}

// Admit returns the first line that lets this key in from this address now.
// Its error says why no line does.
func (k *Keys) Admit(key ssh.PublicKey, from netip.Addr, now time.Time) (*Key, error) {
	blob := key.Marshal()
	reason := errors.New("the key is not authorized")
	for _, line := range k.lines {
		if !bytes.Equal(blob, line.blob) {
			continue
		}
		if err := line.Options.admit(from, now); err != nil {
			reason = fmt.Errorf("line %d: %w", line.Line, err)
			continue
		}
		return line, nil
	}
	return nil, reason
}
