// SPDX-License-Identifier: AGPL-3.0-or-later

package web

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"

	"castgate/upload/archive"
	"castgate/upload/manifest"
)

// Verify implements Archive: signature, hashes, and the links of the host's
// chain to both sides.
func (d *Directory) Verify(ctx context.Context, r Recording) (Proof, error) {
	p := Proof{OK: true}
	if r.Arriving() {
		return Proof{}, errors.New("it is still being written")
	}
	v := &manifest.Verifier{
		Open:    func(name string) (io.ReadCloser, error) { return d.objects.Open(name) },
		Signers: d.Signers,
	}
	m, faults := v.Recording(r.Path)
	for _, f := range faults {
		p.add(f.Kind, false, f.Text)
	}
	if m == nil {
		return p, nil
	}
	wrong := func(kinds ...string) bool {
		for _, f := range faults {
			for _, k := range kinds {
				if f.Kind == k {
					return true
				}
			}
		}
		return false
	}
	if !wrong(manifest.FaultUnsigned, manifest.FaultForged) {
		d.proveSignature(&p, r)
	}
	if !wrong(manifest.FaultMissing, manifest.FaultUnreadable, manifest.FaultChanged, manifest.FaultUntrue) {
		p.add("stored object", true, "is the one of the manifest, "+humanBytes(m.Stored.Bytes))
		if !m.Sealed() {
			p.add("recording", true, "is the one of the manifest, "+humanBytes(m.Cast.Bytes))
		}
	}
	if r.Claimed {
		p.add(manifest.FaultClaimed, false, "another recording has the same id: one of the two is made up")
	}
	return p, d.proveChain(ctx, &p, r)
}

func (p *Proof) add(name string, ok bool, text string) {
	p.Items = append(p.Items, Check{name, ok, text})
	p.OK = p.OK && ok
}

// claimedOnly says that nothing else is wrong than that another has the id.
func (p *Proof) claimedOnly() bool {
	return !p.OK && !slices.ContainsFunc(p.Items, func(c Check) bool { return !c.OK && c.Name != manifest.FaultClaimed })
}

// proveSignature says by whose key the manifest is signed. The Verifier has
// found nothing wrong with it.
func (d *Directory) proveSignature(p *Proof, r Recording) {
	text, err := fs.ReadFile(d.objects, r.Path)
	if err != nil {
		p.add("signature", false, err.Error())
		return
	}
	sig, err := fs.ReadFile(d.objects, r.Base()+manifest.SigSuffix)
	if errors.Is(err, fs.ErrNotExist) {
		p.add("signature", true, "there is none")
		return
	}
	if err != nil {
		p.add("signature", false, err.Error())
		return
	}
	key, err := manifest.VerifySignature(text, sig)
	switch {
	case err != nil:
		p.add("signature", false, err.Error())
	case d.Signers == nil:
		p.add("signature", true, "by key "+ssh.FingerprintSHA256(key)+"; whose that is, this archive has not been told")
	default:
		p.Signed = true
		p.add("signature", true, fmt.Sprintf("by key %s of host %q", ssh.FingerprintSHA256(key), r.Manifest.Session.Host))
	}
}

// chainReach is how far from a recording its neighbours in the chain are
// looked for: a host's manifests follow each other as its sessions end.
const chainReach = 24 * time.Hour

// proveChain looks for the manifests before and after this one. That the whole
// chain has no hole is for "castgate verify" to say, which reads all of it.
func (d *Directory) proveChain(ctx context.Context, p *Proof, r Recording) error {
	m := r.Manifest
	text, err := fs.ReadFile(d.objects, r.Path)
	if err != nil {
		return err
	}
	own, before, after, follows := manifest.Hash(text), false, false, false
	store := d.store()
	near := archive.Query{Dir: r.Host, Since: m.Start.Add(-chainReach), Until: m.End.Add(chainReach)}
	for e, err := range store.Walk(near) {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil || e.Path == r.Path {
			continue
		}
		switch e.Manifest.Sequence {
		case m.Sequence - 1:
			if _, text, err := store.ReadManifest(e.Path); err == nil && manifest.Hash(text) == m.Previous {
				before = true
			}
		case m.Sequence + 1:
			after, follows = true, follows || e.Manifest.Previous == own
		}
	}
	switch {
	case after && !follows:
		p.add("chain", false, fmt.Sprintf("recording %d of this host was made after another manifest than this one", m.Sequence+1))
	case m.Sequence == 1:
		p.add("chain", true, "the first of this host")
	case before:
		// Whose that one is, who sees this one need not know.
		p.add("chain", true, fmt.Sprintf("number %d of this host, made after number %d", m.Sequence, m.Sequence-1))
	default:
		p.add("chain", true, fmt.Sprintf("number %d of this host; number %d is from another day", m.Sequence, m.Sequence-1))
	}
	return nil
}

// proven remembers which recordings the page has found to be as their hosts
// signed them: by all that their manifests said then, and where they were.
type proven struct {
	mu   sync.Mutex
	each map[string]bool
}

// maxProven bounds it. To forget means to check again.
const maxProven = 100_000

func (p *proven) set(r Recording, yes bool) {
	key := r.key()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.each == nil || len(p.each) >= maxProven {
		p.each = map[string]bool{}
	}
	p.each[key] = yes && key != ""
}

func (p *proven) has(r Recording) bool {
	key := r.key()
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.each[key]
}
