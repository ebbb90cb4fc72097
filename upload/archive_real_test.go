// SPDX-License-Identifier: AGPL-3.0-or-later

package upload

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"castgate/upload/manifest"
	"castgate/upload/uploadtest"
)

func TestTheRealArchiveTakesIt(t *testing.T) {
	b := newBench(t)
	b.config.SigningKey = b.path("key")
	newKey(t, b.config.SigningKey)
	c, store := uploadtest.RealArchive(t, b.Bench, "web1")
	b.config.Targets = []TargetConfig{{Archive: &c}}
	b.incoming(1, whole(1))
	b.put("spool/live/"+testID(2)+".cast", recording(header(2), body+"[0.1"))
	h := header(3)
	h.Session.User = `CORP\bob é`
	b.incoming(3, recording(h, body))
	if left := b.once(); left != 0 {
		t.Fatalf("%d left\n%s", left, b.log)
	}
	v := &manifest.Verifier{}
	n := 0
	faults, err := v.All(os.DirFS(store), func(path string, _ *manifest.Manifest, faults []manifest.Fault) {
		n++
		for _, f := range faults {
			t.Error(f)
		}
	})
	if err != nil || len(faults) > 0 || n != 3 {
		t.Errorf("%d recordings, %v, %v", n, faults, err)
	}
	// The receipts were lost: the archive has the same bytes and says so.
	d := b.packed(4, whole(4))
	target := newArchive(t, c)
	first, err := target.Deliver(t.Context(), d)
	if err != nil {
		t.Fatal(err)
	}
	if second, err := target.Deliver(t.Context(), d); err != nil || second != first {
		t.Errorf("again: %+v, %v; want %+v", second, err, first)
	}
}

func TestAnotherHostsCertificateKeepsTheRecording(t *testing.T) {
	b := newBench(t)
	c, store := uploadtest.RealArchive(t, b.Bench, "db1")
	b.config.Targets = []TargetConfig{{Archive: &c}}
	b.incoming(1, whole(1))
	if left := b.once(); left != 1 {
		t.Errorf("%d left", left)
	}
	if got := b.list("spool"); got["incoming/"+testID(1)+".cast"] != whole(1) || !strings.Contains(b.log.String(), `is for \"db1\", but this host is \"web1\"`) {
		t.Errorf("the spool has %v\n%s", got, b.log)
	}
	if _, err := os.Stat(filepath.Join(store, "nobody-of-this-host")); err == nil {
		t.Error("something was stored")
	}
}
