// SPDX-License-Identifier: AGPL-3.0-or-later

// Package hint gives an error advice for the administrator, which the command
// prints on a line of its own. It is the one such type below keys: whoever has
// the error finds the advice by its method Hint.
package hint

import "fmt"

type hinted struct {
	error
	advice string
}

func (h *hinted) Unwrap() error { return h.error }

func (h *hinted) Hint() string { return h.advice }

// Add returns err with the advice.
func Add(err error, format string, args ...any) error {
	return &hinted{err, fmt.Sprintf(format, args...)}
}
