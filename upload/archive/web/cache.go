// SPDX-License-Identifier: AGPL-3.0-or-later

package web

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"
)

// Cache keeps prepared recordings in a directory of its own. It is derived
// data: it may be deleted at any time, and what was not used for the longest
// time is, when there is more than the cache may hold.
type Cache struct {
	dir   string
	limit int64

	mu     sync.Mutex
	making map[string]*making
	slots  chan struct{}
}

// making is a preparation under way, for which all who want it wait.
type making struct {
	done chan struct{}
	err  error
}

// cacheLimit is the bytes that prepared recordings may take, and preparers how
// many are made at once: each reads a whole recording.
const (
	cacheLimit = 4 << 30
	preparers  = 2
)

// cacheDir is within the directory of the cache, and has another name whenever
// what is prepared has changed. What older versions prepared, in olderDirs or
// above them, by what manifests claimed, goes.
const cacheDir = "prepared-3"

var olderDirs = []string{"recordings", "mirrored", "prepared-2"}

// NewCache keeps prepared recordings in dir.
func NewCache(dir string) (*Cache, error) {
	c := &Cache{dir: filepath.Join(dir, cacheDir), limit: cacheLimit, making: map[string]*making{}, slots: make(chan struct{}, preparers)}
	if err := os.MkdirAll(c.dir, 0o700); err != nil {
		return nil, err
	}
	var stale []string
	for _, older := range olderDirs {
		stale = append(stale, filepath.Join(dir, older))
	}
	for _, pattern := range []string{dir + "/making-*", dir + "/" + strings.Repeat("[0-9a-f]", 64), c.dir + "/making-*"} {
		found, _ := filepath.Glob(pattern)
		stale = append(stale, found...)
	}
	for _, p := range stale {
		if err := os.RemoveAll(p); err != nil {
			return nil, err
		}
	}
	return c, nil
}

// cacheKey is what a prepared recording is called by: the SHA-256 of where it is
// kept and of all that its manifest says. It is there only once the bytes that
// were read have been found to be those of the manifest, so that what a manifest
// claims finds nobody else's.
var (
	cacheKey  = regexp.MustCompile(`^[0-9a-f]{64}$`)
	cacheFile = regexp.MustCompile(`^(index|outline|s[0-9]{1,9})\.json$`)
)

// preparation tells where a recording is that is to be prepared, and how.
type preparation struct {
	open   func() (io.ReadCloser, error)
	reveal bool
}

// open returns a prepared file, gzipped, and prepares the recording first where
// it must.
func (c *Cache) open(ctx context.Context, key, name string, p preparation) (*os.File, error) {
	if !cacheKey.MatchString(key) || !cacheFile.MatchString(name) {
		return nil, fs.ErrNotExist
	}
	f, err := os.Open(filepath.Join(c.dir, key, name+".gz"))
	if !errors.Is(err, fs.ErrNotExist) {
		return f, err
	}
	if _, err := os.Stat(filepath.Join(c.dir, key)); err == nil {
		return nil, fs.ErrNotExist // prepared, and there is no such segment
	}
	if err := c.make(ctx, key, p); err != nil {
		return nil, err
	}
	return os.Open(filepath.Join(c.dir, key, name+".gz"))
}

// make prepares a recording, once for all who ask meanwhile.
func (c *Cache) make(ctx context.Context, key string, p preparation) error {
	c.mu.Lock()
	m := c.making[key]
	if m == nil {
		m = &making{done: make(chan struct{})}
		c.making[key] = m
		go func() {
			c.slots <- struct{}{}
			m.err = c.prepare(key, p)
			<-c.slots
			c.mu.Lock()
			delete(c.making, key)
			c.mu.Unlock()
			close(m.done)
		}()
	}
	c.mu.Unlock()
	select {
	case <-m.done:
		return m.err
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (c *Cache) prepare(key string, p preparation) error {
	cast, err := p.open()
	if err != nil {
		return err
	}
	defer cast.Close()
	tmp, err := os.MkdirTemp(c.dir, "making-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(tmp)
	if err := prepare(cast, gzDir(tmp), p.reveal); err != nil {
		return err
	}
	// To the end: only there it is known that this is the recording.
	if _, err := io.Copy(io.Discard, cast); err != nil {
		return err
	}
	if err := os.Rename(tmp, filepath.Join(c.dir, key)); err != nil {
		return err
	}
	return c.trim(key)
}

// gzDir is a sink that writes gzipped files.
type gzDir string

func (d gzDir) put(name string, data []byte) error {
	var b bytes.Buffer
	w, err := gzip.NewWriterLevel(&b, gzip.BestSpeed)
	if err != nil {
		return err
	}
	_, err = w.Write(data)
	if err := errors.Join(err, w.Close()); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(string(d), name+".gz"), b.Bytes(), 0o600)
}

// trim removes the oldest until the rest is within the limit. keep stays.
func (c *Cache) trim(keep string) error {
	type kept struct {
		path string
		used time.Time
		size int64
	}
	entries, err := os.ReadDir(c.dir)
	if err != nil {
		return err
	}
	var all []kept
	total := int64(0)
	for _, e := range entries {
		k := kept{path: filepath.Join(c.dir, e.Name())}
		files, _ := os.ReadDir(k.path)
		for _, f := range files {
			if st, err := f.Info(); err == nil {
				k.size += st.Size()
			}
		}
		if st, err := e.Info(); err == nil {
			k.used = st.ModTime()
		}
		total += k.size
		if e.Name() != keep && cacheKey.MatchString(e.Name()) {
			all = append(all, k)
		}
	}
	slices.SortFunc(all, func(a, b kept) int { return cmp.Compare(a.used.UnixNano(), b.used.UnixNano()) })
	for _, k := range all {
		if total <= c.limit {
			break
		}
		if err := os.RemoveAll(k.path); err != nil {
			return err
		}
		total -= k.size
	}
	return nil
}

// serve answers with a prepared file.
func (c *Cache) serve(w http.ResponseWriter, r *http.Request, key, name string, p preparation) error {
	f, err := c.open(r.Context(), key, name, p)
	if err != nil {
		return err
	}
	defer f.Close()
	if name == "index.json" {
		now := time.Now()
		_ = os.Chtimes(filepath.Join(c.dir, key), now, now) // so that it is not the oldest
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Add("Vary", "Accept-Encoding")
	if strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
		w.Header().Set("Content-Encoding", "gzip")
		_, _ = io.Copy(w, f) // from here on an error is a browser that has left
		return nil
	}
	plain, err := gzip.NewReader(f)
	if err != nil {
		return err
	}
	_, _ = io.Copy(w, plain)
	return nil
}
