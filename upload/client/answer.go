// SPDX-License-Identifier: AGPL-3.0-or-later

package client

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Refused is an error that no retry will change.
type Refused struct{ Err error }

func (r *Refused) Error() string { return r.Err.Error() }
func (r *Refused) Unwrap() error { return r.Err }

// Refused is for those who don't know the type.
func (r *Refused) Refused() bool { return true }

// Refuse makes a *Refused of a message.
func Refuse(format string, args ...any) error { return &Refused{fmt.Errorf(format, args...)} }

// IsRefused reports whether err is a *Refused.
func IsRefused(err error) bool {
	var r *Refused
	return errors.As(err, &r)
}

// Later is an error of a server that said when to come back.
type Later struct {
	Err error
	At  time.Time
}

func (l *Later) Error() string { return l.Err.Error() }
func (l *Later) Unwrap() error { return l.Err }

// ErrPaced says that it isn't this target's turn yet. It is no failure.
var ErrPaced = errors.New("waiting for its turn")

// maxAnswer bounds what is read of an answer.
const maxAnswer = 1 << 20

// ReadAnswer reads the body of an answer that is a message.
func ReadAnswer(resp *http.Response) []byte {
	text, _ := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	return text
}

// maxLater bounds what a server may ask us to wait: a day, against nonsense.
const maxLater = 24 * time.Hour

// NotTaken makes an error of an answer, with the time that the server named.
func NotTaken(resp *http.Response, text []byte, now time.Time) error {
	err := fmt.Errorf("the server answers %s%s", resp.Status, Said(text))
	if at := retryAt(resp.Header, now); at.After(now) {
		return &Later{err, at}
	}
	return err
}

// retryAt reads Retry-After (RFC 9110: seconds or a date) and, without it,
// x-ratelimit-reset (unix seconds).
func retryAt(h http.Header, now time.Time) time.Time {
	var at time.Time
	if v := h.Get("Retry-After"); v != "" {
		if s, err := strconv.Atoi(v); err == nil && s >= 0 {
			at = now.Add(min(maxLater, time.Duration(min(s, 1<<20))*time.Second))
		} else if t, err := http.ParseTime(v); err == nil {
			at = t
		}
	} else if s, err := strconv.ParseInt(h.Get("X-Ratelimit-Reset"), 10, 64); err == nil && h.Get("X-Ratelimit-Remaining") == "0" {
		at = time.Unix(s, 0)
	}
	if limit := now.Add(maxLater); at.After(limit) {
		return limit
	}
	return at
}

// Said returns what a server's answer says, for the end of a message.
func Said(text []byte) string {
	var j struct{ Error, Message, Type string }
	if json.Unmarshal(text, &j) == nil {
		text = []byte(strings.TrimSpace(j.Type + " " + j.Message + j.Error))
	}
	s := strings.TrimSpace(string(text))
	if s == "" {
		return ""
	}
	const enough = 200
	return fmt.Sprintf(": %.*q", enough, s)
}
