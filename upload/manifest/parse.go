// SPDX-License-Identifier: AGPL-3.0-or-later

package manifest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"
	"time"

	"castgate/wrap/asciicast"
)

// MaxSize bounds a manifest: a command line may have 128 KiB (MAX_ARG_STRLEN),
// and each of its bytes may need six as JSON.
const MaxSize = 1 << 20

var (
	idPattern   = regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`)
	hashPattern = regexp.MustCompile(`^[0-9a-f]{64}$`)
)

// IsID says whether s is a whole id of a recording.
func IsID(s string) bool { return idPattern.MatchString(s) }

// Parse reads a manifest, strictly: a key that is not known or comes twice, a
// value out of its range, or anything after the object is an error.
func Parse(p []byte) (*Manifest, error) {
	if len(p) > MaxSize {
		return nil, fmt.Errorf("manifest: longer than %d bytes", MaxSize)
	}
	if err := unique(p); err != nil {
		return nil, fmt.Errorf("manifest: %w", err)
	}
	m := new(Manifest)
	dec := json.NewDecoder(bytes.NewReader(p))
	dec.DisallowUnknownFields()
	if err := dec.Decode(m); err != nil {
		return nil, fmt.Errorf("manifest: %w", err)
	}
	if err := m.check(); err != nil {
		return nil, fmt.Errorf("manifest: %w", err)
	}
	return m, nil
}

// unique refuses what two JSON parsers may read differently: a key that comes
// twice, and text after the value.
func unique(p []byte) error {
	dec := json.NewDecoder(bytes.NewReader(p))
	if err := walk(dec, 0); err != nil {
		return err
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return errors.New("text after the object")
	}
	return nil
}

// maxDepth is more than any manifest nests.
const maxDepth = 16

func walk(dec *json.Decoder, depth int) error {
	tok, err := dec.Token()
	if err != nil {
		return err
	}
	delim, ok := tok.(json.Delim)
	if !ok {
		return nil
	}
	if depth > maxDepth {
		return errors.New("nested too deeply")
	}
	seen := map[string]bool{}
	for dec.More() {
		if delim == '{' {
			key, err := dec.Token()
			if err != nil {
				return err
			}
			k, _ := key.(string)
			switch {
			case k != strings.ToLower(k): // encoding/json would take it for the lower-case one
				return fmt.Errorf("key %q is not known", k)
			case seen[k]:
				return fmt.Errorf("key %q comes twice", k)
			}
			seen[k] = true
		}
		if err := walk(dec, depth+1); err != nil {
			return err
		}
	}
	_, err = dec.Token()
	return err
}

// check refuses values that no castgate-upload writes.
func (m *Manifest) check() error {
	switch {
	case m.Version != Version:
		return fmt.Errorf("version %d is not known", m.Version)
	case !idPattern.MatchString(m.Session.ID):
		return fmt.Errorf("id %q is not a UUIDv7", m.Session.ID)
	case m.Start.Location() != time.UTC || m.Start.Nanosecond() != 0 || m.Start.Year() < 1970 || m.Start.Year() > 9999:
		return fmt.Errorf("start %v is not a whole second of UTC", m.Start)
	case !m.End.Equal(m.Start.Add(time.Duration(m.Duration))):
		return errors.New("end is not start plus duration")
	case m.Ended != EndedExit && m.Ended != EndedClosed && m.Ended != EndedInterrupted:
		return fmt.Errorf("ended %q is not known", m.Ended)
	case m.Complete != (m.Ended != EndedInterrupted):
		return fmt.Errorf("complete is %v, but it ended by %q", m.Complete, m.Ended)
	case (m.Ended == EndedExit) != (m.Exit != nil):
		return errors.New("an exit status belongs to a complete recording that ended by it, and only to one")
	case m.Events < 0 || m.Cast.Bytes <= 0 || m.Stored.Bytes <= 0:
		return errors.New("a count is negative or nothing")
	case m.Term.Cols < 1 || m.Term.Cols > asciicast.MaxCells || m.Term.Rows < 1 || m.Term.Rows > asciicast.MaxCells:
		return fmt.Errorf("the terminal's size is %dx%d", m.Term.Cols, m.Term.Rows)
	}
	return errors.Join(m.checkPath(), m.checkHashes())
}

func (m *Manifest) checkHashes() error {
	for what, h := range map[string]string{"cast": m.Cast.SHA256, "stored": m.Stored.SHA256} {
		if !hashPattern.MatchString(h) {
			return fmt.Errorf("%s: %q is not a SHA-256", what, h)
		}
	}
	switch {
	case m.Sequence < 1:
		return fmt.Errorf("sequence %d", m.Sequence)
	case m.Sequence == 1 && m.Previous != "":
		return errors.New("the first of a chain has a previous one")
	case m.Sequence > 1 && !hashPattern.MatchString(m.Previous):
		return fmt.Errorf("previous: %q is not a SHA-256", m.Previous)
	}
	return nil
}
