// SPDX-License-Identifier: AGPL-3.0-or-later

package upload

import (
	"os"
	"strings"
	"testing"
	"time"

	"castgate/upload/manifest"
	"castgate/upload/uploadtest"
	"castgate/wrap/asciicast"
)

func TestAsciinemaRepairsItsCopy(t *testing.T) {
	h := header(1)
	h.Term.Cols, h.Term.Rows = 1000, 1000
	h.Term.Theme = &asciicast.Theme{Fg: "#FFFFFF", Bg: "#000000", Palette: "x"}
	h.Env = map[string]string{"SHELL": "/bin/bash", "http_proxy": "x"}
	h.Command = strings.Repeat("é", 300)
	h.Session.User = strings.Repeat("u", 150)
	text := recording(h, body+"#raw //79\n"+`[0.1, "o", "\ufffd"]`+"\n"+`[0.1, "r", "900x900"]`+"\n"+`[0.1, "z", "?"]`+"\n"+`[0.1, "x", "0"]`+"\n")
	for _, legacy := range []bool{false, true} {
		b := newBench(t)
		p := uploadtest.AsciinemaPlace(t, b.Bench)
		srv := p.Faults.Handler.(*asciinemaServer)
		srv.Legacy = legacy
		d := b.packed(1, text)
		receipt, err := p.Deliver(t.Context(), d)
		if err != nil {
			t.Fatalf("legacy %v: %v %v", legacy, err, srv.Refusals)
		}
		got := srv.Uploads[0].File
		if receipt.SHA256 != manifest.Hash([]byte(got)) || !strings.Contains(receipt.Where, "/a/1") {
			t.Errorf("receipt %+v", receipt)
		}
		if strings.Contains(got, "#raw") || strings.Contains(got, "http_proxy") || !strings.Contains(got, "720x200") {
			t.Errorf("uploaded %s", got)
		}
		if !strings.Contains(got, d.Manifest.Session.ID) {
			t.Error("the title has no id")
		}
		if s, _ := os.ReadFile(b.path("spool/incoming/" + testID(1) + ".cast")); string(s) != text {
			t.Error("our own recording was changed")
		}
	}
}

// TestAsciinemaGetsWhatHasNoEndOrNoEvents uploads what was cut and what showed
// nothing, to both kinds of server; the recording's URL is told and kept.
func TestAsciinemaGetsWhatHasNoEndOrNoEvents(t *testing.T) {
	for name, text := range map[string]string{"cut": recording(header(1), body+`[0.1, "o", "half`), "nothing": recording(header(1), "")} {
		for _, legacy := range []bool{false, true} {
			b := newBench(t)
			p := uploadtest.AsciinemaPlace(t, b.Bench)
			srv := p.Faults.Handler.(*asciinemaServer)
			srv.Legacy = legacy
			b.put("spool/live/"+testID(1)+".cast", text) // its recorder died
			u := b.open().with(p.Target)
			if left, err := u.Once(t.Context()); left != 0 || err != nil || len(srv.Uploads) != 1 {
				t.Fatalf("%s, legacy %v: %d left, %v %v\n%s", name, legacy, left, err, srv.Refusals, b.log)
			}
			if !strings.Contains(b.log.String(), "/a/1 ") {
				t.Errorf("the URL is not told: %s", b.log)
			}
			s, err := ReadStatus(b.config, time.Now())
			if err != nil || len(s.Recordings) != 1 || len(s.Recordings[0].Targets) != 1 || !strings.HasSuffix(s.Recordings[0].Targets[0].Where, "/a/1") {
				t.Errorf("status %+v, %v", s, err)
			}
		}
	}
}
