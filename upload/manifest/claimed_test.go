// SPDX-License-Identifier: AGPL-3.0-or-later

package manifest

import (
	"bytes"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
)

// TestAnIDIsAHosts has two hosts, and one host twice, give the same id.
func TestAnIDIsAHosts(t *testing.T) {
	h := &host{t: t, signer: newSigner(t), files: fstest.MapFS{}}
	h.record(1)
	base := h.record(2)
	for name, from := range map[string][2]string{"another host": {"/web1/", "/web2/"}, "another account": {"deploy/", "alice/"}} {
		files := maps.Clone(h.files)
		text := bytes.ReplaceAll(files[base+JSONSuffix].Data, []byte(`"host": "web1"`), []byte(`"host": "web2"`))
		if from[0] == "deploy/" {
			text = bytes.ReplaceAll(files[base+JSONSuffix].Data, []byte(`"user": "deploy"`), []byte(`"user": "alice"`))
		}
		files[strings.Replace(base, from[0], from[1], 1)+JSONSuffix] = &fstest.MapFile{Data: text}
		got := h.verify(files)
		if n := len(slices.DeleteFunc(slices.Clone(got), func(f string) bool { return f != "claimed "+recID(2) })); n != 2 {
			t.Errorf("%s: %q", name, got)
		}
		if slices.Contains(got, "claimed "+recID(1)) {
			t.Errorf("%s: %q", name, got)
		}
	}
	// The same manifest came by two ways.
	files := maps.Clone(h.files)
	files[strings.Replace(base, "/web1/", "/web1.example.org/", 1)+JSONSuffix] = files[base+JSONSuffix]
	if got := h.verify(files); slices.Contains(got, "claimed "+recID(2)) {
		t.Errorf("it is one recording: %q", got)
	}
}

// TestChainsAreThoseOfDirectories: two hosts call themselves web1.
func TestChainsAreThoseOfDirectories(t *testing.T) {
	files, signer := fstest.MapFS{}, newSigner(t)
	for i, domain := range []string{".eu.example.org", ".us.example.org"} {
		h := &host{t: t, signer: signer, files: fstest.MapFS{}}
		for n := range 3 {
			base := h.record(10*i + n)
			for _, s := range []string{CastSuffix, JSONSuffix, SigSuffix} {
				files[strings.Replace(base, "/web1/", "/web1"+domain+"/", 1)+s] = h.files[base+s]
			}
		}
	}
	if got := (&host{t: t, signer: signer}).verify(files); len(got) != 0 {
		t.Errorf("two whole chains: %q", got)
	}
}

// TestAManifestIsHeldToItsRecording changes one claim at a time.
func TestAManifestIsHeldToItsRecording(t *testing.T) {
	for what, claim := range map[string]func(m *Manifest){
		"cast bytes":   func(m *Manifest) { m.Cast.Bytes-- },
		"cast larger":  func(m *Manifest) { m.Cast.Bytes = MaxCast + 1 },
		"cast hash":    func(m *Manifest) { m.Cast.SHA256 = Hash([]byte("another's")) },
		"stored bytes": func(m *Manifest) { m.Stored.Bytes++ },
		"events":       func(m *Manifest) { m.Events++ },
		"duration":     func(m *Manifest) { m.Duration++; m.Duration *= 1000 },
		"exit":         func(m *Manifest) { exit := 99; m.Exit = &exit },
		"interrupted":  func(m *Manifest) { m.Exit, m.Complete, m.Ended = nil, false, EndedInterrupted },
		"start":        func(m *Manifest) { m.Start = m.Start.AddDate(0, 0, 0).Add(1e9) },
		"login":        func(m *Manifest) { m.Session.Login = "octocat" },
		"command":      func(m *Manifest) { m.Command = "" },
		"terminal":     func(m *Manifest) { m.Term.Rows++ },
	} {
		m := sample()
		cast := castOf(m)
		stored := packer.EncodeAll(cast, nil)
		m.Cast = Object{int64(len(cast)), Hash(cast)}
		m.Stored.Object = Object{int64(len(stored)), Hash(stored)}
		if kind, _, err := m.Check(bytes.NewReader(stored)); kind != "" || err != nil {
			t.Fatalf("the true one: %s %v", kind, err)
		}
		claim(m)
		if kind, _, err := m.Check(bytes.NewReader(stored)); kind != FaultUntrue || err == nil {
			t.Errorf("%s: %s %v", what, kind, err)
		}
	}
}
