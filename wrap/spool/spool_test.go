// SPDX-License-Identifier: AGPL-3.0-or-later

package spool

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

const id = "01935b7e-0000-7000-8000-000000000001"

func open(t *testing.T) *Dir {
	t.Helper()
	path := t.TempDir()
	for _, sub := range []string{Live, Incoming, Bad} {
		if err := os.Mkdir(filepath.Join(path, sub), 0o770); err != nil {
			t.Fatal(err)
		}
	}
	d, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return d
}

func exists(d *Dir, sub string) bool {
	_, err := os.Lstat(filepath.Join(d.Path, sub, id+Suffix))
	return err == nil
}

// A host may give its people a umask of 077 (login.defs, pam_umask): the uploader
// reads by the group all the same.
func TestAUmaskHidesNothingFromTheUploader(t *testing.T) {
	d := open(t)
	old := unix.Umask(0o077)
	f, err := d.Create(id)
	unix.Umask(old)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil || info.Mode().Perm() != 0o640 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
}

func TestLifeOfARecording(t *testing.T) {
	d := open(t)
	f, err := d.Create(id)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.Create(id); !errors.Is(err, fs.ErrExist) {
		t.Errorf("the same id twice: %v", err)
	}
	if alive, err := d.Alive(id); !alive || err != nil {
		t.Errorf("alive %v, %v", alive, err)
	}
	fmt.Fprintln(f, "{}")
	if err := d.TakeOrphan(id); !errors.Is(err, ErrAlive) {
		t.Errorf("took a recording from its living writer: %v", err)
	}
	if n, err := d.LiveOf(os.Getuid()); n != 1 || err != nil {
		t.Errorf("%d live, %v", n, err)
	}
	if err := d.Ready(id); err != nil || exists(d, Live) || !exists(d, Incoming) {
		t.Fatalf("ready: %v", err)
	}
	if err := d.Remove(id); err != nil || exists(d, Incoming) {
		t.Errorf("remove: %v", err)
	}
}

func TestOrphanIsTakenOver(t *testing.T) {
	d := open(t)
	f, err := d.Create(id)
	if err != nil {
		t.Fatal(err)
	}
	f.Close() // as the kernel does when the writer is killed
	if err := d.TakeOrphan(id); !errors.Is(err, ErrAlive) {
		t.Errorf("took a newborn: %v", err)
	}
	old := time.Now().Add(-2 * newborn)
	if err := os.Chtimes(filepath.Join(d.Path, Live, id+Suffix), old, old); err != nil {
		t.Fatal(err)
	}
	if err := d.TakeOrphan(id); err != nil || !exists(d, Incoming) {
		t.Errorf("take: %v", err)
	}
}

func TestNothingIsReplaced(t *testing.T) {
	d := open(t)
	for _, sub := range []string{Live, Incoming} {
		if err := os.WriteFile(filepath.Join(d.Path, sub, id+Suffix), []byte(sub), 0o640); err != nil {
			t.Fatal(err)
		}
	}
	if err := d.Ready(id); !errors.Is(err, fs.ErrExist) {
		t.Errorf("got %v", err)
	}
}

func TestOpenRefusesWhatNoRecorderMakes(t *testing.T) {
	d := open(t)
	path := filepath.Join(d.Path, Incoming, id+Suffix)
	other := filepath.Join(d.Path, "other")
	if err := os.WriteFile(other, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, plant := range map[string]func() error{
		"a link out of the spool": func() error { return os.Symlink("/etc/passwd", path) },
		"a link inside":           func() error { return os.Symlink("../other", path) },
		"a second name":           func() error { return os.Link(other, path) },
		"a directory":             func() error { return os.Mkdir(path, 0o700) },
	} {
		if err := plant(); err != nil {
			t.Fatal(err)
		}
		if f, err := d.Open(Incoming, id); err == nil {
			f.Close()
			t.Errorf("opened %s", name)
		}
		os.RemoveAll(path)
	}
}

func TestNames(t *testing.T) {
	d := open(t)
	for _, n := range []string{id + Suffix, "x.cast", ".hidden", id, "01935B7E-0000-7000-8000-000000000001.cast"} {
		if err := os.WriteFile(filepath.Join(d.Path, Incoming, n), nil, 0o640); err != nil {
			t.Fatal(err)
		}
	}
	var ids, others []string
	err := d.Names(Incoming, func(id string) error { ids = append(ids, id); return nil }, func(n string) { others = append(others, n) })
	if err != nil || len(ids) != 1 || len(others) != 4 {
		t.Errorf("got %q, %q, %v", ids, others, err)
	}
}

func TestMissingSpoolHasAHint(t *testing.T) {
	_, err := Open(filepath.Join(t.TempDir(), "none"))
	var h interface{ Hint() string }
	if !errors.As(err, &h) {
		t.Errorf("got %v", err)
	}
}

func TestHeld(t *testing.T) {
	d := open(t)
	const id = "01890a5d-ac96-774b-bcce-b302099a8057"
	w, err := d.Create(id)
	if err != nil {
		t.Fatal(err)
	}
	r, err := d.Open(Live, id)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if !Held(r) {
		t.Error("not held while it is written")
	}
	if err := d.Ready(id); err != nil {
		t.Fatal(err)
	}
	if !Held(r) {
		t.Error("not held after the rename")
	}
	w.Close()
	if Held(r) {
		t.Error("held after its writer has gone")
	}
}

// TestLiveOfMany: a login among thousands of sessions counts its own.
func TestLiveOfMany(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root can make files that are another's")
	}
	d := open(t)
	const other, mine = 12345, 700
	for i := range 2 * mine {
		path := filepath.Join(d.Path, Live, fmt.Sprintf("01935b7e-0000-7000-8000-%012x", i)+Suffix)
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if i%2 == 0 {
			if err := os.Chown(path, other, -1); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, stranger := range []string{"note", "x.castle", ".cast.txt"} {
		if err := os.WriteFile(filepath.Join(d.Path, Live, stranger), nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chown(filepath.Join(d.Path, Live, stranger), other, -1); err != nil {
			t.Fatal(err)
		}
	}
	if n, err := d.LiveOf(other); n != mine || err != nil {
		t.Errorf("got %d, %v, want %d", n, err, mine)
	}
}
