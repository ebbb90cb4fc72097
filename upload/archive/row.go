// SPDX-License-Identifier: AGPL-3.0-or-later

package archive

import (
	"cmp"
	"fmt"
	"strconv"
	"time"

	"castgate/upload/manifest"
)

// Row is a recording in a list.
type Row struct {
	ID       string           `json:"id"`
	Name     string           `json:"name"`              // ID@HOST, with the name of the host's directory
	Claimed  bool             `json:"claimed,omitempty"` // another recording has the same id
	User     string           `json:"user"`
	Host     string           `json:"host"`
	Login    string           `json:"login,omitempty"`
	LoginID  int64            `json:"login_id,omitempty"`
	Key      string           `json:"key,omitempty"`
	Client   string           `json:"client,omitempty"`
	Kind     string           `json:"kind"`
	TTY      bool             `json:"tty"`
	Command  string           `json:"command,omitempty"`
	Start    time.Time        `json:"start"`
	End      time.Time        `json:"end"`
	Duration manifest.Seconds `json:"duration"`
	Exit     *int             `json:"exit,omitempty"`
	Complete bool             `json:"complete"`
	Ended    string           `json:"ended"`
	Events   int64            `json:"events"`
	Bytes    int64            `json:"bytes"`
	SHA256   string           `json:"sha256"` // of the cast
	Sealed   bool             `json:"sealed"`
	Path     string           `json:"path"` // of the manifest in the archive; "" where it is not there yet
	State    manifest.State   `json:"state,omitempty"`
}

// NewRow is the row of an entry.
func NewRow(e Entry) Row {
	m, s := e.Manifest, e.Manifest.Session
	return Row{
		ID: s.ID, Name: e.Name().String(), User: s.User, Host: s.Host, Login: s.Login, LoginID: s.LoginID, Key: s.Key, Client: s.Client, Kind: s.Kind, TTY: s.TTY,
		Command: m.Command, Start: m.Start, End: m.End, Duration: m.Duration, Exit: m.Exit, Complete: m.Complete, Ended: m.Ended,
		Events: m.Events, Bytes: m.Cast.Bytes, SHA256: m.Cast.SHA256, Sealed: m.Sealed(), Path: e.Path, State: e.State,
	}
}

// Person is who opened the session.
func (r *Row) Person() manifest.Person { return manifest.NewPerson(r.Login, r.LoginID) }

// Status is the state of a recording. That it is sealed, Sealed says: ls tells
// both.
func (r *Row) Status() manifest.State { return cmp.Or(r.State, manifest.Ended(r.Complete)) }

// Outcome is the exit status, or a sign that there is none.
func (r *Row) Outcome() string {
	switch {
	case r.Exit != nil:
		return strconv.Itoa(*r.Exit)
	case r.Complete, r.State.Arriving():
		return "-"
	}
	return "cut" // the recorder, or the host, died
}

// What says in a few words what the session was.
func (r *Row) What() string {
	what := r.Command
	if what == "" {
		what = r.Kind
	}
	if r.Sealed {
		what = fmt.Sprintf("%s (sealed)", what)
	}
	if r.Claimed {
		what = fmt.Sprintf("%s (id claimed twice: this is %s)", what, r.Name)
	}
	return Plain(what)
}

// newestFirst is the order of every list; recordings with one id are in that of
// their paths.
func newestFirst(a, b Row) int {
	return cmp.Or(b.Start.Compare(a.Start), cmp.Compare(b.ID, a.ID), cmp.Compare(b.Path, a.Path))
}
