// SPDX-License-Identifier: AGPL-3.0-or-later

// Package web is the page on which auditors find, watch and check recordings.
//
// Its rules: no request leaves for another origin; the Content-Security-Policy
// allows no inline script or style; what a recording contains reaches the
// document as text only, never as markup; and whoever looks at something has
// been written down first (audit.go).
package web

import (
	"context"
	"io"
	"net/url"
	"strings"
	"time"

	"castgate/upload/archive"
	"castgate/upload/manifest"
)

// Archive is where the recordings are.
type Archive interface {
	// List returns recordings, newest first.
	List(ctx context.Context, q Query) ([]Recording, error)
	// Get returns the one of that name (archive.Name), or an error that is
	// fs.ErrNotExist, or *Several where the name is that of more than one.
	Get(ctx context.Context, name string) (Recording, error)
	// Cast opens the recording as it was made: asciicast, decompressed. Of a live
	// one it is what has arrived; after io.EOF, reading goes on with what comes.
	Cast(ctx context.Context, r Recording) (io.ReadCloser, error)
	// Object opens what is stored: manifest.CastSuffix and the others.
	Object(ctx context.Context, r Recording, suffix string) (io.ReadCloser, error)
	// Search returns where the words stood on a screen.
	Search(ctx context.Context, words string, q Query) ([]Hit, error)
	// Verify checks hashes, signature and chain.
	Verify(ctx context.Context, r Recording) (Proof, error)
	// Unnamed counts, for each host, the recordings of sessions that began since
	// then and that name no person.
	Unnamed(ctx context.Context, since time.Time) (map[string]int, error)
}

// States of a recording.
const (
	Live        = "live"        // still being written
	Waiting     = "waiting"     // over; its parts are here, its delivery is to come
	Delivered   = "delivered"   // here, whole
	Interrupted = "interrupted" // here; its recorder or host died
	Sealed      = "sealed"      // here, for its recipients only
)

// Recording is one recording of the archive.
type Recording struct {
	Manifest *manifest.Manifest
	Host     string // the directory's name: the certificate's, where the archive received it
	State    string
	Signed   bool
	Verified bool // the page has checked it since it began
	Claimed  bool // another recording has the same id

	base  string // path of its objects without their suffix: what tells it from every other
	hash  string // SHA-256 of the manifest; "" while it arrives
	twice bool   // its host has given the id to another, too
}

// Several is a name that more than one recording has.
type Several struct{ All []Recording }

func (e *Several) Error() string { return "more than one recording has that name" }

// Arriving says that only parts are here, and no manifest yet.
func (r Recording) Arriving() bool { return r.State == Live || r.State == Waiting }

// Person is who opened the session, as far as the recording names anybody.
func (r Recording) Person() manifest.Person { return r.Manifest.Session.Person() }

// ID is the recording's id, which other hosts may have given, too.
func (r Recording) ID() string { return r.Manifest.Session.ID }

// Name is the recording's name: its id and its host; where that host has given
// the id to another recording as well it says which.
func (r Recording) Name() string {
	n := archive.NameAt(r.base)
	if !r.twice {
		n.Place = ""
	}
	return n.String()
}

// Ref is the name in an address of the page.
func (r Recording) Ref() string { return url.PathEscape(r.Name()) }

// Parent is the name, in an address, of the session in which this one was
// started: one of the same host.
func (r Recording) Parent() string {
	return url.PathEscape(archive.Name{ID: r.Manifest.Session.Parent, Host: r.Host}.String())
}

// key tells the recording, with all that its manifest says of it, from every
// other.
func (r Recording) key() string {
	text, err := r.Manifest.Encode()
	if err != nil {
		return "" // none that was read
	}
	return manifest.Hash(append([]byte(r.base+"\n"), text...))
}

// Hit is a line of a screen that has the words that were searched for.
type Hit struct {
	Recording Recording
	At        time.Duration
	Line      string
	Hidden    string // how, see screen.Hidden
}

// Proof is the outcome of a check. Each item stands for itself.
type Proof struct {
	OK     bool
	Signed bool // by a key that is known to be the host's
	Items  []Check
}

// Check is one thing that was checked.
type Check struct {
	Name string // "recording", "signature", "chain"
	OK   bool
	Text string // what was found
}

// Query selects recordings. Empty fields select everything.
type Query struct {
	User  manifest.Account
	Login manifest.Person

	Host, Client, Kind, State string

	Since, Until time.Time
	Before       string // name of the last one of the page before
	Limit        int
	Scope        archive.Scope // what the auditor may see
	Visible      bool          // of a search: leave out text that was hidden
}

// Matches reports whether r is among what q selects, Before aside.
func (q Query) Matches(r Recording) bool {
	s := r.Manifest.Session
	client, _, _ := strings.Cut(s.Client, " ")
	for _, f := range [][2]string{{q.Kind, s.Kind}, {q.State, r.State}, {q.Client, client}} {
		if f[0] != "" && f[0] != f[1] {
			return false
		}
	}
	return (q.User == "" || q.User == s.Account()) &&
		(q.Login.IsZero() || q.Login.Is(s.Person())) &&
		(q.Host == "" || q.Host == r.Host || q.Host == s.Host) &&
		(q.Since.IsZero() || !r.Manifest.Start.Before(q.Since)) &&
		(q.Until.IsZero() || r.Manifest.Start.Before(q.Until)) &&
		q.Scope.Allows(s.Person())
}
