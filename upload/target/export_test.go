// SPDX-License-Identifier: AGPL-3.0-or-later

package target

import (
	"context"
	"net/http"
	"net/url"
	"time"

	"castgate/upload/bucket"
	"castgate/upload/manifest"
)

// What the tests reach into: they stand outside, for the places that they share
// with the uploader's.
type (
	TicketTarget = ticket
	TicketAnswer = ticketAnswer
	Object       = object
)

func BucketOf(t Target) *bucket.Bucket {
	if byTicket, ok := t.(*ticket); ok {
		return byTicket.bucket
	}
	return t.(*s3).bucket
}

func ClientOf(t Target) *http.Client { return t.(*archive).client }

func IsBucket(t Target) bool { _, is := t.(*s3); return is }

func (d *Delivery) Objects() []Object { return d.objects() }

func (o object) Suffix() string { return o.suffix }

func InMemory(suffix string, p []byte) Object { return inMemory(suffix, p) }

func (t *ticket) Ask(ctx context.Context, m *manifest.Manifest, o Object, parts []string) (TicketAnswer, error) {
	return t.ask(ctx, m, o, parts)
}

func (t *ticket) Store(ctx context.Context, m *manifest.Manifest, o Object) (string, error) {
	return t.store(ctx, m, o)
}

func (t *ticket) Archive() string { return t.archive.url.String() }

// PaceOf is the target's turn, of a server at that host.
func PaceOf(host string) func(now time.Time) error {
	return (&asciinema{url: &url.URL{Host: host}}).turn
}

// Move has an asciinema target go by another name of its server.
func Move(t Target, change func(host string) string) {
	at := t.(*asciinema)
	u := *at.url
	u.Host = change(u.Host)
	at.url = &u
}

// TTYSpyHeaders are those of a session whose account has that full name.
func TTYSpyHeaders(s *manifest.Session, gecos string) http.Header {
	h := http.Header{}
	(&ttyspy{gecos: func(string) string { return gecos }}).headers(h, s)
	return h
}

// OfBucket delivers to a bucket that is open already.
func OfBucket(b *bucket.Bucket) Target { return &s3{b} }

// SetBucket has tickets lead to another bucket.
func SetBucket(t Target, b *bucket.Bucket) { t.(*ticket).bucket = b }

// SetArchive has another archive asked for tickets.
func SetArchive(t, a Target) { t.(*ticket).archive = a.(*archive) }
