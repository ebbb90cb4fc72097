// SPDX-License-Identifier: AGPL-3.0-or-later

package client

import "io"

// Piped runs write beside a request whose body it makes. end, called after the
// answer, stops it and returns how it went: an answer that came before the
// whole body was sent is no receipt for it.
func Piped(write func(w io.Writer) error) (body *io.PipeReader, end func() error) {
	body, sink := io.Pipe()
	done := make(chan error, 1)
	go func() {
		err := write(sink)
		sink.CloseWithError(err)
		done <- err
	}()
	return body, func() error {
		body.Close()
		return <-done
	}
}
