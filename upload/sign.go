// SPDX-License-Identifier: AGPL-3.0-or-later

package upload

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"castgate/upload/manifest"
	"castgate/wrap/hint"
)

// loadSigner reads the host's signing key. A key that is configured and missing
// stops the uploader: unsigned manifests would look like forged ones for ever.
func loadSigner(path string) (*manifest.Signer, error) {
	if path == "" {
		return nil, nil
	}
	pem, err := os.ReadFile(path)
	if err == nil {
		var s *manifest.Signer
		if s, err = manifest.NewSigner(pem); err == nil {
			return s, nil
		}
		err = fmt.Errorf("%q: %w", path, err)
	}
	advice := "castgate-upload signs with an ed25519 key without a passphrase"
	switch {
	case errors.Is(err, fs.ErrNotExist):
		advice = fmt.Sprintf("ssh-keygen -q -t ed25519 -N '' -C castgate -f %s && chgrp castgate-upload %s && chmod 0640 %s", path, path, path)
	case errors.Is(err, fs.ErrPermission):
		advice = "the key belongs to root:castgate-upload, mode 0640"
	}
	return nil, hint.Add(fmt.Errorf("read the signing key: %w", err), advice)
}
