// SPDX-License-Identifier: AGPL-3.0-or-later

package files

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

func open(t *testing.T) *Dir {
	t.Helper()
	d, err := Make(filepath.Join(t.TempDir(), "dir"), 0o755, -1)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.Close)
	return d
}

func TestWhatIsSavedIsLoaded(t *testing.T) {
	d := open(t)
	for _, write := range []func() error{
		func() error { return d.Save("a/b", 0o644, "text") },
		func() error { return d.WriteDurably("a/b", 0o644, []byte(`"text"`)) },
		func() error { return d.WriteNew("a/b", 0o644, []byte(`"text"`)) },
	} {
		var got string
		if err := write(); err != nil || !d.Load("a/b", &got) || got != "text" {
			t.Errorf("%v, got %q", err, got)
		}
		if err := d.RemoveDurably("a/b"); err != nil || d.Load("a/b", &got) {
			t.Errorf("removed: %v", err)
		}
	}
	if err := os.WriteFile(filepath.Join(d.Path, "cut"), []byte(`"te`), 0o644); err != nil {
		t.Fatal(err)
	}
	if got := ""; d.Load("cut", &got) {
		t.Errorf("a damaged file gave %q", got)
	}
}

// TestWhatCanNotBeWritten counts in this process, in lists too.
func TestWhatCanNotBeWritten(t *testing.T) {
	d := open(t)
	if err := os.Mkdir(filepath.Join(d.Path, "a"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(d.Path, "a", "b"), 0o755); err != nil { // in the file's place
		t.Fatal(err)
	}
	if err := d.Save("a/b", 0o644, "text"); err == nil {
		t.Fatal("written over a directory")
	}
	var got string
	names, err := d.List("a")
	if !d.Load("a/b", &got) || got != "text" || err != nil || !slices.Equal(names, []string{"b"}) {
		t.Errorf("got %q, and the list %q, %v", got, names, err)
	}
}

func TestNoDirectoryKeepsNothing(t *testing.T) {
	var d *Dir
	unlock, err := d.Lock(context.Background(), "x")
	if err != nil {
		t.Fatal(err)
	}
	unlock()
	names, err := d.List(".")
	if err := errors.Join(err, d.Save("x", 0o644, 1), d.Hold("x", 1), d.Remove("x")); err != nil || len(names) > 0 || d.Load("x", new(int)) {
		t.Errorf("%v, %q", err, names)
	}
}

func TestOneHoldsALock(t *testing.T) {
	d := open(t)
	unlock, err := d.Lock(context.Background(), "x")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 3*lockPoll)
	defer cancel()
	if _, err := d.Lock(ctx, "x"); !errors.Is(err, ErrBusy) {
		t.Errorf("taken twice: %v", err)
	}
	unlock()
	if unlock, err = d.Lock(context.Background(), "x"); err != nil {
		t.Fatal(err)
	}
	unlock()
}

func TestADirectoryOfOthersIsRefused(t *testing.T) {
	d := open(t)
	if err := os.Chmod(d.Path, 0o777); err != nil {
		t.Fatal(err)
	}
	var hint interface{ Hint() string }
	if _, err := Open(d.Path); !errors.As(err, &hint) || hint.Hint() == "" {
		t.Errorf("got %v", err)
	}
	if _, err := Open(filepath.Join(d.Path, "none")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("not there: %v", err)
	}
}

func TestNoLinkIsFollowed(t *testing.T) {
	d := open(t)
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte(`"secret"`), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(d.Link("x", "elsewhere"), d.Link("x", secret)); err != nil {
		t.Fatal(err)
	}
	links, err := d.Links()
	if err != nil || links["x"] != secret {
		t.Errorf("links %q, %v", links, err)
	}
	if got := ""; d.Load("x", &got) {
		t.Errorf("read %q", got)
	}
	if err := d.Save("x", 0o600, "mine"); err != nil {
		t.Fatal(err)
	}
	if text, err := os.ReadFile(secret); err != nil || string(text) != `"secret"` {
		t.Errorf("the file elsewhere is now %q, %v", text, err)
	}
}

func TestSweep(t *testing.T) {
	d := open(t)
	old := time.Now().Add(-2 * time.Hour)
	for _, name := range []string{"kept", "left" + tmpSuffix, "young" + tmpSuffix} {
		path := filepath.Join(d.Path, name)
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if name[0] != 'y' {
			if err := os.Chtimes(path, old, old); err != nil {
				t.Fatal(err)
			}
		}
	}
	left := func(older time.Duration) string {
		d.Sweep(".", older)
		names, err := filepath.Glob(filepath.Join(d.Path, "*"))
		for i, name := range names {
			names[i] = filepath.Base(name)
		}
		return fmt.Sprint(names, err)
	}
	if got := left(Ever); got != "[kept young.tmp] <nil>" {
		t.Errorf("left: %s", got)
	}
	if got := left(time.Hour); got != "[young.tmp] <nil>" {
		t.Errorf("left: %s", got)
	}
}
