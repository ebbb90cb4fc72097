// SPDX-License-Identifier: AGPL-3.0-or-later

package manifest

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/klauspost/compress/zstd"
	"golang.org/x/crypto/ssh"

	"castgate/packaging/hosttest"
	"castgate/wrap/asciicast"
)

func newSigner(t testing.TB) *Signer {
	t.Helper()
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	block, err := ssh.MarshalPrivateKey(private, "castgate")
	if err != nil {
		t.Fatal(err)
	}
	s, err := NewSigner(pem.EncodeToMemory(block))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func signersFile(s *Signer, host string) string {
	return host + ` namespaces="castgate" ` + string(ssh.MarshalAuthorizedKey(s.PublicKey()))
}

// TestSignatureIsOpenSSHs holds our signatures to ssh-keygen and its to ours.
func TestSignatureIsOpenSSHs(t *testing.T) {
	if _, err := exec.LookPath("ssh-keygen"); err != nil {
		hosttest.Skip(t, "needs ssh-keygen")
	}
	s := newSigner(t)
	dir := t.TempDir()
	message := encode(t, sample())
	sig, err := s.Sign(message)
	if err != nil {
		t.Fatal(err)
	}
	for name, data := range map[string]string{"m.json": string(message), "m.json.sig": string(sig), "allowed": signersFile(s, "web1")} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(data), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	verify := func(host string) (string, error) {
		cmd := exec.Command("ssh-keygen", "-Y", "verify", "-f", "allowed", "-I", host, "-n", "castgate", "-s", "m.json.sig")
		cmd.Dir, cmd.Stdin = dir, bytes.NewReader(message)
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	if out, err := verify("web1"); err != nil {
		t.Errorf("ssh-keygen refuses our signature: %v: %s", err, out)
	}
	if out, err := verify("web2"); err == nil {
		t.Errorf("ssh-keygen takes it for another host's: %s", out)
	}
	// And the other way round.
	key := filepath.Join(dir, "key")
	if out, err := exec.Command("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	sign := exec.Command("ssh-keygen", "-Y", "sign", "-f", key, "-n", "castgate")
	sign.Stdin = bytes.NewReader(message)
	theirs, err := sign.Output()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := VerifySignature(message, theirs); err != nil {
		t.Errorf("ssh-keygen's signature: %v", err)
	}
	if _, err := VerifySignature(append(message, ' '), theirs); err == nil {
		t.Error("it verifies other bytes")
	}
}

func TestSignatureOfAnotherNamespaceIsRefused(t *testing.T) {
	s := newSigner(t)
	sum := hashOf(t, "sha512", "x")
	sig, err := s.key.Sign(rand.Reader, append([]byte(magic), ssh.Marshal(signedBlob{"git", "", "sha512", sum})...))
	if err != nil {
		t.Fatal(err)
	}
	blob := append([]byte(magic), ssh.Marshal(sigBlob{1, s.PublicKey().Marshal(), "git", "", "sha512", ssh.Marshal(sig)})...)
	if _, err := VerifySignature([]byte("x"), armor(blob)); err == nil || !strings.Contains(err.Error(), "namespace") {
		t.Errorf("got %v", err)
	}
}

func hashOf(t *testing.T, name, text string) []byte {
	t.Helper()
	sum, err := messageHash(name, []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return sum
}

func FuzzVerifySignature(f *testing.F) {
	s := newSigner(f)
	sig, err := s.Sign([]byte("message"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(sig)
	f.Fuzz(func(t *testing.T, armored []byte) {
		key, err := VerifySignature([]byte("message"), armored)
		if err == nil && !bytes.Equal(key.Marshal(), s.PublicKey().Marshal()) && len(armored) == 0 {
			t.Error("nothing is a signature")
		}
		if _, err := VerifySignature([]byte("another message"), armored); err == nil && bytes.Equal(armored, sig) {
			t.Error("it signs two messages")
		}
	})
}

// host makes the recordings of a host as its uploader would.
type host struct {
	t      *testing.T
	signer *Signer
	files  fstest.MapFS
	seq    int64
	head   string
}

func recID(n int) string { return fmt.Sprintf("01935b7e-0000-7000-8000-%012x", n) }

var packer, _ = zstd.NewWriter(nil)

// castOf is the recording of which sample is the manifest.
func castOf(m *Manifest) []byte {
	s := asciicast.Session(m.Session)
	cast := asciicast.AppendHeader(nil, asciicast.Header{
		Term: asciicast.Term{Cols: m.Term.Cols, Rows: m.Term.Rows, Type: m.Term.Type}, Timestamp: m.Start.Unix(), Command: m.Command, Session: &s,
	})
	var enc asciicast.Encoder
	for range m.Events - 1 {
		cast = enc.AppendOutput(cast, 0, []byte("x"))
	}
	return enc.AppendExit(cast, time.Duration(m.Duration), *m.Exit)
}

func (h *host) record(n int) string {
	h.t.Helper()
	m := sample()
	m.Session.ID = recID(n)
	cast := castOf(m)
	m.Cast = Object{int64(len(cast)), Hash(cast)}
	stored := packer.EncodeAll(cast, nil)
	m.Stored = Stored{Object: Object{int64(len(stored)), Hash(stored)}, Name: m.Session.ID + CastSuffix, Encoding: "zstd"}
	h.seq++
	m.Sequence, m.Previous = h.seq, h.head
	text := encode(h.t, m)
	h.head = Hash(text)
	sig, err := h.signer.Sign(text)
	if err != nil {
		h.t.Fatal(err)
	}
	h.files[m.Path(CastSuffix)] = &fstest.MapFile{Data: stored}
	h.files[m.Path(JSONSuffix)] = &fstest.MapFile{Data: text}
	h.files[m.Path(SigSuffix)] = &fstest.MapFile{Data: sig}
	return strings.TrimSuffix(m.Path(JSONSuffix), JSONSuffix)
}

func (h *host) verify(files fstest.MapFS, known ...Known) (out []string) {
	h.t.Helper()
	signers, err := ParseAllowedSigners(strings.NewReader("# comment\n\n" + signersFile(h.signer, "web*")))
	if err != nil {
		h.t.Fatal(err)
	}
	v := &Verifier{Signers: signers, Known: known}
	faults, err := v.All(files, func(_ string, _ *Manifest, f []Fault) {
		for _, f := range f {
			out = append(out, f.Kind+" "+f.ID)
		}
	})
	if err != nil {
		h.t.Fatal(err)
	}
	for _, f := range faults {
		out = append(out, f.Kind+" "+f.ID)
	}
	return out
}

func TestVerifyNamesTheFault(t *testing.T) {
	h := &host{t: t, signer: newSigner(t), files: fstest.MapFS{}}
	var base []string
	for n := range 5 {
		base = append(base, h.record(n))
	}
	if got := h.verify(h.files); len(got) != 0 {
		t.Fatalf("a whole archive: %q", got)
	}
	remove := func(f fstest.MapFS, n int) {
		for _, s := range []string{CastSuffix, JSONSuffix, SigSuffix} {
			delete(f, base[n]+s)
		}
	}
	// resign makes a forged manifest with a key.
	resign := func(f fstest.MapFS, n int, s *Signer) {
		text := bytes.Replace(f[base[n]+JSONSuffix].Data, []byte(`"exit": 7`), []byte(`"exit": 0`), 1)
		sig, err := s.Sign(text)
		if err != nil {
			t.Fatal(err)
		}
		f[base[n]+JSONSuffix] = &fstest.MapFile{Data: text}
		f[base[n]+SigSuffix] = &fstest.MapFile{Data: sig}
	}
	for _, tt := range []struct {
		name  string
		spoil func(fstest.MapFS)
		want  []string
	}{
		{"a changed byte", func(f fstest.MapFS) { f[base[2]+CastSuffix] = &fstest.MapFile{Data: []byte("recording X")} }, []string{"changed " + recID(2)}},
		{"a cut file", func(f fstest.MapFS) { f[base[2]+CastSuffix] = &fstest.MapFile{} }, []string{"changed " + recID(2)}},
		{"two swapped files", func(f fstest.MapFS) {
			f[base[1]+CastSuffix], f[base[2]+CastSuffix] = f[base[2]+CastSuffix], f[base[1]+CastSuffix]
		}, []string{"changed " + recID(1), "changed " + recID(2), "swapped " + recID(1), "swapped " + recID(2)}},
		{"a removed recording", func(f fstest.MapFS) { remove(f, 2) }, []string{"hole " + recID(3)}},
		{"two removed recordings", func(f fstest.MapFS) { remove(f, 1); remove(f, 2) }, []string{"hole " + recID(3)}},
		{"the first ones removed", func(f fstest.MapFS) { remove(f, 0); remove(f, 1) }, []string{"hole " + recID(2)}},
		{"a removed cast", func(f fstest.MapFS) { delete(f, base[2]+CastSuffix) }, []string{"missing " + recID(2)}},
		{"a removed manifest", func(f fstest.MapFS) { delete(f, base[2]+JSONSuffix) }, []string{"stray " + recID(2), "stray " + recID(2), "hole " + recID(3)}},
		{"a removed signature", func(f fstest.MapFS) { delete(f, base[2]+SigSuffix) }, []string{"unsigned " + recID(2)}},
		{"a forged manifest", func(f fstest.MapFS) {
			f[base[2]+JSONSuffix] = &fstest.MapFile{Data: bytes.Replace(f[base[2]+JSONSuffix].Data, []byte(`"exit": 7`), []byte(`"exit": 0`), 1)}
		}, []string{"forged " + recID(2), "untrue " + recID(2), "replaced " + recID(2)}},
		{"forged and signed by a stranger", func(f fstest.MapFS) { resign(f, 2, newSigner(t)) }, []string{"forged " + recID(2), "untrue " + recID(2), "replaced " + recID(2)}},
		{"forged and signed by the host", func(f fstest.MapFS) { resign(f, 2, h.signer) }, []string{"untrue " + recID(2), "replaced " + recID(2)}},
		{"filed under another name", func(f fstest.MapFS) {
			for _, s := range []string{CastSuffix, JSONSuffix, SigSuffix} {
				f["alice"+strings.TrimPrefix(base[2]+s, "deploy")] = f[base[2]+s]
				delete(f, base[2]+s)
			}
		}, []string{"misfiled " + recID(2)}},
		{"no manifest at all", func(f fstest.MapFS) { f[base[4]+JSONSuffix] = &fstest.MapFile{Data: []byte("{}")} }, []string{"unreadable "}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			files := maps.Clone(h.files)
			tt.spoil(files)
			if got := h.verify(files); strings.Join(got, ", ") != strings.Join(tt.want, ", ") {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func TestASecondChainIsTold(t *testing.T) {
	h := &host{t: t, signer: newSigner(t), files: fstest.MapFS{}}
	h.record(1)
	h.record(2)
	h.seq, h.head = 0, "" // the state directory is lost
	h.record(3)
	if got := h.verify(h.files); len(got) != 1 || got[0] != "restart "+recID(3) {
		t.Errorf("got %q", got)
	}
	h.seq, h.head = 1, Hash(h.files["deploy/web1/2026/11/21/"+recID(3)+JSONSuffix].Data)
	h.record(4)
	h.seq, h.head = 1, Hash(h.files["deploy/web1/2026/11/21/"+recID(3)+JSONSuffix].Data)
	h.record(5)
	if got := h.verify(h.files); len(got) != 2 || got[1] != "fork "+recID(5) {
		t.Errorf("got %q", got)
	}
}

// TestTheEndOfAChainIsKnown removes the newest recordings, which leave no hole.
func TestTheEndOfAChainIsKnown(t *testing.T) {
	h := &host{t: t, signer: newSigner(t), files: fstest.MapFS{}}
	var base []string
	for n := range 4 {
		base = append(base, h.record(n))
	}
	at := func(n int) Known {
		return Known{Host: "web1", ID: recID(n), Path: base[n] + JSONSuffix, SHA256: Hash(h.files[base[n]+JSONSuffix].Data), By: "somebody"}
	}
	last := at(3)
	byID := last
	byID.SHA256 = ""
	stranger := at(3)
	stranger.Host = "web9"
	for _, known := range []Known{last, byID, at(1), stranger} { // with its hash a manifest is that one, whoever had it
		if got := h.verify(h.files, known); len(got) != 0 {
			t.Errorf("a whole archive: %q", got)
		}
	}
	cut := maps.Clone(h.files)
	for _, n := range []int{2, 3} {
		for _, s := range []string{CastSuffix, JSONSuffix, SigSuffix} {
			delete(cut, base[n]+s)
		}
	}
	if got := h.verify(cut); len(got) != 0 {
		t.Errorf("nobody can tell, but %q", got)
	}
	for _, known := range []Known{last, byID} {
		if got := h.verify(cut, known); strings.Join(got, ", ") != "gone "+recID(3) {
			t.Errorf("got %q", got)
		}
	}
	empty := fstest.MapFS{}
	if got := h.verify(empty, last); strings.Join(got, ", ") != "gone "+recID(3) {
		t.Errorf("an empty archive: %q", got)
	}
	// The host itself made another end, and signed it.
	text := bytes.Replace(h.files[base[3]+JSONSuffix].Data, []byte(`"exit": 7`), []byte(`"exit": 0`), 1)
	sig, err := h.signer.Sign(text)
	if err != nil {
		t.Fatal(err)
	}
	forged := maps.Clone(h.files)
	forged[base[3]+JSONSuffix], forged[base[3]+SigSuffix] = &fstest.MapFile{Data: text}, &fstest.MapFile{Data: sig}
	if got := h.verify(forged, last); strings.Join(got, ", ") != "untrue "+recID(3)+", gone "+recID(3) {
		t.Errorf("another end: %q", got)
	}
	// Another host has one with the same id, after web1 or before it.
	for _, host := range []string{"evil", "zevil"} {
		text := bytes.ReplaceAll(h.files[base[3]+JSONSuffix].Data, []byte(`"host": "web1"`), []byte(`"host": "`+host+`"`))
		p := strings.Replace(base[3], "/web1/", "/"+host+"/", 1) + JSONSuffix
		both, other := maps.Clone(h.files), maps.Clone(cut)
		both[p], other[p] = &fstest.MapFile{Data: text}, &fstest.MapFile{Data: text}
		for _, known := range []Known{last, byID} {
			if got := h.verify(both, known); slices.Contains(got, "gone "+recID(3)) {
				t.Errorf("%s has the same id, and web1's is there: %q", host, got)
			}
			if got := h.verify(other, known); !slices.Contains(got, "gone "+recID(3)) {
				t.Errorf("%s has the same id, and web1's is not there: %q", host, got)
			}
		}
	}
	v := &Verifier{Known: []Known{stranger}}
	if _, err := v.All(h.files, func(string, *Manifest, []Fault) {}); err != nil || v.Forgotten() != 1 {
		t.Errorf("%v, %d", err, v.Forgotten())
	}
}

func TestParseAllowedSignersRefuses(t *testing.T) {
	key := string(ssh.MarshalAuthorizedKey(newSigner(t).PublicKey()))
	for _, text := range []string{"web1", "web1 ", "web1 ssh-ed25519 AAAA", "web1 cert-authority " + key, `web1 valid-before="20300101" ` + key, "web[1 " + key} {
		if _, err := ParseAllowedSigners(strings.NewReader(text)); err == nil {
			t.Errorf("%q is taken", text)
		}
	}
}

func FuzzParseAllowedSigners(f *testing.F) {
	s := newSigner(f)
	f.Add("# comment\n\n" + signersFile(s, "web*,!web9"))
	f.Fuzz(func(t *testing.T, text string) {
		a, err := ParseAllowedSigners(strings.NewReader(text))
		if err == nil && a.Allows(s.PublicKey(), "web1") && !strings.Contains(text, "ssh-ed25519") {
			t.Errorf("%q allows a key that it does not have", text)
		}
	})
}
