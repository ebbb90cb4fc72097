// SPDX-License-Identifier: AGPL-3.0-or-later

package receive

import (
	"io"

	"castgate/upload/manifest"
)

// newSum counts and hashes what is stored. Its errors are the store's, not the
// sender's.
func newSum(w io.Writer) *manifest.Hasher { return manifest.NewHasher(storeWriter{w}) }

type storeWriter struct{ io.Writer }

func (s storeWriter) Write(p []byte) (int, error) {
	n, err := s.Writer.Write(p)
	if err != nil {
		err = &storeError{err}
	}
	return n, err
}
