// SPDX-License-Identifier: AGPL-3.0-or-later

package host

import (
	"errors"
	"slices"
	"testing"

	"castgate/upload"
)

func TestSecretsOfTargets(t *testing.T) {
	for name, tt := range map[string]struct {
		target upload.TargetConfig
		want   string
	}{
		"bucket":            {upload.TargetConfig{S3: &upload.S3Config{CredentialsFile: "/a"}}, "/a"},
		"bucket, by ticket": {upload.TargetConfig{S3: &upload.S3Config{Ticket: &upload.ArchiveConfig{KeyFile: "/b"}}}, "/b"},
		"archive":           {upload.TargetConfig{Archive: &upload.ArchiveConfig{KeyFile: "/c"}}, "/c"},
	} {
		other := errors.New("not of this test")
		h := &Host{keysErr: other, archiveErr: other, Upload: upload.Config{Targets: []upload.TargetConfig{tt.target}}}
		want := secret{tt.want, "castgate-upload", "recordings wait in the spool"}
		if got := h.secretFiles(); !slices.Equal(got, []secret{want}) {
			t.Errorf("%s: %v, want %v", name, got, want)
		}
	}
}
