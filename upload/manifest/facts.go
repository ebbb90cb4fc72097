// SPDX-License-Identifier: AGPL-3.0-or-later

package manifest

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/klauspost/compress/zstd"

	"castgate/wrap/asciicast"
)

// Facts is what one reading of a recording tells of it. A manifest only claims
// the same: whoever relies on one of its numbers holds it to these first.
type Facts struct {
	Header   asciicast.Header
	Duration time.Duration
	Exit     *int // nil: the recorder died, unless Closed
	Closed   bool // the last event is ClosedMarker
	Events   int64
	Cast     Object
}

// ClosedMarker is the label of the marker at the end of a recording that is whole
// but has no exit status.
const ClosedMarker = "end of transcript"

// Measure reads a recording, unpacked, to its end. An error of each, which may be
// nil, ends it.
func Measure(cast io.Reader, each func(asciicast.Event) error) (f Facts, err error) {
	sum := NewHasher(io.Discard)
	rd, err := asciicast.NewReader(io.TeeReader(cast, sum))
	if err != nil {
		return f, err
	}
	f.Header = rd.Header
	for {
		ev, err := rd.Next()
		if errors.Is(err, io.EOF) {
			f.Cast = Object{sum.N, sum.Hex()}
			return f, nil
		}
		if err == nil && each != nil {
			err = each(ev)
		}
		if err != nil {
			return f, err
		}
		f.Events++
		f.Duration, f.Exit = ev.Time, ExitOf(ev)
		f.Closed = ev.Code == asciicast.Marker && string(ev.Text) == ClosedMarker
	}
}

// ExitOf is the exit status that an event tells; nil when it tells none.
func ExitOf(ev asciicast.Event) *int {
	if ev.Code != asciicast.Exit {
		return nil
	}
	status, err := strconv.Atoi(string(ev.Text))
	if err != nil || status < 0 || status > 255 {
		return nil
	}
	return &status
}

// maxWindow is the window of zstd's highest usual level; castgate-upload uses
// 1 MiB. A larger one is an attempt on the reader's memory.
const maxWindow = 32 << 20

// MaxCast bounds what a recording may unpack to, whatever its manifest says;
// limits.session of wrap.yaml is 1 GiB.
const MaxCast = 16 << 30

// Check reads the stored object and holds all that m says of it to what is
// there. The kind of the error is one of Compare's, or FaultUnreadable.
func (m *Manifest) Check(stored io.Reader) (kind string, got Object, err error) {
	sum := NewHasher(io.Discard)
	in := io.TeeReader(stored, sum)
	var cast Facts
	var unread error
	if !m.Sealed() {
		cast, unread = m.unpack(in)
	}
	if _, err := io.Copy(io.Discard, in); err != nil { // what the unpacking left
		return FaultUnreadable, got, err
	}
	got = Object{sum.N, sum.Hex()}
	kind, err = m.Compare(got, cast)
	if kind == FaultUntrue && unread != nil {
		err = unread
	}
	return kind, got, err
}

// Compare holds what m says to the stored object and, unless it is sealed, to
// what is in it: only its recipients can look into a sealed one. The kind of the
// error is FaultChanged where these are other bytes than m means, and FaultUntrue
// where they are not what m says of them.
func (m *Manifest) Compare(stored Object, cast Facts) (kind string, err error) {
	switch {
	case stored.SHA256 != m.Stored.SHA256:
		return FaultChanged, fmt.Errorf("it has %d bytes with SHA-256 %s; the manifest says %d with %s", stored.Bytes, stored.SHA256, m.Stored.Bytes, m.Stored.SHA256)
	case stored != m.Stored.Object:
		return FaultUntrue, fmt.Errorf("it has %d bytes; the manifest says %d", stored.Bytes, m.Stored.Bytes)
	case m.Sealed():
		return "", nil
	}
	if err := m.holds(cast); err != nil {
		return FaultUntrue, err
	}
	return "", nil
}

// Sealed says that the recording is for its recipients only.
func (m *Manifest) Sealed() bool { return len(m.Stored.Recipients) > 0 }

// unpack measures a recording, no further than m says that it goes.
func (m *Manifest) unpack(stored io.Reader) (Facts, error) {
	if m.Cast.Bytes > MaxCast {
		return Facts{}, fmt.Errorf("the manifest says that it has more than %d GiB", int64(MaxCast)>>30)
	}
	dec, err := zstd.NewReader(stored, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(maxWindow))
	if err != nil {
		return Facts{}, fmt.Errorf("unpack: %w", err)
	}
	defer dec.Close()
	f, err := Measure(io.LimitReader(dec, m.Cast.Bytes), nil)
	if more, _ := io.CopyN(io.Discard, dec, 1); more > 0 {
		return Facts{}, fmt.Errorf("it unpacks to more than the %d bytes of the manifest", m.Cast.Bytes)
	}
	if err != nil {
		return Facts{}, fmt.Errorf("the recording can't be read: %w", err)
	}
	return f, nil
}

// holds tells what m says of a recording that is not so; nil when all is.
func (m *Manifest) holds(f Facts) error {
	if f.Cast != m.Cast {
		return fmt.Errorf("the recording has %d bytes with SHA-256 %s; the manifest says %d with %s", f.Cast.Bytes, f.Cast.SHA256, m.Cast.Bytes, m.Cast.SHA256)
	}
	cols, rows := asciicast.Clamp(f.Header.Term.Cols, f.Header.Term.Rows)
	for _, c := range []struct {
		what           string
		claimed, there any
	}{
		{"events", m.Events, f.Events},
		{"duration", time.Duration(m.Duration), f.Duration.Truncate(time.Microsecond)},
		{"exit status", exitText(m.Exit), exitText(f.Exit)},
		{"start", m.Start.Unix(), f.Header.Timestamp},
		{"command", m.Command, f.Header.Command},
		{"terminal", m.Term, Term{cols, rows, f.Header.Term.Type}},
	} {
		if c.claimed != c.there {
			return fmt.Errorf("%s: the manifest says %v, the recording %v", c.what, c.claimed, c.there)
		}
	}
	if m.Ended == EndedClosed && !f.Closed {
		return errors.New("end: the manifest says that it is whole, the recording does not")
	}
	if f.Header.Session != nil && !sameSession(&m.Session, f.Header.Session) { // else another recorder's
		return errors.New("session: the manifest says another than the recording's header")
	}
	return nil
}

func exitText(exit *int) string {
	if exit == nil {
		return "none"
	}
	return strconv.Itoa(*exit)
}

// newer are the keys of a session that a castgate-upload of before does not
// know, and leaves out where it runs on beside a newer recorder: the one thing
// that a manifest may keep to itself. Today's leaves nothing out.
var newer = []string{"login_id", "asked", "shell"}

// sameSession compares what is written, in which an empty list is none.
func sameSession(a *Session, b *asciicast.Session) bool {
	claimed, err1 := keysOf((*asciicast.Session)(a))
	there, err2 := keysOf(b)
	if err1 != nil || err2 != nil {
		return false
	}
	for k := range there {
		if _, more := b.More[k]; claimed[k] == "" && (more || slices.Contains(newer, k)) {
			delete(there, k)
		}
	}
	return maps.Equal(claimed, there)
}

// keysOf is the text of each key.
func keysOf(s *asciicast.Session) (map[string]string, error) {
	text, err := json.Marshal(s)
	if err != nil {
		return nil, err
	}
	var raw map[string]json.RawMessage
	if err := json.Unmarshal(text, &raw); err != nil { // compact: Marshal has seen to it
		return nil, err
	}
	keys := map[string]string{}
	for k, v := range raw {
		keys[k] = string(v)
	}
	return keys, nil
}
