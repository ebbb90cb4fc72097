// SPDX-License-Identifier: AGPL-3.0-or-later

// Package hint gives errors advice: what their reader can do about them. The
// commands print it on a line of its own.
package hint

import "errors"

type hinted struct {
	error
	advice string
}

func (h *hinted) Unwrap() error { return h.error }
func (h *hinted) Hint() string  { return h.advice }

// Add returns err with advice.
func Add(err error, advice string) error { return &hinted{err, advice} }

// Of returns the advice of an error, "" where it has none.
func Of(err error) string {
	var h interface{ Hint() string }
	if errors.As(err, &h) {
		return h.Hint()
	}
	return ""
}
