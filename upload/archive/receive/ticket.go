// SPDX-License-Identifier: AGPL-3.0-or-later

package receive

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"castgate/upload/manifest"
)

// Tickets signs for a bucket, so that hosts need no credential of it.
type Tickets interface {
	// Ticket returns a presigned PUT of the object, or of the part of it that is
	// missing next (from 1; parts has their SHA-256 in base64), and the headers
	// that go with it; no URL when the bucket has just this object. An error
	// whose method Refused says true will not pass: other bytes are there, or
	// the parts are no way to cut it.
	Ticket(ctx context.Context, path string, o manifest.Object, parts []string) (url string, header http.Header, part int, err error)
}

// order is what a host asks a ticket for.
type order struct {
	User   string `json:"user"`
	Day    string `json:"day"` // 2026/11/21
	Name   string `json:"name"`
	SHA256 string `json:"sha256"`
	Bytes  int64  `json:"bytes"`

	Parts []string `json:"parts"` // SHA-256 of each, of an object that is too large for one PUT
}

const (
	// maxParts is S3's.
	maxParts = 10000
	// maxOrder bounds an order: an account's name of 200 bytes, small change,
	// and the parts' hashes.
	maxOrder = 4<<10 + maxParts*48
)

// ticket answers 201 with a ticket, or 200 with a receipt. The host in the
// object's name is the certificate's, as with everything here: a host can put
// things under its own name only.
func (s *Server) ticket(w http.ResponseWriter, r *http.Request) {
	host := hostOf(r.Context())
	n, o, err := s.order(w, r, host)
	if err != nil {
		s.refuse(w, r, host, err)
		return
	}
	url, header, part, err := s.Tickets.Ticket(r.Context(), n.path(), manifest.Object{Bytes: o.Bytes, SHA256: o.SHA256}, o.Parts)
	if err != nil {
		var other interface{ Refused() bool }
		if errors.As(err, &other) && other.Refused() {
			err = &refusal{http.StatusConflict, err}
		}
		s.refuse(w, r, host, err)
		return
	}
	rec := Receipt{o.SHA256, o.Bytes, n.path()}
	if url == "" {
		s.receipt(w, r, false, rec)
		return
	}
	s.log.Info("receive", "what", "ticket", "host", host, "path", rec.Path, "part", part,
		"bytes", rec.Bytes, "sha256", rec.SHA256, "client", r.RemoteAddr, "status", http.StatusCreated, "why", "")
	writeJSON(w, http.StatusCreated, struct {
		Receipt
		Part    int               `json:"part,omitempty"`
		URL     string            `json:"url"`
		Headers map[string]string `json:"headers"`
	}{rec, part, url, flat(header)})
}

func (s *Server) order(w http.ResponseWriter, r *http.Request, host string) (n name, o order, err error) {
	if s.Tickets == nil {
		return n, o, &refusal{http.StatusNotFound, errors.New("this archive gives no tickets")}
	}
	in := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxOrder))
	in.DisallowUnknownFields()
	if err := in.Decode(&o); err != nil {
		return n, o, bodyError(fmt.Errorf("the order: %w", err))
	}
	day := strings.Split(o.Day, "/")
	if len(day) != 3 {
		return n, o, wrong("%q is no day", o.Day)
	}
	if n, err = parseName(host, o.User, day[0], day[1], day[2], o.Name); err != nil {
		return n, o, &refusal{http.StatusBadRequest, err}
	}
	return n, o, o.check(s.limits.Size)
}

// check bounds what may be ordered: limit is that of one PUT.
func (o order) check(limit int64) error {
	sum, err := hex.DecodeString(o.SHA256)
	switch {
	case err != nil || len(sum) != 32 || o.SHA256 != strings.ToLower(o.SHA256):
		return wrong("%q is no SHA-256", o.SHA256)
	case o.Bytes < 1:
		return wrong("%d bytes are no recording", o.Bytes)
	case o.Bytes > limit && len(o.Parts) == 0, len(o.Parts) > maxParts:
		return errLarge
	}
	for _, p := range o.Parts {
		if sum, err := base64.StdEncoding.Strict().DecodeString(p); err != nil || len(sum) != 32 || len(p) != 44 {
			return wrong("part %q is no SHA-256 in base64", p)
		}
	}
	return nil
}

// flat is for JSON: none of the headers has two values. The length and the host
// are the client's to send anyway.
func flat(header http.Header) map[string]string {
	out := map[string]string{}
	for k, v := range header {
		if k != "Host" && k != "Content-Length" {
			out[k] = strings.Join(v, ",")
		}
	}
	return out
}
