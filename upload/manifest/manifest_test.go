// SPDX-License-Identifier: AGPL-3.0-or-later

package manifest

import (
	"bytes"
	"reflect"
	"strings"
	"testing"
	"time"
)

const testID = "01935b7e-0000-7000-8000-000000000001"

func sample() *Manifest {
	exit := 7
	start := time.Date(2026, 11, 21, 23, 59, 58, 0, time.UTC)
	return &Manifest{
		Version: 1,
		Session: Session{ID: testID, Mode: "setgid", Host: "web1", User: "deploy", UID: 1001, TTY: true, Kind: "shell", Version: "castgate 1.0.0"},
		Command: "echo <&> \x1b[0m",
		Term:    Term{80, 24, "xterm"},
		Start:   start, End: start.Add(1500 * time.Millisecond), Duration: Seconds(1500 * time.Millisecond),
		Exit: &exit, Complete: true, Ended: EndedExit, Events: 3,
		Cast:     Object{100, Hash([]byte("cast"))},
		Stored:   Stored{Object: Object{50, Hash([]byte("stored"))}, Name: testID + CastSuffix, Encoding: "zstd"},
		Sequence: 2, Previous: Hash([]byte("before")),
	}
}

func encode(t testing.TB, m *Manifest) []byte {
	t.Helper()
	p, err := m.Encode()
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestRoundTrip(t *testing.T) {
	m := sample()
	p := encode(t, m)
	got, err := Parse(p)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, m) {
		t.Errorf("got %+v, want %+v", got, m)
	}
	if !bytes.Contains(p, []byte(`"duration": 1.500000,`)) {
		t.Errorf("duration in %s", p)
	}
	if want := "deploy/web1/2026/11/21/" + testID + ".cast.zst"; m.Path(m.StoredSuffix()) != want {
		t.Errorf("path %q, want %q", m.Path(m.StoredSuffix()), want)
	}
}

func TestParseRefuses(t *testing.T) {
	good := string(encode(t, sample()))
	for _, tt := range []struct{ name, old, new, want string }{
		{"unknown key", `"events": 3`, `"events": 3, "evil": 1`, "evil"},
		{"key twice", `"events": 3`, `"events": 3, "events": 4`, "twice"},
		{"key in capitals", `"events": 3`, `"EVENTS": 3`, "EVENTS"},
		{"key twice deep down", `"cols": 80`, `"cols": 80, "cols": 81`, "twice"},
		{"text behind", "\n}\n", "\n}\n{}", "after the object"},
		{"other version", `"version": 1,`, `"version": 2,`, "version 2"},
		{"id", testID + `",`, `../../etc/passwd",`, "UUIDv7"},
		{"no user", `"user": "deploy"`, `"user": ""`, "user"},
		{"end", `"end": "2026-11-21T23:59:59.5Z"`, `"end": "2027-11-21T23:59:59.5Z"`, "plus duration"},
		{"time zone", `58Z"`, `58+01:00"`, "UTC"},
		{"negative duration", `1.500000`, `-1.500000`, "duration"},
		{"exit of one whose client sends none", `"ended": "exit"`, `"ended": "closed"`, "exit status"},
		{"exit of an interrupted one", `"complete": true`, `"complete": false`, "complete"},
		{"hash in capitals", Hash([]byte("cast")), strings.ToUpper(Hash([]byte("cast"))), "SHA-256"},
		{"no previous", Hash([]byte("before")), "", "previous"},
		{"other name", testID + `.cast.zst"`, `x.cast.zst"`, "stored.name"},
		{"huge terminal", `"cols": 80`, `"cols": 65535`, "65535"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			bad := strings.Replace(good, tt.old, tt.new, 1)
			if bad == good {
				t.Fatalf("%q is not in %s", tt.old, good)
			}
			if _, err := Parse([]byte(bad)); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want an error with %q", err, tt.want)
			}
		})
	}
}

func TestANewerRecordersHeaderIsRead(t *testing.T) {
	p := strings.Replace(string(encode(t, sample())), `"uid": 1001`, `"uid": 1001, "seat": "x"`, 1)
	if _, err := Parse([]byte(p)); err != nil {
		t.Error(err)
	}
}

func TestElement(t *testing.T) {
	for in, want := range map[string]string{
		"alice": "alice", "svc-x.1_y@corp+z": "svc-x.1_y@corp+z",
		".": "%2E", "..": "%2E.", "../x": "%2E.%2Fx", `CORP\bob`: "CORP%5Cbob", "a b\n": "a%20b%0A", "é": "%C3%A9", "100%": "100%25",
	} {
		if got, err := Element(in); got != want || err != nil {
			t.Errorf("Element(%q) = %q, %v; want %q", in, got, err, want)
		}
	}
	for _, in := range []string{"", strings.Repeat("a", 201), strings.Repeat("\n", 70)} {
		if got, err := Element(in); err == nil {
			t.Errorf("Element(%q) = %q, want an error", in, got)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add(encode(f, sample()))
	f.Add([]byte(`{"version":1}`))
	f.Fuzz(func(t *testing.T, p []byte) {
		m, err := Parse(p)
		if err != nil {
			return
		}
		again, err := Parse(encode(t, m))
		if err != nil || !reflect.DeepEqual(m, again) {
			t.Errorf("%+v is read back as %+v, %v", m, again, err)
		}
		if d := m.Dir(); strings.Contains(d, "..") && strings.Contains("/"+d+"/", "/../") || strings.Count(d, "/") != 4 {
			t.Errorf("path %q", d)
		}
	})
}

func TestSameHost(t *testing.T) {
	for _, tt := range []struct {
		a, b string
		same bool
	}{
		{"web1", "web1", true},
		{"web1", "WEB1", true},
		{"web1.example.org", "web1", true},
		{"web1.Example.org", "web1.example.org", true},
		{"web1", "web2", false},
		{"web1.example.org", "web1.example.net", false},
		{"web1.example.org", "web1.example", false},
		{"web1", "", false},
	} {
		if SameHost(tt.a, tt.b) != tt.same || SameHost(tt.b, tt.a) != tt.same {
			t.Errorf("%q and %q: not %v", tt.a, tt.b, tt.same)
		}
	}
}
