// SPDX-License-Identifier: AGPL-3.0-or-later

// Package hint ties advice to an error: what an administrator can do about it.
// Whoever prints or logs the error finds the advice with Of and shows it beside
// the error, on a line or in a field of its own.
package hint

import "errors"

type hinted struct {
	error
	hint string
}

func (h *hinted) Unwrap() error { return h.error }

// Hint is the advice.
func (h *hinted) Hint() string { return h.hint }

// New returns err with advice.
func New(err error, advice string) error { return &hinted{err, advice} }

// Of returns the outermost advice in err's chain, "" when there is none.
func Of(err error) string {
	var h interface{ Hint() string }
	if errors.As(err, &h) {
		return h.Hint()
	}
	return ""
}
