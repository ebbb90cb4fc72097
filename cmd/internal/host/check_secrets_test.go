// SPDX-License-Identifier: AGPL-3.0-or-later

package host

import (
	"errors"
	"slices"
	"testing"

	"castgate/upload"
	"castgate/upload/target"
)

func TestSecretsOfTargets(t *testing.T) {
	for name, tt := range map[string]struct {
		target target.Config
		want   string
	}{
		"bucket":            {target.Config{S3: &target.S3Config{CredentialsFile: "/a"}}, "/a"},
		"bucket, by ticket": {target.Config{S3: &target.S3Config{Ticket: &target.ArchiveConfig{KeyFile: "/b"}}}, "/b"},
		"archive":           {target.Config{Archive: &target.ArchiveConfig{KeyFile: "/c"}}, "/c"},
	} {
		other := errors.New("not of this test")
		h := &Host{keysErr: other, archiveErr: other, Upload: upload.Config{Targets: []target.Config{tt.target}}}
		want := secret{tt.want, "castgate-upload", "recordings wait in the spool"}
		if got := h.secretFiles(); !slices.Equal(got, []secret{want}) {
			t.Errorf("%s: %v, want %v", name, got, want)
		}
	}
}
