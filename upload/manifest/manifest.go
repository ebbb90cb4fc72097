// SPDX-License-Identifier: AGPL-3.0-or-later

// Package manifest is the paper that travels with a recording: what it is, who
// it shows, how long, whether it is whole, and the hashes that prove it. It is
// written once, by castgate-upload, when a recording is taken from the spool.
//
// A recording in a directory, a bucket or an archive server is three objects,
// stored in this order, so that whoever sees the manifest sees the whole:
//
//	<user>/<host>/<YYYY>/<MM>/<DD>/<id>.cast.zst   the recording, compressed
//	<user>/<host>/<YYYY>/<MM>/<DD>/<id>.json.sig   an SSH signature of the next
//	<user>/<host>/<YYYY>/<MM>/<DD>/<id>.json       the manifest
//
// The date is that of the session's start, UTC. A sealed recording's first
// object is <id>.cast.zst.age. The signature is absent when the host has no
// signing key.
//
// The manifests of one host form a chain: each carries a sequence number and
// the SHA-256 of the manifest before it, so that a recording that was removed
// leaves a hole between two that are signed.
package manifest

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"time"

	"castgate/wrap/asciicast"
)

// Version is the version of the format.
const Version = 1

// How a recording ended, Manifest.Ended.
const (
	EndedExit        = "exit"        // the last event is the exit status
	EndedClosed      = "closed"      // whole, but whoever sent it does not tell the exit status: ttyspy
	EndedInterrupted = "interrupted" // its recorder, or the host, died
)

// Manifest is <id>.json: one JSON object, indented, one newline at its end.
type Manifest struct {
	Version  int       `json:"version"`
	Session  Session   `json:"session"`           // the castgate object of the recording's header
	Command  string    `json:"command,omitempty"` // what was asked for instead of a shell
	Term     Term      `json:"term"`
	Start    time.Time `json:"start"` // UTC, whole seconds: the header's timestamp
	End      time.Time `json:"end"`   // Start + Duration
	Duration Seconds   `json:"duration"`
	Exit     *int      `json:"exit,omitempty"` // exit status, 128+n after signal n; absent when unknown
	Complete bool      `json:"complete"`       // the recorder finished it
	Ended    string    `json:"ended"`          // EndedExit, EndedClosed or EndedInterrupted
	Events   int64     `json:"events"`         // what asciicast.Reader yields
	Cast     Object    `json:"cast"`           // the recording as any player reads it
	Stored   Stored    `json:"stored"`         // the object beside the manifest
	Sequence int64     `json:"sequence"`       // 1 is the first of this host
	Previous string    `json:"previous,omitempty"`
}

// Term is the size of the terminal at the start.
type Term struct {
	Cols int    `json:"cols"`
	Rows int    `json:"rows"`
	Type string `json:"type,omitempty"`
}

// Object is some bytes and their hash.
type Object struct {
	Bytes  int64  `json:"bytes"`
	SHA256 string `json:"sha256"` // lower-case hex
}

// Stored is the object that is kept, and what was done to the cast to make it.
type Stored struct {
	Object
	Name       string  `json:"name"`             // last element of its path
	Encoding   string  `json:"encoding"`         // "zstd"
	Recipients []Layer `json:"sealed,omitempty"` // who can open it: outermost layer first
}

// Layer is the recipients of one layer of a sealed recording, any one of whom
// opens that layer.
type Layer []string

// Session is the castgate object of a header, whole: unlike the manifest's own
// keys, those that are not known are kept. The recorder of a newer host may have
// added some, or castgate-upload may be older than the recorder.
type Session asciicast.Session

// MarshalJSON implements json.Marshaler.
func (s Session) MarshalJSON() ([]byte, error) { return asciicast.Session(s).MarshalJSON() }

// UnmarshalJSON implements json.Unmarshaler.
func (s *Session) UnmarshalJSON(p []byte) error {
	return json.Unmarshal(p, (*asciicast.Session)(s))
}

// Seconds is a duration in JSON: seconds with six digits, as in a recording.
type Seconds time.Duration

// MarshalJSON implements json.Marshaler.
func (s Seconds) MarshalJSON() ([]byte, error) {
	us := time.Duration(s).Microseconds()
	return fmt.Appendf(nil, "%d.%06d", us/1e6, us%1e6), nil
}

// UnmarshalJSON implements json.Unmarshaler.
func (s *Seconds) UnmarshalJSON(p []byte) error {
	var whole, micro int64
	if n, err := fmt.Sscanf(string(p), "%d.%06d", &whole, &micro); n != 2 || err != nil || whole < 0 || micro < 0 || whole > maxSeconds {
		return fmt.Errorf("duration %q is not seconds with six digits", p)
	}
	*s = Seconds(time.Duration(whole)*time.Second + time.Duration(micro)*time.Microsecond)
	if again, _ := s.MarshalJSON(); !bytes.Equal(again, p) {
		return fmt.Errorf("duration %q is not seconds with six digits", p)
	}
	return nil
}

// maxSeconds keeps a duration within an int64 of nanoseconds, as asciicast.
const maxSeconds = 1_000_000_000

// Encode returns the manifest as it is stored.
func (m *Manifest) Encode() ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(m); err != nil {
		return nil, fmt.Errorf("encode the manifest: %w", err)
	}
	return b.Bytes(), nil
}

// Hash returns the lower-case hex SHA-256 of p, as in Object and Previous.
func Hash(p []byte) string {
	sum := sha256.Sum256(p)
	return hex.EncodeToString(sum[:])
}
