// SPDX-License-Identifier: AGPL-3.0-or-later

package receive

import (
	"os"
	"strings"
	"testing"
	"time"

	"castgate/upload/manifest"
)

// trueManifest is what an uploader says of plainCast.
func trueManifest(t testing.TB, host, user string, claim func(*manifest.Manifest)) []byte {
	t.Helper()
	cast := []byte(plainCast(host, user))
	stored := compress(cast)
	exit, start := 0, time.Date(2026, 11, 21, 0, 0, 0, 0, time.UTC)
	m := &manifest.Manifest{
		Version: 1, Session: manifest.Session{ID: testID, Mode: "setgid", Host: host, User: user, UID: 1, TTY: true, Kind: "shell", Version: "x"},
		Term: manifest.Term{Cols: 80, Rows: 24}, Start: start, Duration: manifest.Seconds(600 * time.Millisecond), Events: 3,
		Exit: &exit, Complete: true, Ended: manifest.EndedExit,
		Cast:     manifest.Object{Bytes: int64(len(cast)), SHA256: manifest.Hash(cast)},
		Stored:   manifest.Stored{Object: manifest.Object{Bytes: int64(len(stored)), SHA256: manifest.Hash(stored)}, Name: testID + ".cast.zst", Encoding: "zstd"},
		Sequence: 1,
	}
	if claim != nil {
		claim(m)
	}
	m.End = m.Start.Add(time.Duration(m.Duration))
	p, err := m.Encode()
	if err != nil {
		t.Fatal(err)
	}
	return p
}

var jsonPath = strings.Replace(castPath, ".cast.zst", ".json", 1)

// TestAClaimThatDoesNotHoldIsRefused changes one number of a manifest at a time.
func TestAClaimThatDoesNotHoldIsRefused(t *testing.T) {
	for what, claim := range map[string]func(m *manifest.Manifest){
		"cast bytes":   func(m *manifest.Manifest) { m.Cast.Bytes-- },
		"cast hash":    func(m *manifest.Manifest) { m.Cast.SHA256 = manifest.Hash([]byte("bob's")) },
		"stored bytes": func(m *manifest.Manifest) { m.Stored.Bytes++ },
		"stored hash":  func(m *manifest.Manifest) { m.Stored.SHA256 = manifest.Hash(nil) },
		"events":       func(m *manifest.Manifest) { m.Events++ },
		"duration":     func(m *manifest.Manifest) { m.Duration *= 2 },
		"exit":         func(m *manifest.Manifest) { exit := 99; m.Exit = &exit },
		"end":          func(m *manifest.Manifest) { m.Exit, m.Complete, m.Ended = nil, false, manifest.EndedInterrupted },
		"start":        func(m *manifest.Manifest) { m.Start = m.Start.Add(time.Second) },
		"login":        func(m *manifest.Manifest) { m.Session.Login = "bob-gh" },
		"kind":         func(m *manifest.Manifest) { m.Session.Kind = "transfer" },
		"command":      func(m *manifest.Manifest) { m.Command = "true" },
		"terminal":     func(m *manifest.Manifest) { m.Term.Cols++ },
	} {
		t.Run(what, func(t *testing.T) {
			f := newFleet(t, Limits{})
			c := f.host("web1")
			if status, answer := f.put(c, castPath, compress([]byte(plainCast("web1", "alice")))); status != 201 {
				t.Fatalf("the recording: %d %s", status, answer)
			}
			if status, answer := f.put(c, jsonPath, trueManifest(t, "web1", "alice", claim)); status != 400 {
				t.Errorf("%d %s", status, answer)
			}
			if status, answer := f.put(c, jsonPath, trueManifest(t, "web1", "alice", nil)); status != 201 {
				t.Errorf("the true one: %d %s", status, answer)
			}
		})
	}
}

// TestAManifestComesLast: what it speaks of must be there to be looked at.
func TestAManifestComesLast(t *testing.T) {
	f := newFleet(t, Limits{})
	if status, answer := f.put(f.host("web1"), jsonPath, trueManifest(t, "web1", "alice", nil)); status != 503 {
		t.Errorf("%d %s", status, answer)
	}
}

// TestTheArchivesOwnManifestsAreTrue has seconds pass while a ttyspy client is
// served.
func TestTheArchivesOwnManifestsAreTrue(t *testing.T) {
	f := newFleet(t, Limits{})
	at := time.Date(2026, 11, 21, 23, 59, 58, 0, time.UTC)
	f.srv.now = func() time.Time { at = at.Add(700 * time.Millisecond); return at }
	if status, answer := f.do(f.host("web1"), "POST", "/transcript", []byte("hello\r\n"), "Content-Type", transcriptType,
		"X-Username", "alice", "X-Hostname", "web1"); status != 200 {
		t.Fatalf("%d %s", status, answer)
	}
	n := 0
	_, err := new(manifest.Verifier).All(os.DirFS(f.store), func(p string, _ *manifest.Manifest, faults []manifest.Fault) {
		if n++; len(faults) > 0 {
			t.Errorf("%s: %v", p, faults)
		}
	})
	if n != 1 || err != nil {
		t.Errorf("%d manifests, %v", n, err)
	}
}

// TestTwoHostsWithOneIDAreTold: the second is taken, but not in silence.
func TestTwoHostsWithOneIDAreTold(t *testing.T) {
	f := newFleet(t, Limits{})
	first := strings.SplitAfter(plainCast("web1", "alice"), "\n")[0]
	if status, answer := f.do(f.host("web1"), "PUT", "/v1/live/"+testID+"/0", []byte(first)); status != 200 {
		t.Fatalf("%d %s", status, answer)
	}
	if strings.Contains(f.log.String(), "claimed") {
		t.Fatalf("too soon: %s", f.log)
	}
	if status, answer := f.put(f.host("web2"), castPath, compress([]byte(plainCast("web2", "alice")))); status != 201 {
		t.Fatalf("%d %s", status, answer)
	}
	if log := f.log.String(); !strings.Contains(log, "level=ERROR") || !strings.Contains(log, "claimed by two hosts") || !strings.Contains(log, "web1") {
		t.Errorf("the log says %s", log)
	}
}
