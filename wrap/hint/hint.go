// SPDX-License-Identifier: AGPL-3.0-or-later

// Package hint ties advice to an error: what an administrator can do about it.
// Whoever prints or logs the error finds the advice with Of and shows it beside
// the error, on a line or in a field of its own. An error type that always
// has the same advice gives it by a method Hint() string instead.
package hint

import (
	"errors"
	"fmt"
)

type hinted struct {
	error
	advice string
}

func (h *hinted) Unwrap() error { return h.error }

// Hint is the advice.
func (h *hinted) Hint() string { return h.advice }

// Add returns err with advice; nil stays nil.
func Add(err error, advice string) error {
	if err == nil {
		return nil
	}
	return &hinted{err, advice}
}

// Addf is Add with advice that fmt.Sprintf makes.
func Addf(err error, format string, args ...any) error {
	return Add(err, fmt.Sprintf(format, args...))
}

// Of returns the outermost advice in err's chain, "" when there is none.
func Of(err error) string {
	var h interface{ Hint() string }
	if errors.As(err, &h) {
		return h.Hint()
	}
	return ""
}
