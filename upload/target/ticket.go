// SPDX-License-Identifier: AGPL-3.0-or-later

package target

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"castgate/upload/bucket"
	"castgate/upload/client"
	"castgate/upload/manifest"
	"castgate/wrap/hint"
)

// ticket puts objects into a bucket without a credential. For each it
// asks the archive (POST /v1/tickets), which answers with a receipt when the
// bucket has the object, and else with a presigned PUT of the object or, when
// it is too large for one, of the part that is missing next. After the PUT it
// asks again: the archive has looked at the bucket, and its word is the receipt.
type ticket struct {
	bucket  *bucket.Bucket // where tickets must lead to; it has no credential
	archive *archive
}

func newTicket(c S3Config, b *bucket.Bucket) (Target, error) {
	if c.CredentialsFile != "" || c.Retain != 0 {
		return nil, errors.New("s3.ticket: excludes credentials_file and retain, which are the archive's")
	}
	a, err := newArchive(*c.Ticket)
	if err != nil {
		return nil, fmt.Errorf("s3.ticket: %w", err)
	}
	return &ticket{b, a.(*archive)}, nil
}

func (t *ticket) Name() string { return "s3:" + t.bucket.String() }

// Deliver implements Target.
func (t *ticket) Deliver(ctx context.Context, d *Delivery) (Receipt, error) {
	if err := t.archive.ours(d.Manifest.Session.Host); err != nil {
		return Receipt{}, err
	}
	where := ""
	for _, o := range d.objects() {
		at, err := t.store(ctx, d.Manifest, o)
		if err != nil {
			return Receipt{}, err
		}
		if where == "" {
			where = t.bucket.Where(at)
		}
	}
	return Receipt{d.Manifest.Stored.SHA256, d.Manifest.Stored.Bytes, where}, nil
}

func (t *ticket) store(ctx context.Context, m *manifest.Manifest, o object) (at string, err error) {
	parts, err := t.bucket.Parts.Sums(o.Object)
	if err != nil {
		return "", fmt.Errorf("%s: %w", o.suffix, err)
	}
	for last := -1; ; {
		answer, err := t.ask(ctx, m, o, parts)
		switch {
		case err != nil || answer.URL == "":
			return answer.Path, err
		case answer.Part <= last: // they come in their order; 0 is the whole
			return "", fmt.Errorf("the bucket took %s, but the archive does not find it there", o.suffix)
		}
		if err := t.put(ctx, answer, o); err != nil {
			return "", err
		}
		last = answer.Part
	}
}

// ticketQuestion asks for a ticket.
type ticketQuestion struct {
	User   string   `json:"user"`
	Day    string   `json:"day"`
	Name   string   `json:"name"`
	SHA256 string   `json:"sha256"`
	Bytes  int64    `json:"bytes"`
	Parts  []string `json:"parts,omitempty"` // sums; none when the object goes whole
}

// ticketAnswer is a ticket, or a receipt when it has no URL.
type ticketAnswer struct {
	URL     string            `json:"url"`
	Headers map[string]string `json:"headers"`
	SHA256  string            `json:"sha256"`
	Bytes   int64             `json:"bytes"`
	Path    string            `json:"path"`
	Part    int               `json:"part"` // 0: the whole object
}

func (t *ticket) ask(ctx context.Context, m *manifest.Manifest, o object, parts []string) (answer ticketAnswer, err error) {
	user, _, _ := strings.Cut(m.Dir(), "/")
	text, err := json.Marshal(ticketQuestion{user, m.Start.UTC().Format("2006/01/02"), m.Session.ID + o.suffix, o.SHA256, o.Bytes, parts})
	if err != nil {
		return answer, err
	}
	r, err := http.NewRequest(http.MethodPost, t.archive.url.JoinPath("v1/tickets").String(), bytes.NewReader(text))
	if err != nil {
		return answer, err
	}
	resp, err := client.Do(ctx, t.archive.client, r)
	if err != nil {
		return answer, fmt.Errorf("ask for a ticket: %w", err)
	}
	defer resp.Body.Close()
	said := client.ReadAnswer(resp)
	switch resp.StatusCode {
	case http.StatusOK, http.StatusCreated:
		return t.read(said, o, len(parts))
	case http.StatusBadRequest, http.StatusConflict, http.StatusRequestEntityTooLarge:
		return answer, &Refused{Err: fmt.Errorf("ask for a ticket: %w", client.NotTaken(resp, said, time.Now()))}
	}
	return answer, fmt.Errorf("ask for a ticket: %w", client.NotTaken(resp, said, time.Now()))
}

// read takes an answer that is about this object, and whose URL, if any, leads
// to the bucket that upload.yaml names.
func (t *ticket) read(text []byte, o object, parts int) (answer ticketAnswer, err error) {
	if err := json.Unmarshal(text, &answer); err != nil {
		return answer, fmt.Errorf("the archive's ticket can't be read: %w", err)
	}
	if answer.SHA256 != o.SHA256 || answer.Bytes != o.Bytes || answer.Path == "" {
		return answer, fmt.Errorf("the archive's ticket is for %d bytes with SHA-256 %q, not for %d with %s", answer.Bytes, answer.SHA256, o.Bytes, o.SHA256)
	}
	if answer.URL == "" {
		return answer, nil
	}
	if answer.Part < min(1, parts) || answer.Part > parts {
		return answer, fmt.Errorf("the archive's ticket is for part %d of %d", answer.Part, parts)
	}
	if !t.bucket.LeadsTo(answer.URL, answer.Path) {
		return answer, hint.Add(
			errors.New("the archive's ticket leads elsewhere than to the bucket of this target"),
			"endpoint, bucket, prefix and path_style are those of receive.tickets in the archive's archive.yaml",
		)
	}
	return answer, nil
}

// put uses a ticket.
func (t *ticket) put(ctx context.Context, answer ticketAnswer, o object) error {
	piece := o.Object
	if answer.Part > 0 {
		piece = t.bucket.Parts.Section(piece, answer.Part-1)
	}
	if err := t.bucket.Use(ctx, answer.URL, answer.Headers, piece); err != nil {
		return fmt.Errorf("put %s: %w", answer.Path, err)
	}
	return nil
}
