// SPDX-License-Identifier: AGPL-3.0-or-later

package uploadtest

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/xml"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"castgate/upload/manifest"
)

// S3Server is a strict stand-in for S3: it checks the signature by itself
// (AWS Signature Version 4, from its documentation), the hash that was signed,
// the checksum, If-None-Match and the lock's headers, and keeps objects in
// memory. Real servers are in s3_servers_test.go.
type S3Server struct {
	Secret string
	Locked bool // the bucket demands a lock
	Skew   time.Duration

	Mu      sync.Mutex
	Objects map[string][]byte
	Sums    map[string]string
	Locks   map[string]string
	Uploads map[string]*S3Upload
	Parts   int // that were put
}

type S3Upload struct {
	key   string
	Begun time.Time
	Parts map[int][]byte
}

func NewS3Server() *S3Server {
	return &S3Server{Secret: "testsecret", Objects: map[string][]byte{}, Sums: map[string]string{}, Locks: map[string]string{}, Uploads: map[string]*S3Upload{}}
}

func (s *S3Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	now := time.Now().Add(s.Skew)
	w.Header().Set("Date", now.UTC().Format(http.TimeFormat))
	body, err := io.ReadAll(r.Body)
	if err != nil {
		s.Fail(w, 400, "IncompleteBody")
		return
	}
	if code := s.authorize(r, now); code != "" {
		s.Fail(w, 403, code)
		return
	}
	if !r.URL.Query().Has("X-Amz-Signature") && r.Header.Get("X-Amz-Content-Sha256") != manifest.Hash(body) {
		s.Fail(w, 400, "XAmzContentSHA256Mismatch")
		return
	}
	s.Mu.Lock()
	defer s.Mu.Unlock()
	key, ok := strings.CutPrefix(r.URL.Path, "/recordings/")
	if !ok && r.URL.Path != "/recordings" {
		s.Fail(w, 404, "NoSuchBucket")
		return
	}
	q := r.URL.Query()
	switch {
	case r.Method == "PUT" && q.Has("partNumber"):
		s.putPart(w, r, key, q, body)
	case r.Method == "POST" && q.Has("uploads"):
		if !s.locked(w, r, key) {
			return
		}
		id := fmt.Sprintf("upload-%d", len(s.Uploads))
		s.Uploads[id] = &S3Upload{key, now, map[int][]byte{}}
		fmt.Fprintf(w, "<InitiateMultipartUploadResult><UploadId>%s</UploadId></InitiateMultipartUploadResult>", id)
	case r.Method == "POST" && q.Has("uploadId"):
		s.complete(w, r, key, q.Get("uploadId"), body)
	case r.Method == "GET" && q.Get("list-type") == "2":
		s.list(w, q)
	case r.Method == "GET" && q.Has("uploads"):
		s.listUploads(w, q.Get("prefix"))
	case r.Method == "GET" && q.Has("uploadId"):
		s.listParts(w, q)
	case r.Method == "DELETE" && strings.Contains(key, "/.castgate/live/"): // and nothing else, ever
		delete(s.Objects, key)
		w.WriteHeader(http.StatusNoContent)
	case r.Method == "PUT":
		s.put(w, r, key, body)
	case r.Method == "GET" || r.Method == "HEAD":
		s.get(w, r, key)
	default:
		s.Fail(w, 405, "MethodNotAllowed")
	}
}

// Fail answers with an error.
func (s *S3Server) Fail(w http.ResponseWriter, status int, code string) {
	w.WriteHeader(status)
	fmt.Fprintf(w, "<?xml version=\"1.0\"?>\n<Error><Code>%s</Code><Message>because</Message></Error>", code)
}

func (s *S3Server) put(w http.ResponseWriter, r *http.Request, key string, body []byte) {
	sum := Base64Sum(manifest.Hash(body))
	if got := r.Header.Get("X-Amz-Checksum-Sha256"); got != sum {
		s.Fail(w, 400, "BadDigest")
		return
	}
	if r.Header.Get("If-None-Match") != "*" {
		s.Fail(w, 400, "TestWantsIfNoneMatch")
		return
	}
	if _, there := s.Objects[key]; there {
		s.Fail(w, 412, "PreconditionFailed")
		return
	}
	if !s.locked(w, r, key) {
		return
	}
	s.Objects[key], s.Sums[key] = body, sum
	w.Header().Set("X-Amz-Checksum-Sha256", sum)
}

func (s *S3Server) locked(w http.ResponseWriter, r *http.Request, key string) bool {
	if !s.Locked {
		return true
	}
	until, err := time.Parse(time.RFC3339, r.Header.Get("X-Amz-Object-Lock-Retain-Until-Date"))
	if r.Header.Get("X-Amz-Object-Lock-Mode") != "COMPLIANCE" || err != nil || !until.After(time.Now().Add(s.Skew)) {
		s.Fail(w, 400, "InvalidRequest")
		return false
	}
	s.Locks[key] = until.Format(time.RFC3339)
	return true
}

// list gives two keys at a time.
func (s *S3Server) list(w http.ResponseWriter, q url.Values) {
	var keys []string
	for key := range s.Objects {
		if strings.HasPrefix(key, q.Get("prefix")) && key > q.Get("continuation-token") {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	cut := len(keys) > 2
	keys = keys[:min(2, len(keys))]
	fmt.Fprint(w, "<ListBucketResult>")
	for _, key := range keys {
		fmt.Fprintf(w, "<Contents><Key>%s</Key><Size>%d</Size></Contents>", key, len(s.Objects[key]))
	}
	if cut {
		fmt.Fprintf(w, "<IsTruncated>true</IsTruncated><NextContinuationToken>%s</NextContinuationToken>", keys[1])
	}
	fmt.Fprint(w, "</ListBucketResult>")
}

func (s *S3Server) get(w http.ResponseWriter, r *http.Request, key string) {
	body, there := s.Objects[key]
	if !there {
		s.Fail(w, 404, "NoSuchKey")
		return
	}
	if r.Header.Get("X-Amz-Checksum-Mode") == "ENABLED" && s.Sums[key] != "" {
		w.Header().Set("X-Amz-Checksum-Sha256", s.Sums[key])
	}
	w.Header().Set("Last-Modified", time.Now().UTC().Format(http.TimeFormat))
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	if r.Method == "GET" {
		_, _ = w.Write(body)
	}
}

func (s *S3Server) putPart(w http.ResponseWriter, r *http.Request, key string, q url.Values, body []byte) {
	u := s.Uploads[q.Get("uploadId")]
	n, err := strconv.Atoi(q.Get("partNumber"))
	switch {
	case u == nil || u.key != key:
		s.Fail(w, 404, "NoSuchUpload")
	case err != nil || n < 1 || n > 10000:
		s.Fail(w, 400, "InvalidArgument")
	case r.Header.Get("X-Amz-Checksum-Sha256") != Base64Sum(manifest.Hash(body)):
		s.Fail(w, 400, "BadDigest")
	default:
		u.Parts[n] = body
		s.Parts++
		w.Header().Set("ETag", fmt.Sprintf("%q", manifest.Hash(body)[:32]))
	}
}

func (s *S3Server) complete(w http.ResponseWriter, r *http.Request, key, id string, body []byte) {
	u := s.Uploads[id]
	var order struct {
		Part []struct {
			PartNumber           int
			ETag, ChecksumSHA256 string
		}
	}
	if err := xml.Unmarshal(body, &order); err != nil || u == nil || u.key != key || len(order.Part) != len(u.Parts) {
		s.Fail(w, 400, "InvalidPart")
		return
	}
	if _, there := s.Objects[key]; there && r.Header.Get("If-None-Match") == "*" {
		s.Fail(w, 412, "PreconditionFailed")
		return
	}
	var all []byte
	var sums []string
	for i, p := range order.Part {
		data := u.Parts[p.PartNumber]
		if p.PartNumber != i+1 || strings.Trim(p.ETag, `"`) != manifest.Hash(data)[:32] || p.ChecksumSHA256 != Base64Sum(manifest.Hash(data)) {
			s.Fail(w, 400, "InvalidPart")
			return
		}
		all = append(all, data...)
		sums = append(sums, p.ChecksumSHA256)
	}
	s.Objects[key], s.Sums[key] = all, composite(sums)
	delete(s.Uploads, id)
	fmt.Fprint(w, "<CompleteMultipartUploadResult><Bucket>recordings</Bucket></CompleteMultipartUploadResult>")
}

func (s *S3Server) listUploads(w http.ResponseWriter, prefix string) {
	fmt.Fprint(w, "<ListMultipartUploadsResult>")
	for id, u := range s.Uploads {
		if strings.HasPrefix(u.key, prefix) {
			fmt.Fprintf(w, "<Upload><Key>%s</Key><UploadId>%s</UploadId><Initiated>%s</Initiated></Upload>", u.key, id, u.Begun.UTC().Format("2006-01-02T15:04:05.000Z"))
		}
	}
	fmt.Fprint(w, "</ListMultipartUploadsResult>")
}

// listParts gives two at a time.
func (s *S3Server) listParts(w http.ResponseWriter, q url.Values) {
	u := s.Uploads[q.Get("uploadId")]
	after, _ := strconv.Atoi(q.Get("part-number-marker"))
	var numbers []int
	for n := range u.Parts {
		if n > after {
			numbers = append(numbers, n)
		}
	}
	slices.Sort(numbers)
	cut := len(numbers) > 2
	numbers = numbers[:min(2, len(numbers))]
	fmt.Fprint(w, "<ListPartsResult>")
	for _, n := range numbers {
		data := u.Parts[n]
		fmt.Fprintf(w, "<Part><PartNumber>%d</PartNumber><ETag>&quot;%s&quot;</ETag><Size>%d</Size><ChecksumSHA256>%s</ChecksumSHA256></Part>",
			n, manifest.Hash(data)[:32], len(data), Base64Sum(manifest.Hash(data)))
		after = n
	}
	fmt.Fprintf(w, "<IsTruncated>%v</IsTruncated><NextPartNumberMarker>%d</NextPartNumberMarker></ListPartsResult>", cut, after)
}

// authorize checks the Authorization header, "" is yes.
func (s *S3Server) authorize(r *http.Request, now time.Time) string {
	if r.URL.Query().Has("X-Amz-Signature") {
		return s.authorizeTicket(r, now)
	}
	rest, ok := strings.CutPrefix(r.Header.Get("Authorization"), "AWS4-HMAC-SHA256 ")
	fields := map[string]string{}
	for f := range strings.SplitSeq(rest, ", ") {
		k, v, _ := strings.Cut(f, "=")
		fields[k] = v
	}
	scope := strings.Split(fields["Credential"], "/")
	if !ok || len(scope) != 5 || scope[0] != "testkey" {
		return "InvalidAccessKeyId"
	}
	at, err := time.Parse("20060102T150405Z", r.Header.Get("X-Amz-Date"))
	if err != nil || at.Sub(now).Abs() > 15*time.Minute {
		return "RequestTimeTooSkewed"
	}
	canonical := canonicalRequest(r, strings.Split(fields["SignedHeaders"], ";"), r.Header.Get("X-Amz-Content-Sha256"))
	for _, must := range []string{"host", "x-amz-content-sha256", "x-amz-date"} {
		if !slices.Contains(strings.Split(fields["SignedHeaders"], ";"), must) {
			return "AccessDenied"
		}
	}
	text := strings.Join([]string{"AWS4-HMAC-SHA256", r.Header.Get("X-Amz-Date"), strings.Join(scope[1:], "/"), manifest.Hash([]byte(canonical))}, "\n")
	key := []byte("AWS4" + s.Secret)
	for _, part := range scope[1:] {
		key = mac(key, part)
	}
	if hex.EncodeToString(mac(key, text)) != fields["Signature"] {
		return "SignatureDoesNotMatch"
	}
	return ""
}

// authorizeTicket checks a presigned URL, "" is yes.
func (s *S3Server) authorizeTicket(r *http.Request, now time.Time) string {
	q := r.URL.Query()
	scope := strings.Split(q.Get("X-Amz-Credential"), "/")
	if q.Get("X-Amz-Algorithm") != "AWS4-HMAC-SHA256" || len(scope) != 5 || scope[0] != "testkey" {
		return "InvalidAccessKeyId"
	}
	at, err := time.Parse("20060102T150405Z", q.Get("X-Amz-Date"))
	life, lifeErr := strconv.Atoi(q.Get("X-Amz-Expires"))
	if err != nil || lifeErr != nil || life > 300 || now.After(at.Add(time.Duration(life)*time.Second)) || at.Sub(now) > 15*time.Minute {
		return "AccessDenied"
	}
	signed := strings.Split(q.Get("X-Amz-SignedHeaders"), ";")
	musts := []string{"host", "content-length", "x-amz-checksum-sha256"}
	if !q.Has("partNumber") { // an upload in parts was given its lock when it was begun
		musts = append(musts, "if-none-match", "x-amz-object-lock-mode", "x-amz-object-lock-retain-until-date")
	}
	for _, must := range musts {
		if !slices.Contains(signed, must) {
			return "TestWantsSigned-" + must
		}
	}
	text := strings.Join([]string{"AWS4-HMAC-SHA256", q.Get("X-Amz-Date"), strings.Join(scope[1:], "/"), manifest.Hash([]byte(canonicalRequest(r, signed, "UNSIGNED-PAYLOAD")))}, "\n")
	key := []byte("AWS4" + s.Secret)
	for _, part := range scope[1:] {
		key = mac(key, part)
	}
	if hex.EncodeToString(mac(key, text)) != q.Get("X-Amz-Signature") {
		return "SignatureDoesNotMatch"
	}
	return ""
}

func canonicalRequest(r *http.Request, signed []string, payload string) string {
	var query []string
	for k, vs := range r.URL.Query() {
		for _, v := range vs {
			if k == "X-Amz-Signature" {
				continue
			}
			query = append(query, awsEscape(k)+"="+awsEscape(v))
		}
	}
	slices.Sort(query)
	lines := []string{r.Method, r.URL.EscapedPath(), strings.Join(query, "&")}
	for _, h := range signed {
		v := r.Header.Get(h)
		switch h {
		case "host":
			v = r.Host
		case "content-length":
			v = strconv.FormatInt(r.ContentLength, 10)
		}
		lines = append(lines, h+":"+strings.TrimSpace(v))
	}
	return strings.Join(append(lines, "", strings.Join(signed, ";"), payload), "\n")
}

func awsEscape(s string) string { return strings.ReplaceAll(url.QueryEscape(s), "+", "%20") }

func mac(key []byte, text string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(text))
	return h.Sum(nil)
}

func sumOf(p []byte) string {
	s := sha256.Sum256(p)
	return base64.StdEncoding.EncodeToString(s[:])
}

// Base64Sum writes a hash as S3 does.
func Base64Sum(hexSum string) string {
	sum, _ := hex.DecodeString(hexSum)
	return base64.StdEncoding.EncodeToString(sum)
}

// composite is the checksum of an object in parts: that of their checksums, and
// how many they are.
func composite(sums []string) string {
	h := sha256.New()
	for _, s := range sums {
		raw, _ := base64.StdEncoding.DecodeString(s)
		h.Write(raw)
	}
	return base64.StdEncoding.EncodeToString(h.Sum(nil)) + "-" + strconv.Itoa(len(sums))
}

// Lister adds ListObjectsV2, in pages of three, to the stand-in for S3.
type Lister struct{ *S3Server }

func (l Lister) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	if r.Method != "GET" || q.Get("list-type") != "2" {
		l.S3Server.ServeHTTP(w, r)
		return
	}
	now := time.Now().Add(l.Skew)
	w.Header().Set("Date", now.UTC().Format(http.TimeFormat))
	if code := l.authorize(r, now); code != "" {
		l.Fail(w, 403, code)
		return
	}
	l.Mu.Lock()
	defer l.Mu.Unlock()
	seen := map[string]string{}
	for key := range l.Objects {
		rest, ok := strings.CutPrefix(key, q.Get("prefix"))
		if !ok {
			continue
		}
		if dir, _, found := strings.Cut(rest, q.Get("delimiter")); found {
			seen[q.Get("prefix")+dir+"/"] = "dir"
		} else {
			seen[key] = "object"
		}
	}
	names := slices.Sorted(maps.Keys(seen))
	names = slices.DeleteFunc(names, func(s string) bool { return s <= q.Get("continuation-token") })
	page := 3
	if q.Get("max-keys") != "" {
		_, _ = fmt.Sscan(q.Get("max-keys"), &page)
	}
	fmt.Fprintf(w, "<ListBucketResult><IsTruncated>%v</IsTruncated>", len(names) > page)
	if len(names) > page {
		names = names[:page]
		fmt.Fprint(w, "<NextContinuationToken>", xmlText(names[page-1]), "</NextContinuationToken>")
	}
	for _, n := range names {
		if seen[n] == "dir" {
			fmt.Fprintf(w, "<CommonPrefixes><Prefix>%s</Prefix></CommonPrefixes>", xmlText(n))
		} else {
			fmt.Fprintf(w, "<Contents><Key>%s</Key><Size>%d</Size><LastModified>2026-11-20T10:00:00.000Z</LastModified></Contents>", xmlText(n), len(l.Objects[n]))
		}
	}
	fmt.Fprint(w, "</ListBucketResult>")
}

func xmlText(s string) string {
	var b strings.Builder
	_ = xml.EscapeText(&b, []byte(s))
	return b.String()
}
