// SPDX-License-Identifier: AGPL-3.0-or-later

package manifest_test

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"

	"castgate/upload/archive/archivetest"
	"castgate/upload/manifest"
	"castgate/wrap/asciicast"
)

var start = time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)

// TestANewerRecorderIsNoLiar has castgate-upload and the recorder of different
// versions on one host, as while its package is upgraded.
func TestANewerRecorderIsNoLiar(t *testing.T) {
	enc, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name, header, claimed string // what stands between kind and version
		ok                    bool
	}{
		{"nothing new", ``, ``, true},
		{"an older uploader knows none of it", `"asked":"id","shell":"before","login_id":7,"later":{"a":[1,2]},`, ``, true},
		{"today's passes it on", `"shell":"before","later":{"a":[1,2]},`, `"shell":"before","later":{"a": [1, 2]},`, true},
		{"what is told must be so", `"shell":"before",`, `"shell":"after",`, false},
		{"of a later one's, too", `"later":{"a":[1,2]},`, `"later":{"a":[1,3]},`, false},
		{"and must be there", ``, `"later":1,`, false},
		{"a person's id must be there", ``, `"login_id":7,`, false},
		{"what everybody knows is told", `"key":"SHA256:x",`, ``, false},
		{"who it was is told", `"login":"octocat",`, ``, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := archivetest.Recording{User: "deploy", Host: "web1", Start: start, Output: []string{"x"}}
			_, text, _ := r.Objects()
			cast := strings.Replace(string(r.Cast()), `"version":"castgate`, tt.header+`"version":"castgate`, 1)
			stored := enc.EncodeAll([]byte(cast), nil)
			text = []byte(strings.Replace(string(text), `"version": "castgate`, tt.claimed+`"version": "castgate`, 1))
			m, err := manifest.Parse(text)
			if err != nil {
				t.Fatal(err)
			}
			m.Cast = manifest.Object{Bytes: int64(len(cast)), SHA256: manifest.Hash([]byte(cast))}
			m.Stored.Object = manifest.Object{Bytes: int64(len(stored)), SHA256: manifest.Hash(stored)}
			if kind, _, err := m.Check(bytes.NewReader(stored)); (err == nil) != tt.ok || !tt.ok && kind != manifest.FaultUntrue {
				t.Errorf("%s %v", kind, err)
			}
		})
	}
}

// TestAManifestTellsTheWholeSession: what its writer does not know is passed on.
func TestAManifestTellsTheWholeSession(t *testing.T) {
	r := archivetest.Recording{User: "deploy", Host: "web1", Start: start, Output: []string{"x"}}
	cast := strings.Replace(string(r.Cast()), `"version":"castgate`, `"later":{"<a>":[1,2]},"version":"castgate`, 1)
	in, err := asciicast.NewReader(strings.NewReader(cast))
	if err != nil {
		t.Fatal(err)
	}
	m, _, _ := r.Objects()
	m.Session = manifest.Session(*in.Header.Session)
	text, err := m.Encode()
	if err != nil {
		t.Fatal(err)
	}
	again, err := manifest.Parse(text)
	if err != nil || string(again.Session.More["later"]) == "" || !strings.Contains(string(text), `"<a>"`) {
		t.Errorf("%s %v", text, err)
	}
	if twice, err := again.Encode(); err != nil || !bytes.Equal(twice, text) {
		t.Errorf("%s\nis not\n%s", twice, text)
	}
}
