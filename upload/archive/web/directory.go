// SPDX-License-Identifier: AGPL-3.0-or-later

package web

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"sync"
	"time"

	"castgate/upload/archive"
	"castgate/upload/archive/receive"
	"castgate/upload/archive/screen"
	"castgate/upload/manifest"
	"castgate/wrap/asciicast"
)

// Directory is an Archive without an index: it looks at the files each time.
// That is enough for one machine's sessions, and needs nothing but the store.
type Directory struct {
	// Signers says whose signatures count; nil when that is not known.
	Signers *manifest.AllowedSigners

	root    *os.Root // for what is no recording yet
	objects fs.FS    // the recordings: the same directory, or a bucket
	bucket  bool

	mu    sync.Mutex
	known map[string]known // manifests by path
}

// maxKnown bounds the manifests that are kept in memory, some 2 KiB each.
const maxKnown = 20_000

type known struct {
	mod time.Time
	rec Recording
}

// OpenDirectory opens the store at p.
func OpenDirectory(p string) (*Directory, error) {
	root, err := os.OpenRoot(p)
	if err != nil {
		return nil, err
	}
	return &Directory{root: root, objects: root.FS(), known: map[string]known{}}, nil
}

// OpenBucket opens recordings in a bucket; live ones are in the directory side,
// where this server received them.
func OpenBucket(side string, bucket fs.FS) (*Directory, error) {
	d, err := OpenDirectory(side)
	if err == nil {
		d.objects, d.bucket = bucket, true
	}
	return d, err
}

// all returns every recording, newest first.
func (d *Directory) all() ([]Recording, error) {
	names, err := fs.Glob(d.objects, "*/*/[0-9][0-9][0-9][0-9]/[0-9][0-9]/[0-9][0-9]/*"+manifest.JSONSuffix)
	if err != nil {
		return nil, err
	}
	var all []Recording
	seen := map[string]bool{}
	for _, n := range names {
		rec, err := d.read(n)
		if err != nil {
			continue // "castgate verify" names what is damaged
		}
		all, seen[rec.Path] = append(all, rec), true
	}
	for _, rec := range d.live("*") {
		if !seen[rec.Path] {
			all = append(all, rec)
		}
	}
	markAll(all)
	slices.SortFunc(all, newestFirst)
	return all, nil
}

func newestFirst(a, b Recording) int {
	return cmp.Or(b.Manifest.Start.Compare(a.Manifest.Start), cmp.Compare(b.ID(), a.ID()), cmp.Compare(b.Path, a.Path))
}

func (d *Directory) read(name string) (Recording, error) {
	if d.bucket {
		return d.readObject(name)
	}
	st, err := fs.Stat(d.objects, name)
	if err != nil {
		return Recording{}, err
	}
	_, sigErr := fs.Stat(d.objects, strings.TrimSuffix(name, manifest.JSONSuffix)+manifest.SigSuffix)
	k, ok := d.remembered(name)
	if !ok || !k.mod.Equal(st.ModTime()) {
		if k.rec, err = d.parse(name); err != nil {
			return Recording{}, err
		}
		k.mod = st.ModTime()
		d.remember(name, k)
	}
	rec := k.rec
	rec.Signed = sigErr == nil
	return rec, nil
}

// readObject is read for a bucket, where each look costs a request, and nothing
// is ever replaced: what has been read once is so. The signature was there
// before the manifest.
func (d *Directory) readObject(name string) (Recording, error) {
	if k, ok := d.remembered(name); ok {
		return k.rec, nil
	}
	rec, err := d.parse(name)
	if err != nil {
		return Recording{}, err
	}
	sig, err := d.objects.Open(strings.TrimSuffix(name, manifest.JSONSuffix) + manifest.SigSuffix)
	switch {
	case err == nil:
		rec.Signed = true
		err = sig.Close()
	case errors.Is(err, fs.ErrNotExist):
		err = nil
	}
	if err == nil {
		d.remember(name, known{rec: rec})
	}
	return rec, err
}

func (d *Directory) parse(name string) (Recording, error) {
	e, _, err := d.store().ReadManifest(name)
	if err != nil {
		return Recording{}, err
	}
	if path.Base(e.Base()) != e.Manifest.Session.ID {
		return Recording{}, fmt.Errorf("%q is the manifest of another recording", name)
	}
	e.State = e.Status()
	return Recording{Entry: e, Host: e.Name().Host}, nil
}

func (d *Directory) remembered(name string) (known, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	k, ok := d.known[name]
	return k, ok
}

func (d *Directory) remember(name string, k known) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.known) >= maxKnown {
		clear(d.known)
	}
	d.known[name] = k
}

// live returns the recordings that are still being written: all, for the id "*".
func (d *Directory) live(id string) (all []Recording) {
	names, _ := fs.Glob(d.root.FS(), receive.LiveDir+"/*/"+id+".cast")
	for _, n := range names {
		if rec, err := d.readLive(n); err == nil {
			all = append(all, rec)
		}
	}
	return all
}

func (d *Directory) readLive(name string) (Recording, error) {
	f, err := d.root.Open(name)
	if err != nil {
		return Recording{}, err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return Recording{}, err
	}
	in, err := asciicast.NewReader(f)
	if err != nil {
		return Recording{}, err
	}
	h := in.Header
	if h.Session == nil || h.Session.ID+".cast" != path.Base(name) {
		return Recording{}, errors.New("no castgate recording")
	}
	start := time.Unix(h.Timestamp, 0).UTC()
	long := max(0, st.ModTime().Sub(start))
	m := &manifest.Manifest{
		Session: manifest.Session(*h.Session), Command: h.Command,
		Term:  manifest.Term{Cols: h.Term.Cols, Rows: h.Term.Rows, Type: h.Term.Type},
		Start: start, End: start.Add(long), Duration: manifest.Seconds(long), Cast: manifest.Object{Bytes: st.Size()},
	}
	user, err := manifest.Element(h.Session.User)
	if err != nil {
		return Recording{}, err
	}
	host := path.Base(path.Dir(name))
	state := manifest.StateLive
	if over(f, st.Size()) {
		state = manifest.StateWaiting
	}
	at := path.Join(user, host, start.Format("2006/01/02"), h.Session.ID+manifest.JSONSuffix)
	return Recording{Entry: archive.Entry{Path: at, Manifest: m, State: state}, Host: host}, nil
}

// over says that a recording's last line is its exit.
func over(f io.ReaderAt, size int64) bool {
	end := make([]byte, min(size, 1<<10))
	if _, err := f.ReadAt(end, size-int64(len(end))); err != nil {
		return false
	}
	lines := bytes.Split(bytes.TrimSuffix(end, []byte("\n")), []byte("\n"))
	var event [3]any
	return json.Unmarshal(lines[len(lines)-1], &event) == nil && event[1] == asciicast.Exit
}

// List implements Archive.
func (d *Directory) List(_ context.Context, q Query) ([]Recording, error) {
	all, err := d.all()
	if err != nil {
		return nil, err
	}
	all = slices.DeleteFunc(all, func(r Recording) bool { return !q.Scope.Allows(r.Person()) })
	var rows []Recording
	for _, rec := range all {
		if q.Matches(rec) && (q.Before == "" || older(rec, q.Before, all)) {
			if rows = append(rows, rec); len(rows) == q.Limit {
				break
			}
		}
	}
	return rows, nil
}

// older reports whether rec comes after the recording of that name in the list.
func older(rec Recording, name string, all []Recording) bool {
	n, ok := archive.ParseName(name)
	last := slices.IndexFunc(all, func(r Recording) bool { return ok && n.Means(r.Base()) })
	return slices.IndexFunc(all, func(r Recording) bool { return r.Path == rec.Path }) > last
}

// Unnamed implements Archive.
func (d *Directory) Unnamed(_ context.Context, since time.Time) (map[string]int, error) {
	all, err := d.all()
	count := map[string]int{}
	for _, rec := range all {
		if rec.Person().IsZero() && !rec.Arriving() && !rec.Manifest.Start.Before(since) {
			count[rec.Manifest.Session.Host]++
		}
	}
	return count, err
}

// Get implements Archive.
func (d *Directory) Get(_ context.Context, name string) (Recording, error) {
	n, err := wholeName(name)
	if err != nil {
		return Recording{}, err
	}
	all, err := d.all()
	if err != nil {
		return Recording{}, err
	}
	return pick(all, n)
}

// Object implements Archive.
func (d *Directory) Object(_ context.Context, r Recording, suffix string) (io.ReadCloser, error) {
	return d.objects.Open(r.Base() + suffix)
}

// Cast implements Archive.
func (d *Directory) Cast(_ context.Context, r Recording) (io.ReadCloser, error) {
	switch {
	case r.Arriving():
		return d.root.Open(path.Join(receive.LiveDir, r.Host, r.ID()+".cast"))
	case r.State == manifest.StateSealed:
		return nil, errors.New("the recording is sealed")
	}
	return d.store().Open(r.Entry, nil)
}

func (d *Directory) store() *archive.Store {
	return &archive.Store{FS: d.objects, Name: d.root.Name()}
}

// Search implements Archive. It reads every recording that q selects.
func (d *Directory) Search(ctx context.Context, words string, q Query) ([]Hit, error) {
	want := strings.Fields(strings.ToLower(words))
	limit := q.Limit
	q.Limit = 0
	all, err := d.List(ctx, q)
	if err != nil || len(want) == 0 {
		return nil, err
	}
	var hits []Hit
	for _, rec := range all {
		if rec.State == manifest.StateSealed || rec.Arriving() {
			continue
		}
		lines, err := transcript(ctx, d, rec)
		if err != nil {
			continue // a damaged one must not hide the others
		}
		for _, l := range lines {
			if q.Visible && l.Hidden != screen.Visible {
				continue
			}
			text := strings.ToLower(strings.Join(append(archive.Readings(l.Text), l.Text), "\n"))
			if !slices.ContainsFunc(want, func(w string) bool { return !strings.Contains(text, w) }) {
				if hits = append(hits, Hit{rec, l.At, l.Text, l.Hidden.String()}); len(hits) == limit {
					return hits, nil
				}
			}
		}
	}
	return hits, ctx.Err()
}
