// SPDX-License-Identifier: AGPL-3.0-or-later

package guard

import (
	"reflect"
	"strings"
	"testing"
)

func TestHelloThereAndBack(t *testing.T) {
	want := Hello{Session: "0197a5e2-7c1b-7d3e-8f4a-5b6c7d8e9f00", Leftovers: List}
	b, err := want.encode()
	if err != nil {
		t.Fatal(err)
	}
	got, err := decodeHello(b)
	if err != nil || got != want {
		t.Fatalf("got %+v, %v; want %+v", got, err, want)
	}
}

func TestHelloRefused(t *testing.T) {
	for name, text := range map[string]string{
		"empty":          "",
		"not json":       "hello",
		"cut":            `{"v":1,"session":"a"`,
		"other version":  `{"v":2,"session":"a","leftovers":"keep"}`,
		"no version":     `{"session":"a","leftovers":"keep"}`,
		"no session":     `{"v":1,"leftovers":"keep"}`,
		"path":           `{"v":1,"session":"../a","leftovers":"keep"}`,
		"line break":     `{"v":1,"session":"a\nb","leftovers":"keep"}`,
		"long session":   `{"v":1,"session":"` + strings.Repeat("a", maxSession+1) + `","leftovers":"keep"}`,
		"unknown policy": `{"v":1,"session":"a","leftovers":"burn"}`,
		"too long":       `{"v":1,"session":"a","leftovers":"keep"}` + strings.Repeat(" ", maxHello),
		"two values":     `{"v":1,"session":"a","leftovers":"keep"}{}`,
	} {
		if h, err := decodeHello([]byte(text)); err == nil {
			t.Errorf("%s: accepted as %+v", name, h)
		}
	}
}

func TestFactsFitIntoOnePacket(t *testing.T) {
	f := Facts{Standing: Behind, Refuse: strings.Repeat("r", 200)}
	for range 10_000 {
		f.Holders = append(f.Holders, Holder{PID: 1 << 22, UID: 1 << 31, Comm: strings.Repeat("\x01", 16)})
		f.Between = append(f.Between, strings.Repeat("\xff", 16))
	}
	f.bound()
	b, err := f.encode()
	if err != nil {
		t.Fatal(err)
	}
	if len(b) > maxFacts {
		t.Fatalf("%d bytes, the packet has %d", len(b), maxFacts)
	}
	got, err := decodeFacts(b)
	if err != nil {
		t.Fatal(err)
	}
	if len(got.Holders) != maxHolders || len(got.Between) != maxBetween {
		t.Errorf("%d holders and %d between", len(got.Holders), len(got.Between))
	}
}

func TestFactsRefused(t *testing.T) {
	for name, text := range map[string]string{
		"standing": `{"v":1,"standing":"king"}`,
		"version":  `{"v":3,"standing":"direct"}`,
		"nested":   `{"v":1,"standing":"nested","nested":"\u001b[2J"}`,
		"holders":  `{"v":1,"standing":"direct","holders":[` + strings.Repeat(`{},`, maxHolders) + `{}]}`,
	} {
		if f, err := decodeFacts([]byte(text)); err == nil {
			t.Errorf("%s: accepted as %+v", name, f)
		}
	}
}

func TestFactsWithoutAuditAreUnset(t *testing.T) {
	f, err := decodeFacts([]byte(`{"v":1,"standing":"direct"}`))
	if err != nil || f.Audit != AuditUnset {
		t.Fatalf("audit %d, %v", f.Audit, err)
	}
}

func FuzzHello(f *testing.F) {
	f.Add([]byte(`{"v":1,"session":"0197a5e2","leftovers":"end"}`))
	f.Add([]byte(`{"v":1,"session":"\ud800","leftovers":"keep"}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		h, err := decodeHello(b)
		if err != nil {
			return
		}
		again, err := h.encode()
		if err != nil {
			t.Fatalf("accepted %+v, which can't be sent: %v", h, err)
		}
		if back, err := decodeHello(again); err != nil || back != h {
			t.Fatalf("%+v came back as %+v, %v", h, back, err)
		}
	})
}

func FuzzFacts(f *testing.F) {
	f.Add([]byte(`{"v":1,"standing":"nested","nested":"0197a5e2","audit":7,"holders":[{"pid":3,"uid":1000,"comm":"sh"}]}`))
	f.Add([]byte(`{"v":1,"standing":"behind","between":["dash"],"tty_taken":true}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		facts, err := decodeFacts(b)
		if err != nil {
			return
		}
		if len(facts.Holders) > maxHolders || facts.Nested != "" && !validSession(facts.Nested) {
			t.Fatalf("accepted %+v", facts)
		}
		again, err := facts.encode()
		if err != nil {
			t.Fatal(err)
		}
		if back, err := decodeFacts(again); err == nil && back.Standing != facts.Standing {
			t.Fatalf("%+v came back as %+v", facts, back)
		}
	})
}

func TestParseStat(t *testing.T) {
	line := func(comm string) []byte {
		return []byte("42 (" + comm + ") S 7 41 40 34816 42 0 0 0 0 0 0 0 0 0 20 0 1 0 98765 0 0\n")
	}
	for _, comm := range []string{"sh", "a b", ") S 1 (", "", "((", "x\n) R 9 9"} {
		got, err := parseStat(line(comm))
		want := process{procID: procID{42, 98765}, ppid: 7, state: 'S', sid: 40, comm: comm}
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%q: got %+v, %v", comm, got, err)
		}
	}
}

func FuzzParseStat(f *testing.F) {
	f.Add([]byte("42 (sh) S 7 41 40 34816 42 0 0 0 0 0 0 0 0 0 20 0 1 0 98765 0 0\n"))
	f.Add([]byte("1 (a) (b)) Z 0"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if p, err := parseStat(b); err == nil && len(p.comm) > len(b) {
			t.Fatalf("%+v", p)
		}
	})
}

func FuzzParseUIDs(f *testing.F) {
	f.Add([]byte("Name:\tsh\nUid:\t1000\t1000\t1000\t1000\nGid:\t1\n"))
	f.Add([]byte("Uid:\t4294967296\t0\t0\t0\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		_, _ = parseUIDs(b)
	})
}
