// SPDX-License-Identifier: AGPL-3.0-or-later

package store

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"testing"

	"castgate/upload/client"
	"castgate/upload/manifest"
)

const day = "bob/web1/2026/11/20"

type memory struct{ *bytes.Reader }

func (memory) Close() error { return nil }

func opening(s string) func() (io.ReadSeekCloser, error) {
	return func() (io.ReadSeekCloser, error) { return memory{bytes.NewReader([]byte(s))}, nil }
}

// ways are the two in which a file comes into an archive: by who knows its hash
// beforehand, as a target does, and by who learns it as the bytes arrive, as a
// receiver does.
var ways = map[string]func(d Dir, name, text string) error{
	"put": func(d Dir, name, text string) error {
		at, err := d.Below(day)
		if err != nil {
			return err
		}
		defer at.Close()
		return errors.Join(at.Put(name, manifest.Hash([]byte(text)), opening(text)), d.Sync(day))
	},
	"temp and keep": func(d Dir, name, text string) error {
		tmp, err := d.Temp("arriving")
		if err != nil {
			return err
		}
		defer tmp.Discard()
		_, werr := io.WriteString(tmp, text)
		if err := errors.Join(werr, d.Make(day)); err != nil {
			return err
		}
		_, err = tmp.Keep(path.Join(day, name), manifest.Hash([]byte(text)))
		return errors.Join(err, d.Sync(day))
	},
}

func TestWriters(t *testing.T) {
	for first, one := range ways {
		for second, two := range ways {
			t.Run(first+", then "+second, func(t *testing.T) {
				root := t.TempDir()
				d, err := Open(root)
				if err != nil {
					t.Fatal(err)
				}
				defer d.Close()
				at := filepath.Join(root, day, "x.json")
				if err := one(d, "x.json", "bytes"); err != nil {
					t.Fatal(err)
				}
				before, err := os.Stat(at)
				if err != nil || before.Mode().Perm()&^FileMode != 0 {
					t.Fatalf("%v, %v", before, err)
				}
				if err := two(d, "x.json", "bytes"); err != nil {
					t.Errorf("the same again: %v", err)
				}
				if err := two(d, "x.json", "other"); !errors.Is(err, ErrOther) || !client.IsRefused(err) {
					t.Errorf("other bytes: %v", err)
				}
				after, err := os.Stat(at)
				if got, _ := os.ReadFile(at); err != nil || string(got) != "bytes" || !os.SameFile(before, after) {
					t.Errorf("it was replaced: %q, %v", got, err)
				}
				if got := files(t, root); len(got) != 1 {
					t.Errorf("left behind: %q", got)
				}
			})
		}
	}
}

func TestPutHoldsBytesToTheirHash(t *testing.T) {
	root := t.TempDir()
	d, err := Open(root)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if err := d.Put("x.json", manifest.Hash([]byte("bytes")), opening("changed")); err == nil {
		t.Error("bytes of another hash were kept")
	}
	if got := files(t, root); len(got) > 0 {
		t.Errorf("left behind: %q", got)
	}
}

// TestWhatACrashLeft takes away a temporary file, and one that had its name
// already.
func TestWhatACrashLeft(t *testing.T) {
	for name, has := range map[string]func(dir string) error{
		"half a file": func(dir string) error { return os.WriteFile(filepath.Join(dir, ".new.x.json"), []byte("by"), 0o600) },
		"linked": func(dir string) error {
			return errors.Join(os.WriteFile(filepath.Join(dir, "x.json"), []byte("bytes"), 0o600),
				os.Link(filepath.Join(dir, "x.json"), filepath.Join(dir, ".new.x.json")))
		},
	} {
		root := t.TempDir()
		if err := errors.Join(os.MkdirAll(filepath.Join(root, day), 0o755), has(filepath.Join(root, day))); err != nil {
			t.Fatal(err)
		}
		d, err := Open(root)
		if err != nil {
			t.Fatal(err)
		}
		defer d.Close()
		if err := ways["put"](d, "x.json", "bytes"); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if got := files(t, root); len(got) != 1 || got[0] != day+"/x.json" {
			t.Errorf("%s: %q", name, got)
		}
	}
}

func TestNothingIsStoredOutside(t *testing.T) {
	root, outside := t.TempDir(), t.TempDir()
	if err := os.Symlink(outside, filepath.Join(root, "bob")); err != nil {
		t.Fatal(err)
	}
	d, err := Open(root)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	for name, way := range ways {
		if err := way(d, "x.json", "bytes"); err == nil {
			t.Errorf("%s: stored", name)
		}
	}
	if got := files(t, outside); len(got) > 0 {
		t.Errorf("outside: %q", got)
	}
}

func TestReplace(t *testing.T) {
	for _, durability := range []Durability{Lasting, Fleeting} {
		dir := t.TempDir()
		root, err := os.OpenRoot(dir)
		if err != nil {
			t.Fatal(err)
		}
		defer root.Close()
		if err := os.Mkdir(filepath.Join(dir, "sub"), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "sub/.x.prom.new"), []byte("cut"), 0o600); err != nil { // by a crash
			t.Fatal(err)
		}
		for _, want := range []string{"long, and the first", "short"} {
			reader, err := root.Open("sub/x.prom")
			old := "none"
			if err == nil {
				defer reader.Close()
				old = "long, and the first"
			}
			if err := Replace(root, "sub/x.prom", 0o644, []byte(want), durability); err != nil {
				t.Fatal(err)
			}
			if reader != nil {
				if got, err := io.ReadAll(reader); err != nil || string(got) != old {
					t.Errorf("who had it open reads %q, %v", got, err)
				}
			}
			if got, err := root.ReadFile("sub/x.prom"); err != nil || string(got) != want {
				t.Errorf("%q, %v", got, err)
			}
		}
		if got := files(t, dir); len(got) != 1 {
			t.Errorf("left behind: %q", got)
		}
	}
}

// files lists what is below a directory.
func files(t *testing.T, dir string) (all []string) {
	t.Helper()
	err := fs.WalkDir(os.DirFS(dir), ".", func(p string, e fs.DirEntry, err error) error {
		if err == nil && e.Type().IsRegular() {
			all = append(all, p)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}
