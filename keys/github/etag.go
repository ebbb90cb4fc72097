// SPDX-License-Identifier: AGPL-3.0-or-later

package github

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"strconv"

	"castgate/keys/files"
	"castgate/keys/known"
)

// etags keeps answers with their ETags, so that asking again costs nothing of
// the rate limit: GitHub does not count a 304. An ETag depends on the token,
// so the name of an entry is a hash over the URL, Accept and Authorization: a
// new token misses, and does not mix its answers with those of the old one.
// Entries hold who is in a team and are readable by castgate-keys only; the
// token is in none of them.
type etags struct {
	cache *files.Dir // nil keeps nothing
}

type etagEntry struct {
	ETag string          `json:"etag"`
	Link string          `json:"link,omitempty"`
	Body json.RawMessage `json:"body"` // damaged on the disk, it does not load
}

func etagName(req *http.Request) string {
	h := sha256.New()
	for _, s := range []string{req.URL.String(), req.Header.Get("Accept"), req.Header.Get("Authorization")} {
		h.Write([]byte(strconv.Itoa(len(s)) + ":" + s))
	}
	return known.ETags + "/" + hex.EncodeToString(h.Sum(nil)[:20])
}

func (e *etags) before(req *http.Request) *etagEntry {
	if e == nil || e.cache == nil || req.Method != http.MethodGet {
		return nil
	}
	var entry etagEntry
	if !e.cache.Load(etagName(req), &entry) || entry.ETag == "" {
		return nil
	}
	req.Header.Set("If-None-Match", entry.ETag)
	return &entry
}

func (e *etags) after(req *http.Request, resp *http.Response, body []byte) {
	etag := resp.Header.Get("Etag")
	if e == nil || e.cache == nil || req.Method != http.MethodGet || etag == "" || resp.StatusCode != http.StatusOK {
		return
	}
	_ = e.cache.Save(etagName(req), 0o600, etagEntry{ETag: etag, Link: resp.Header.Get("Link"), Body: body})
}

// response is the answer that the 304 stands for: the stored body, with the
// fresh headers (they carry the rate limit).
func (e *etagEntry) response(req *http.Request, notModified *http.Response) *http.Response {
	h := notModified.Header.Clone()
	h.Set("Content-Type", "application/json")
	if h.Get("Link") == "" && e.Link != "" {
		h.Set("Link", e.Link)
	}
	return &http.Response{
		Status: "200 OK", StatusCode: http.StatusOK, Proto: notModified.Proto,
		Header: h, Request: req, ContentLength: int64(len(e.Body)),
		Body: io.NopCloser(bytes.NewReader(e.Body)),
	}
}
