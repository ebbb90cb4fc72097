// SPDX-License-Identifier: AGPL-3.0-or-later

package receive

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/klauspost/compress/zstd"

	"castgate/upload/manifest"
	"castgate/wrap/asciicast"
)

// maxSig bounds an armoured SSHSIG; that of an RSA-16384 key is under 8 KiB.
const maxSig = 64 << 10

// MaxWindow bounds what one decoder keeps in memory. zstd -3 writes 2 MiB
// windows, -19 8 MiB; only --long and --ultra go beyond.
const MaxWindow = 16 << 20

// maxSize is the largest width and height: players allocate every cell. Our own
// recorder stops at asciicast.MaxCells; others are given some room.
const maxSize = 2000

// check reads an object to its end and says whether it is what its name says.
// Of a recording that is not sealed it returns what it tells.
func (n name) check(r io.Reader, unpacked int64) (cast manifest.Facts, err error) {
	switch n.ext {
	case manifest.CastSuffix:
		return n.checkCast(r, unpacked)
	case manifest.JSONSuffix:
		return cast, n.checkManifest(r)
	case manifest.SigSuffix:
		return cast, checkSig(r)
	}
	return cast, checkSealed(r)
}

// checkCast plays a compressed recording without keeping it.
func (n name) checkCast(r io.Reader, unpacked int64) (cast manifest.Facts, err error) {
	dec, err := zstd.NewReader(r, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(MaxWindow))
	if err != nil {
		return cast, err
	}
	defer dec.Close()
	return n.checkEvents(&capped{r: dec, left: unpacked})
}

func (n name) checkEvents(r io.Reader) (cast manifest.Facts, err error) {
	cast, err = manifest.Measure(r, func(ev asciicast.Event) error {
		if ev.Code == asciicast.Resize {
			var cols, rows int
			if _, err := fmt.Sscanf(string(ev.Data), "%dx%d", &cols, &rows); err != nil || !sane(cols, rows) {
				return wrong("%q is no terminal's size", ev.Data)
			}
		}
		return nil
	})
	if err != nil {
		return cast, damaged(err)
	}
	return cast, n.checkHeader(cast.Header)
}

// damaged tells what is wrong with the recording from what kept it from being
// read, of which bodyError knows more.
func damaged(err error) error {
	var syntax *asciicast.SyntaxError
	if errors.As(err, &syntax) || errors.Is(err, asciicast.ErrTorn) || errors.Is(err, io.EOF) {
		return wrong("the recording is damaged: %w", err)
	}
	return err
}

func (n name) checkHeader(h asciicast.Header) error {
	if !sane(h.Term.Cols, h.Term.Rows) {
		return wrong("%dx%d is no terminal's size", h.Term.Cols, h.Term.Rows)
	}
	s := h.Session
	if s == nil {
		return nil // another recorder's; the manifest says whose it is
	}
	return n.checkSession(s)
}

// checkSession refuses a recording that is filed as what it is not.
func (n name) checkSession(s *asciicast.Session) error {
	user, err := manifest.Element(s.User)
	switch {
	case s.ID != n.id:
		return wrong("its id is %q, not %q", s.ID, n.id)
	case err != nil || user != n.user:
		return wrong("its user is %q, not %q", s.User, n.user)
	case !manifest.SameHost(n.host, s.Host):
		return wrong("its host is %q, but the certificate is %q's", s.Host, n.host)
	}
	return nil
}

func sane(cols, rows int) bool { return cols > 0 && rows > 0 && cols <= maxSize && rows <= maxSize }

func (n name) checkManifest(r io.Reader) error {
	data, err := readAll(r, manifest.MaxSize)
	if err != nil {
		return err
	}
	m, err := manifest.Parse(data)
	if err != nil {
		return &refusal{http.StatusBadRequest, err}
	}
	if day := m.Start.Format("2006/01/02"); day != n.day {
		return wrong("it began on %s, not on %s", day, n.day)
	}
	return n.checkSession((*asciicast.Session)(&m.Session))
}

func checkSig(r io.Reader) error {
	data, err := readAll(r, maxSig)
	if err != nil {
		return err
	}
	if !bytes.HasPrefix(data, []byte("-----BEGIN SSH SIGNATURE-----\n")) {
		return wrong("no SSH signature")
	}
	return nil
}

// checkSealed reads what only its recipients can open: age's first line is all
// that can be checked (https://age-encryption.org/v1).
func checkSealed(r io.Reader) error {
	magic := []byte("age-encryption.org/v1\n")
	start := make([]byte, len(magic))
	if _, err := io.ReadFull(r, start); err != nil || !bytes.Equal(start, magic) {
		return wrong("no age file")
	}
	_, err := io.Copy(io.Discard, r)
	return err
}

func readAll(r io.Reader, limit int64) ([]byte, error) {
	data, err := io.ReadAll(&capped{r: r, left: limit})
	if err != nil {
		return nil, err
	}
	if len(data) == 0 {
		return nil, wrong("it is empty")
	}
	return data, nil
}

// capped fails once more than left bytes have been read: what a small body
// can unpack to is bounded.
type capped struct {
	r    io.Reader
	left int64
}

func (c *capped) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	if c.left -= int64(n); c.left < 0 {
		return 0, errLarge
	}
	return n, err
}
