// SPDX-License-Identifier: AGPL-3.0-or-later

package receive

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
)

// Tickets signs for a bucket, so that hosts need no credential of it.
type Tickets interface {
	// Ticket returns a presigned PUT of the object and the headers that go with
	// it; no URL when the bucket has just this object. An error whose method
	// Refused says true means that other bytes are there.
	Ticket(ctx context.Context, path, sha256 string, bytes int64) (url string, header http.Header, err error)
}

// order is what a host asks a ticket for.
type order struct {
	User   string `json:"user"`
	Day    string `json:"day"` // 2026/11/21
	Name   string `json:"name"`
	SHA256 string `json:"sha256"`
	Bytes  int64  `json:"bytes"`
}

// maxOrder bounds an order: an account's name of 200 bytes, and small change.
const maxOrder = 4 << 10

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
	url, header, err := s.Tickets.Ticket(r.Context(), n.path(), o.SHA256, o.Bytes)
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
	s.log.Info("receive", "what", "ticket", "host", host, "path", rec.Path,
		"bytes", rec.Bytes, "sha256", rec.SHA256, "client", r.RemoteAddr, "status", http.StatusCreated, "why", "")
	writeJSON(w, http.StatusCreated, struct {
		Receipt
		URL     string            `json:"url"`
		Headers map[string]string `json:"headers"`
	}{rec, url, flat(header)})
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
	sum, err := hex.DecodeString(o.SHA256)
	switch {
	case err != nil || len(sum) != 32 || o.SHA256 != strings.ToLower(o.SHA256):
		return n, o, wrong("%q is no SHA-256", o.SHA256)
	case o.Bytes < 1:
		return n, o, wrong("%d bytes are no recording", o.Bytes)
	case o.Bytes > s.limits.Size:
		return n, o, errLarge
	}
	return n, o, nil
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
