// SPDX-License-Identifier: AGPL-3.0-or-later

package archive

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"filippo.io/age"
	"github.com/klauspost/compress/zstd"

	"castgate/upload/manifest"
	"castgate/wrap/hint"
)

const (
	// maxWindow is the window of zstd's highest usual level; castgate-upload
	// uses 8 MiB at most. A larger one is an attempt on the reader's memory.
	maxWindow = 32 << 20

	// maxLayers bounds how often a recording may have been sealed.
	maxLayers = 8

	// MaxCast bounds what a recording may unpack to.
	MaxCast = manifest.MaxCast
)

var (
	zstdMagic = []byte{0x28, 0xb5, 0x2f, 0xfd} // RFC 8878 section 3.1.1
	gzipMagic = []byte{0x1f, 0x8b}             // RFC 1952 section 2.3.1
	ageMagic  = []byte("age-encryption.org/v1\n")
)

// ErrSealed is a recording that none of the identities opens.
var ErrSealed = errors.New("the recording is sealed")

// Open opens a recording of the store: sealed, compressed or plain. Reading ends
// with ErrOther where it is not the recording that its manifest means.
func (s *Store) Open(e Entry, ids []age.Identity) (io.ReadCloser, error) {
	in, err := s.open(e.Stored(), e.Manifest.Cast, ids)
	if err != nil {
		return nil, fmt.Errorf("open recording %s: %w", e.Manifest.Session.ID, whoCould(err, e.Manifest))
	}
	return in, nil
}

func (s *Store) open(stored string, want manifest.Object, ids []age.Identity) (io.ReadCloser, error) {
	f, err := s.FS.Open(stored)
	if err != nil {
		return nil, err
	}
	in, err := unwrap(f, ids)
	if err != nil {
		return nil, err
	}
	return &held{Closer: in, in: io.LimitReader(in, want.Bytes+1), sum: manifest.NewHasher(io.Discard), want: want}, nil
}

// ErrOther is a recording whose bytes are not those of its manifest.
var ErrOther = errors.New("the recording is not the one of its manifest")

// held is a recording that is held to what its manifest claims as it is read. It
// ends with io.EOF only where that is so.
type held struct {
	io.Closer
	in   io.Reader
	sum  *manifest.Hasher
	want manifest.Object
}

func (h *held) Read(p []byte) (int, error) {
	n, err := h.in.Read(p)
	_, _ = h.sum.Write(p[:n])
	switch {
	case h.sum.N > h.want.Bytes: // by the one byte that in gives
		return max(n-1, 0), fmt.Errorf("%w: it has more than %d bytes", ErrOther, h.want.Bytes)
	case errors.Is(err, io.EOF) && (manifest.Object{Bytes: h.sum.N, SHA256: h.sum.Hex()}) != h.want:
		return n, fmt.Errorf("%w: it has %d bytes with SHA-256 %s, not %d with %s", ErrOther, h.sum.N, h.sum.Hex(), h.want.Bytes, h.want.SHA256)
	}
	return n, err
}

// whoCould adds to the error of a sealed recording for whom it was sealed, as
// the manifest says, which stays readable.
func whoCould(err error, m *manifest.Manifest) error {
	if !errors.Is(err, ErrSealed) || len(m.Stored.Recipients) == 0 {
		return err
	}
	advice := "-identity FILE with the key of one of these opens it: "
	if len(m.Stored.Recipients) > 1 {
		advice = "-identity FILE, given once for each of these groups with the key of one of it, opens it: "
	}
	var layers []string
	for _, l := range m.Stored.Recipients {
		layers = append(layers, strings.Join(l, ", "))
	}
	return hint.Add(err, advice+Plain(strings.Join(layers, "; and ")))
}

// OpenFile opens a recording by its path on this machine.
func OpenFile(path string, ids []age.Identity) (io.ReadCloser, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	if info, err := f.Stat(); err == nil && info.IsDir() {
		f.Close()
		return nil, &fs.PathError{Op: "open", Path: path, Err: errors.New("it is a directory")}
	}
	in, err := unwrap(f, ids)
	if errors.Is(err, ErrSealed) {
		// A file of an archive has its manifest beside it.
		dir, name := filepath.Split(path)
		base, _, _ := strings.Cut(name, ".")
		if e, _, readErr := (&Store{FS: os.DirFS(filepath.Clean(dir))}).ReadManifest(base + manifest.JSONSuffix); readErr == nil {
			err = whoCould(err, e.Manifest)
		}
	}
	return in, err
}

// unwrap goes by what the bytes are, not by what the file is called.
func unwrap(f io.ReadCloser, ids []age.Identity) (io.ReadCloser, error) {
	in := bufio.NewReaderSize(f, 64<<10)
	for layers := 0; ; layers++ {
		head, _ := in.Peek(len(ageMagic))
		if !bytes.Equal(head, ageMagic) || layers == maxLayers {
			break
		}
		plain, err := unseal(in, ids)
		if err != nil {
			f.Close()
			return nil, err
		}
		in = bufio.NewReaderSize(plain, 64<<10)
	}
	switch head, _ := in.Peek(len(zstdMagic)); {
	case bytes.HasPrefix(head, gzipMagic): // nothing of ours, but what people keep
		plain, err := gzip.NewReader(in)
		if err != nil {
			f.Close()
			return nil, fmt.Errorf("unpack: %w", err)
		}
		return &opened{Reader: &limited{plain, MaxCast}, file: f}, nil
	case !bytes.Equal(head, zstdMagic):
		return &opened{Reader: in, file: f}, nil
	}
	dec, err := zstd.NewReader(in, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(maxWindow), zstd.WithDecoderLowmem(true))
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("unpack: %w", err)
	}
	return &opened{Reader: &limited{dec, MaxCast}, file: f, dec: dec}, nil
}

func unseal(in io.Reader, ids []age.Identity) (io.Reader, error) {
	if len(ids) == 0 {
		return nil, hint.Add(ErrSealed, "-identity FILE names the key that opens it")
	}
	plain, err := age.Decrypt(in, ids...)
	var none *age.NoIdentityMatchError
	if errors.As(err, &none) {
		return nil, hint.Add(fmt.Errorf("%w, and not for this identity", ErrSealed), "each layer of a sealed recording needs one of its keys; -identity may be given several times")
	}
	if err != nil {
		return nil, fmt.Errorf("unseal: %w", err)
	}
	return plain, nil
}

type opened struct {
	io.Reader
	file io.Closer
	dec  *zstd.Decoder
}

func (o *opened) Close() error {
	if o.dec != nil {
		o.dec.Close()
	}
	return o.file.Close()
}

// limited fails, and doesn't just end, where there is more than n.
type limited struct {
	io.Reader
	n int64
}

func (l *limited) Read(p []byte) (int, error) {
	n, err := l.Reader.Read(p)
	if l.n -= int64(n); l.n < 0 {
		return 0, fmt.Errorf("unpack: more than %d GiB", int64(MaxCast)>>30)
	}
	return n, err
}

// ReadIdentities reads age identity files: X25519 keys as age-keygen writes
// them, and SSH keys.
func ReadIdentities(paths []string) ([]age.Identity, error) {
	var ids []age.Identity
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		more, err := parseIdentities(text)
		if err != nil {
			return nil, hint.Add(fmt.Errorf("identity %q: %w", path, err), "age-keygen makes such a file; an SSH key without passphrase will do, too")
		}
		ids = append(ids, more...)
	}
	return ids, nil
}
