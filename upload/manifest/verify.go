// SPDX-License-Identifier: AGPL-3.0-or-later

package manifest

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strings"

	"golang.org/x/crypto/ssh"
)

// Verifier checks the recordings of an archive: one by one with Recording, and
// what only all of them together tell with Finish. Or everything with All.
type Verifier struct {
	// Open opens an object of the archive by its path.
	Open func(path string) (io.ReadCloser, error)
	// Signers says whose signatures count. With nil a manifest needs none, but
	// a signature that is there must be of its bytes.
	Signers *AllowedSigners
	// Known is what Finish expects to have seen.
	Known []Known

	chains map[string]*chain  // by the host's directory
	owner  map[[32]byte]*link // by the stored object's SHA-256
	odd    []changed          // objects with a wrong hash
}

type changed struct {
	path string
	of   *link
	got  [32]byte
}

// Recording checks the recording whose manifest is at p: that it is where it
// belongs, that its host signed it, and that the recording beside it is the
// one it speaks of. The manifest is nil when it can't be read.
func (v *Verifier) Recording(p string) (*Manifest, []Fault) {
	text, err := v.read(p, MaxSize)
	if err != nil {
		return nil, []Fault{{Kind: FaultUnreadable, Path: p, Text: err.Error()}}
	}
	m, err := Parse(text)
	if err != nil {
		return nil, []Fault{{Kind: FaultUnreadable, Path: p, Text: err.Error()}}
	}
	var faults []Fault
	add := func(kind, at, format string, args ...any) {
		faults = append(faults, Fault{Kind: kind, Path: at, ID: m.Session.ID, Host: m.Session.Host, Text: fmt.Sprintf(format, args...)})
	}
	l := v.note(m, p, text)
	if !m.Belongs(p) {
		add(FaultMisfiled, p, "it is the manifest of %q", m.Path(JSONSuffix))
	}
	base := strings.TrimSuffix(p, JSONSuffix)
	if kind, err := v.signature(m, text, base+SigSuffix); err != nil {
		add(kind, base+SigSuffix, "%v", err)
	}
	if kind, err := v.stored(m, l, path.Dir(p)+"/"+m.Stored.Name); err != nil {
		add(kind, path.Dir(p)+"/"+m.Stored.Name, "%v", err)
	}
	return m, faults
}

// Belongs reports whether p is where m is kept. The host's directory may bear
// the name of the host's certificate, which may have a domain.
func (m *Manifest) Belongs(p string) bool {
	have, want := strings.Split(p, "/"), strings.Split(m.Path(JSONSuffix), "/")
	if len(have) != len(want) {
		return false
	}
	for i := range want {
		if i == 1 {
			a, _, _ := strings.Cut(strings.ToLower(have[i]), ".")
			b, _, _ := strings.Cut(strings.ToLower(want[i]), ".")
			if a != b {
				return false
			}
		} else if have[i] != want[i] {
			return false
		}
	}
	return true
}

func (v *Verifier) signature(m *Manifest, text []byte, at string) (string, error) {
	sig, err := v.read(at, maxSig)
	if errors.Is(err, fs.ErrNotExist) {
		if v.Signers == nil {
			return "", nil
		}
		return FaultUnsigned, errors.New("there is no signature")
	}
	if err != nil {
		return FaultUnreadable, err
	}
	key, err := VerifySignature(text, sig)
	if err != nil {
		return FaultForged, err
	}
	if v.Signers != nil && !v.Signers.Allows(key, m.Session.Host) {
		return FaultForged, fmt.Errorf("it is by key %s, which is not a key of host %q", ssh.FingerprintSHA256(key), m.Session.Host)
	}
	return "", nil
}

func (v *Verifier) stored(m *Manifest, l *link, at string) (string, error) {
	f, err := v.Open(at)
	if errors.Is(err, fs.ErrNotExist) {
		return FaultMissing, errors.New("the recording is not there")
	}
	if err != nil {
		return FaultUnreadable, err
	}
	defer f.Close()
	kind, got, err := m.Check(f)
	if kind == FaultChanged {
		v.odd = append(v.odd, changed{at, l, hash32(got.SHA256)})
	}
	return kind, err
}

// note keeps what Finish needs: some 200 bytes for each recording. A chain is
// that of a directory, which a host can't choose: what it calls itself is also
// the name of others.
func (v *Verifier) note(m *Manifest, p string, text []byte) *link {
	if v.chains == nil {
		v.chains, v.owner = map[string]*chain{}, map[[32]byte]*link{}
	}
	host := HostOf(p)
	if host == "" {
		host, _ = Element(m.Session.Host)
	}
	c := v.chains[host]
	if c == nil {
		c = &chain{host: host}
		v.chains[host] = c
	}
	l := &link{m.Sequence, sha256.Sum256(text), hash32(m.Previous), m.Session.ID, p}
	c.links = append(c.links, l)
	v.owner[hash32(m.Stored.SHA256)] = l
	return l
}

func hash32(s string) (h [32]byte) {
	_, _ = hex.Decode(h[:], []byte(s)) // Parse has checked it; "" is the zero
	return h
}

// Finish returns what only all recordings together tell: holes, replaced and
// forged manifests in the chain of a host, which recordings were swapped, and
// which have one id.
func (v *Verifier) Finish() []Fault {
	var faults []Fault
	for _, o := range v.odd {
		if other, ok := v.owner[o.got]; ok && other != o.of {
			faults = append(faults, Fault{Kind: FaultSwapped, Path: o.path, ID: o.of.id, Text: fmt.Sprintf("it holds recording %s", other.id)})
		}
	}
	faults = append(faults, v.claimed()...)
	for _, host := range sortedKeys(v.chains) {
		faults = append(faults, v.chains[host].faults()...)
	}
	return append(faults, v.gone()...)
}

func (v *Verifier) read(p string, limit int64) ([]byte, error) {
	f, err := v.Open(p)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err == nil && int64(len(text)) > limit {
		err = fmt.Errorf("longer than %d bytes", limit)
	}
	return text, err
}

// All checks a whole archive. It calls each with every manifest and what is
// wrong with it, and returns what is wrong beyond single recordings.
func (v *Verifier) All(archive fs.FS, each func(path string, m *Manifest, faults []Fault)) ([]Fault, error) {
	if v.Open == nil {
		v.Open = func(p string) (io.ReadCloser, error) { return archive.Open(p) }
	}
	var strays []Fault
	err := fs.WalkDir(archive, ".", func(p string, e fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case p != "." && strings.HasPrefix(e.Name(), "."):
			if e.IsDir() {
				return fs.SkipDir // uploads under way, live recordings
			}
			return nil
		case e.IsDir():
			return nil
		case strings.HasSuffix(p, JSONSuffix):
			m, faults := v.Recording(p)
			each(p, m, faults)
		default:
			strays = append(strays, stray(archive, p)...)
		}
		return nil
	})
	return append(strays, v.Finish()...), err
}

// stray reports a recording or a signature that has no manifest.
func stray(archive fs.FS, p string) []Fault {
	for _, suffix := range []string{SealedSuffix, CastSuffix, SigSuffix} {
		base, ok := strings.CutSuffix(p, suffix)
		if !ok {
			continue
		}
		if _, err := fs.Stat(archive, base+JSONSuffix); errors.Is(err, fs.ErrNotExist) {
			return []Fault{{Kind: FaultStray, Path: p, ID: path.Base(base), Text: "its manifest is not there"}}
		}
	}
	return nil
}
