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

// Recording is one recording of the archive. One that arrives has the path that it
// will have, and no hash.
type Recording struct {
	archive.Entry
	Host     string // the directory's name: the certificate's, where the archive received it
	Signed   bool
	Verified bool // the page has checked it since it began
	Claimed  bool // another recording has the same id

	twice bool // its host has given the id to another, too
}

// Several is a name that more than one recording has.
type Several struct{ All []Recording }

func (e *Several) Error() string { return "more than one recording has that name" }

// Arriving says that only parts are here, and no manifest yet.
func (r Recording) Arriving() bool { return r.State.Arriving() }

// Person is who opened the session, as far as the recording names anybody.
func (r Recording) Person() manifest.Person { return r.Manifest.Session.Person() }

// ID is the recording's id, which other hosts may have given, too.
func (r Recording) ID() string { return r.Manifest.Session.ID }

// Name is the recording's name: its id and its host; where that host has given
// the id to another recording as well it says which.
func (r Recording) Name() string {
	n := archive.NameAt(r.Base())
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
	return manifest.Hash(append([]byte(r.Base()+"\n"), text...))
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

// Query is a query of a page's list. Its scope is what the auditor may see: the
// zero one is nothing.
type Query struct {
	archive.Query
	Scope  archive.Scope
	Before string // name of the last one of the page before
	Limit  int
}

// query is the archive's query.
func (q Query) query() archive.Query {
	q.Query.Scope = &q.Scope
	return q.Query
}

// Matches reports whether r is among what q selects, Before aside.
func (q Query) Matches(r Recording) bool {
	return q.query().Takes(r.Entry)
}
