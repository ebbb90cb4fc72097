// SPDX-License-Identifier: AGPL-3.0-or-later

package upload

import (
	"testing"

	"castgate/upload/target"
	"castgate/upload/uploadtest"
)

// What the tests here and those of the targets share.
type (
	Target          = target.Target
	TargetConfig    = target.Config
	DirConfig       = target.DirConfig
	S3Config        = target.S3Config
	ArchiveConfig   = target.ArchiveConfig
	TTYSpyConfig    = target.TTYSpyConfig
	AsciinemaConfig = target.AsciinemaConfig
	Delivery        = target.Delivery
	Receipt         = target.Receipt

	place           = uploadtest.Place
	s3Server        = uploadtest.S3Server
	lister          = uploadtest.Lister
	asciinemaServer = uploadtest.AsciinemaServer
)

const body = uploadtest.Body

var (
	testID    = uploadtest.ID
	header    = uploadtest.Header
	recording = uploadtest.Recording
	whole     = uploadtest.Whole
	newKey    = uploadtest.NewKey
	base64Sum = uploadtest.Base64Sum
	mutual    = uploadtest.Mutual
	places    = uploadtest.Places
)

// newArchive makes the target that delivers to another host's archive.
func newArchive(t testing.TB, c ArchiveConfig) Target {
	t.Helper()
	return uploadtest.Make(t, TargetConfig{Archive: &c})
}

// packed returns recording n as a delivery.
func (b *bench) packed(n int, text string) *Delivery {
	b.t.Helper()
	b.incoming(n, text)
	u := b.open()
	if err := u.pack(testID(n)); err != nil {
		b.t.Fatal(err)
	}
	return u.delivery(testID(n), u.journal.parcel(testID(n)))
}
