// SPDX-License-Identifier: AGPL-3.0-or-later

package archive

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"filippo.io/age"
	"github.com/klauspost/compress/zstd"

	"castgate/upload/archive/archivetest"
	"castgate/upload/archive/screen"
	"castgate/upload/manifest"
)

var noon = time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)

// small is an archive of four recordings on three days.
func small(t *testing.T) (*Store, []archivetest.Recording, string) {
	t.Helper()
	dir := t.TempDir()
	all := []archivetest.Recording{
		{User: "deploy", Host: "web1", Login: "Octocat", Start: noon, Output: []string{"$ ", "sudo systemctl restart nginx\r\n", "$ exit\r\n"}},
		{User: "alice", Host: "web1", Login: "alice-gh", LoginID: 7, Start: noon.Add(time.Hour), Output: []string{"$ cat /etc/passwd\r\nroot:x:0:0\r\n"}, Exit: 7},
		{User: "deploy", Host: "db.example.org", Start: noon.Add(24 * time.Hour), Command: "uptime", NoTTY: true, Output: []string{"up 3 days\nload 0.1\n"}},
		{User: "deploy", Host: "web1", Start: noon.Add(48 * time.Hour), Output: []string{"Grüße, 漢字 sudo\r\n"}, Cut: true},
	}
	for i := range all {
		if _, _, err := all[i].Write(dir); err != nil {
			t.Fatal(err)
		}
	}
	s, err := OpenDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	return s, all, dir
}

func scoped(s Scope) Query { return Query{Scope: &s} }

func fails(t *testing.T) func(error) {
	return func(err error) {
		t.Helper()
		t.Errorf("complained: %v", err)
	}
}

// Both ways of listing must give the same.
func TestListing(t *testing.T) {
	s, all, _ := small(t)
	ix, err := OpenIndex(filepath.Join(t.TempDir(), "index ?%.sqlite"), true)
	if err != nil {
		t.Fatal(err)
	}
	defer ix.Close()
	if err := ix.Update(t.Context(), s, false, fails(t)); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name   string
		filter Query
		want   []int
	}{
		{"all", Query{}, []int{3, 2, 1, 0}},
		{"user", Query{User: "deploy"}, []int{3, 2, 0}},
		{"host", Query{Host: "web1"}, []int{3, 1, 0}},
		{"login in any case", Query{Login: manifest.NewPerson("octoCAT", 0)}, []int{0}},
		{"account named as a login", Query{Login: manifest.NewPerson("alice", 0)}, nil},
		{"login named as an account", Query{User: "alice-gh"}, nil},
		{"renamed", Query{Login: manifest.NewPerson("alice-now", 7)}, []int{1}},
		{"who took the login", Query{Login: manifest.NewPerson("alice-gh", 8)}, nil},
		{"an id that the recording doesn't tell", Query{Login: manifest.NewPerson("octocat", 8)}, []int{0}},
		{"no login at all", Query{Login: manifest.NewPerson("a b", 0)}, nil},
		{"everything", scoped(Everything()), []int{3, 2, 1, 0}},
		{"nothing", scoped(Scope{}), nil},
		{"of nobody", scoped(SessionsOf()), nil},
		{"of no person", scoped(SessionsOf(manifest.Person{})), nil},
		{"own", scoped(SessionsOf(manifest.NewPerson("alice-now", 7))), []int{1}},
		{"of an account's name", scoped(SessionsOf(manifest.NewPerson("deploy", 0))), nil},
		{"of a team", scoped(SessionsOf(manifest.NewPerson("alice-now", 7), manifest.NewPerson("octocat", 8), manifest.NewPerson("deploy", 9))), []int{1, 0}},
		{"nobody", Query{User: "../deploy"}, nil},
		{"since", Query{Since: noon.Add(30 * time.Minute)}, []int{3, 2, 1}},
		{"since, within a session", Query{Since: noon.Add(2 * time.Second), User: "deploy", Host: "web1"}, []int{3, 0}},
		{"until", Query{Until: noon.Add(time.Hour)}, []int{0}},
		{"between", Query{Since: noon.Add(time.Minute), Until: noon.Add(25 * time.Hour)}, []int{2, 1}},
		{"id", Query{ID: all[1].ID()}, []int{1}},
		{"beginning of an id", Query{ID: all[1].ID()[:8]}, []int{1}},
		{"another id", Query{ID: "ffffffff"}, nil},
	} {
		for _, l := range []*Listing{{Store: s}, {Store: s, Index: ix}} {
			var got []int
			for r, err := range l.List(tt.filter) {
				if err != nil {
					t.Fatal(err)
				}
				got = append(got, slices.IndexFunc(all, func(a archivetest.Recording) bool { return a.ID() == r.ID }))
			}
			if !slices.Equal(got, tt.want) {
				t.Errorf("%s (index: %v): got %v, want %v", tt.name, l.Index != nil, got, tt.want)
			}
		}
	}
	var walked, indexed []string
	for r := range (&Listing{Store: s}).List(Query{}) {
		walked = append(walked, fmt.Sprintf("%+v %v %s %s", r, r.Exit != nil, r.Outcome(), r.What()))
	}
	for r := range ix.List(Query{}) {
		indexed = append(indexed, fmt.Sprintf("%+v %v %s %s", r, r.Exit != nil, r.Outcome(), r.What()))
	}
	a, b := strings.Join(walked, "\n"), strings.Join(indexed, "\n")
	if maskPointers(a) != maskPointers(b) {
		t.Errorf("walked\n%s\nindexed\n%s", a, b)
	}
}

// maskPointers takes the address of an exit status out.
func maskPointers(s string) string {
	var b strings.Builder
	for _, f := range strings.Fields(s) {
		if !strings.HasPrefix(f, "Exit:0x") {
			b.WriteString(f + " ")
		}
	}
	return b.String()
}

func TestFind(t *testing.T) {
	s, all, _ := small(t)
	for _, r := range all {
		for _, n := range []int{8, 13, 36} {
			e, err := s.Find(r.ID()[:n])
			if err != nil || e.Manifest.Session.ID != r.ID() {
				t.Errorf("%s: %v", r.ID()[:n], err)
			}
		}
	}
	for _, id := range []string{"0", "ffffffff"} {
		var h interface{ Hint() string }
		if _, err := s.Find(id); err == nil || !errors.As(err, &h) {
			t.Errorf("%s: %v", id, err)
		}
	}
	// An id that was not made when the session began is found, too.
	late := all[0]
	late.Start = noon.AddDate(-2, 0, 0)
	m, _, stored := late.Objects()
	dir := t.TempDir()
	at := filepath.Join(dir, "deploy/web1/2026/11/20")
	m.Start, m.End = noon, noon.Add(time.Duration(m.Duration))
	text, _ := m.Encode()
	if err := errors.Join(os.MkdirAll(at, 0o755), os.WriteFile(filepath.Join(at, m.Session.ID+".json"), text, 0o600), os.WriteFile(filepath.Join(at, m.Stored.Name), stored, 0o600)); err != nil {
		t.Fatal(err)
	}
	other, err := OpenDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	if e, err := other.Find(m.Session.ID); err != nil || e.Manifest.Session.ID != m.Session.ID {
		t.Errorf("an id of another time: %v", err)
	}
	for id, want := range map[string]bool{"": false, "0": true, all[0].ID(): true, all[0].ID() + "0": false, "../x": false, "0189-": true, "g": false, "recording": false} {
		if IsID(id) != want {
			t.Errorf("IsID(%q) is not %v", id, want)
		}
	}
}

func TestSearch(t *testing.T) {
	s, all, dir := small(t)
	ix, err := OpenIndex(filepath.Join(t.TempDir(), "index.sqlite"), true)
	if err != nil {
		t.Fatal(err)
	}
	defer ix.Close()
	update := func() {
		t.Helper()
		if err := ix.Update(t.Context(), s, false, fails(t)); err != nil {
			t.Fatal(err)
		}
		if _, err := ix.UpdateText(t.Context(), s, 0, 2, fails(t)); err != nil {
			t.Fatal(err)
		}
	}
	search := func(f Query, words ...string) []string {
		t.Helper()
		var got []string
		for found, err := range ix.Search(words, f, 0) {
			if err != nil {
				t.Fatal(err)
			}
			n := slices.IndexFunc(all, func(a archivetest.Recording) bool { return a.ID() == found.ID })
			for _, h := range found.Hits {
				got = append(got, fmt.Sprintf("%d %v %s", n, h.At, h.Text))
			}
		}
		return got
	}
	update()
	for _, tt := range []struct {
		words  []string
		filter Query
		want   []string
	}{
		{[]string{"sudo"}, Query{}, []string{"3 0 Grüße, 漢字 sudo", "0 1 $ sudo systemctl restart nginx"}},
		{[]string{"SUDO", "nginx"}, Query{}, []string{"0 1 $ sudo systemctl restart nginx"}},
		{[]string{"sudo", "exit"}, Query{}, []string{"0 1 $ sudo systemctl restart nginx", "0 2 $ exit"}},
		{[]string{"etc passwd"}, Query{}, []string{"1 0 $ cat /etc/passwd"}},
		{[]string{"/etc/passwd"}, Query{}, []string{"1 0 $ cat /etc/passwd"}},
		{[]string{"passwd etc"}, Query{}, nil},
		{[]string{"system*"}, Query{}, []string{"0 1 $ sudo systemctl restart nginx"}},
		{[]string{"system"}, Query{}, nil},
		{[]string{"grusse"}, Query{}, nil},
		{[]string{"gruße"}, Query{}, []string{"3 0 Grüße, 漢字 sudo"}},
		{[]string{"漢字"}, Query{}, []string{"3 0 Grüße, 漢字 sudo"}},
		{[]string{"load"}, Query{}, []string{"2 0 load 0.1"}},
		{[]string{"sudo"}, Query{Login: manifest.NewPerson("OCTOCAT", 0)}, []string{"0 1 $ sudo systemctl restart nginx"}},
		{[]string{"etc passwd"}, Query{Login: manifest.NewPerson("alice-now", 7)}, []string{"1 0 $ cat /etc/passwd"}},
		{[]string{"etc passwd"}, Query{Login: manifest.NewPerson("alice-gh", 8)}, nil},
		{[]string{"etc passwd"}, Query{Login: manifest.NewPerson("alice", 0)}, nil},
		{[]string{"sudo"}, scoped(Scope{}), nil},
		{[]string{"sudo"}, scoped(SessionsOf(manifest.NewPerson("octocat", 8))), []string{"0 1 $ sudo systemctl restart nginx"}},
		{[]string{"sudo"}, scoped(SessionsOf(manifest.NewPerson("octocat", 8), manifest.NewPerson("deploy", 0))), []string{"0 1 $ sudo systemctl restart nginx"}},
		{[]string{"sudo"}, Query{User: "deploy", Host: "web1", Since: noon.Add(time.Hour)}, []string{"3 0 Grüße, 漢字 sudo"}},
		{[]string{"sudo"}, Query{Until: noon.Add(time.Hour)}, []string{"0 1 $ sudo systemctl restart nginx"}},
		{[]string{"sudo"}, Query{User: "alice"}, nil},
		{[]string{`x" OR text:"sudo`}, Query{}, nil},
		{[]string{`about:"u616c696365"`}, Query{}, nil},
		{[]string{"NEAR(", "*sudo*"}[:1], Query{}, nil},
	} {
		if got := search(tt.filter, tt.words...); !slices.Equal(got, tt.want) {
			t.Errorf("%q %+v:\n got %q\nwant %q", tt.words, tt.filter, got, tt.want)
		}
	}
	for _, words := range [][]string{{}, {"*"}, {"--"}, {""}} {
		for _, err := range ix.Search(words, Query{}, 0) {
			if err == nil {
				t.Errorf("%q found something", words)
			}
		}
	}

	// What comes later is added, what goes is taken out.
	more := archivetest.Recording{User: "bob", Host: "web9", Start: noon.Add(time.Minute), Output: []string{"sudo reboot\r\n"}}
	all = append(all, more)
	m, _, err := more.Write(dir)
	if err != nil {
		t.Fatal(err)
	}
	update()
	if got := search(Query{}, "sudo", "reboot"); !slices.Equal(got, []string{"4 0 sudo reboot"}) {
		t.Errorf("after one was added: %q", got)
	}
	if err := os.Remove(filepath.Join(dir, m.Path(manifest.JSONSuffix))); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(filepath.Join(dir, "alice")); err != nil {
		t.Fatal(err)
	}
	update()
	if got := search(Query{}, "reboot"); got != nil {
		t.Errorf("after its manifest was removed: %q", got)
	}
	if got := search(Query{}, "passwd"); got != nil {
		t.Errorf("after the directory was removed: %q", got)
	}
	if n, pending, err := ix.Count(); n != 3 || pending != 0 || err != nil {
		t.Errorf("%d recordings, %d pending, %v", n, pending, err)
	}
}

// What somebody shows and then hides (attack 702) is found, at its second, and
// says how it was hidden; a search for what was visible leaves it out.
func TestHiddenTextIsFound(t *testing.T) {
	dir := t.TempDir()
	r := archivetest.Recording{User: "mallory", Host: "web1", Start: noon, Output: []string{
		"\x1b[8mconcealed\x1b[m\r\n",
		"overwritten", "\rharmless...\r\n",
		"wiped\r", "     \r$ \r\n",
		"cleared\r\x1b[K\r\n",
		"\x1b[?1049h\x1b[Halternate", "\x1b[?1049l",
		"sp\x1b[31ml\x1b]0;x\x07i\x1b[mtted\r\n",
		"paged\r\n\x1b[H\x1b[2J",
		"# ", "hunter", strings.Repeat("\b \b", 6), "id c\u200ba\ufe0ff\u00e9 \uff43\uff41fe\u0301\r\n\x1b]0;x\r\nunended",
	}}
	if _, _, err := r.Write(dir); err != nil {
		t.Fatal(err)
	}
	s, err := OpenDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	ix, err := OpenIndex(filepath.Join(t.TempDir(), "index.sqlite"), true)
	if err != nil {
		t.Fatal(err)
	}
	defer ix.Close()
	if err := ix.Update(t.Context(), s, false, fails(t)); err != nil {
		t.Fatal(err)
	}
	if _, err := ix.UpdateText(t.Context(), s, 0, 1, fails(t)); err != nil {
		t.Fatal(err)
	}
	for word, want := range map[string]Hit{
		"concealed": {At: 0, Hidden: "concealed"}, "overwritten": {At: 1, Hidden: "overwritten"}, "wiped": {At: 3, Hidden: "erased"},
		"cleared": {At: 5, Hidden: "erased"}, "alternate": {At: 6}, "splitted": {At: 8, Hidden: "erased"}, "paged": {At: 9, Hidden: "erased"},
		"hunter": {At: 11, Hidden: "rubbed out"}, "unended": {At: 13, Hidden: "control string"}, "id": {At: 13}, "café": {At: 13},
	} {
		for _, visible := range []bool{false, true} {
			got, n := Hit{}, 0
			for found, err := range ix.Search([]string{word}, Query{Visible: visible}, 0) {
				if err != nil {
					t.Fatal(err)
				}
				n++
				got = Hit{At: found.Hits[0].At, Hidden: found.Hits[0].Hidden}
			}
			switch {
			case visible && want.Hidden != "":
				if n != 0 {
					t.Errorf("%q is visible: %+v", word, got)
				}
			case n != 1 || got != want:
				t.Errorf("%q, visible %v: %d found, %+v, want %+v", word, visible, n, got, want)
			}
		}
	}
}

func TestALongRecordingIsFoundInPieces(t *testing.T) {
	dir := t.TempDir()
	var out []string
	for i := range 400 {
		out = append(out, fmt.Sprintf("page%04d needle\r\n%s", i, strings.Repeat("filler text to make it long\r\n", 60)))
	}
	r := archivetest.Recording{User: "u", Host: "h", Start: noon, Output: out}
	if _, _, err := r.Write(dir); err != nil {
		t.Fatal(err)
	}
	s, err := OpenDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	ix, err := OpenIndex(filepath.Join(t.TempDir(), "index.sqlite"), true)
	if err != nil {
		t.Fatal(err)
	}
	defer ix.Close()
	if err := ix.Update(t.Context(), s, false, fails(t)); err != nil {
		t.Fatal(err)
	}
	if _, err := ix.UpdateText(t.Context(), s, 0, 1, fails(t)); err != nil {
		t.Fatal(err)
	}
	n := 0
	for f, err := range ix.Search([]string{"needle"}, Query{}, 0) {
		if n++; err != nil || len(f.Hits) <= maxHits || f.Hits[0].Text != "page0000 needle" || !slices.IsSortedFunc(f.Hits, func(a, b Hit) int { return int(a.At - b.At) }) {
			t.Errorf("%v %+v", err, f.Hits)
		}
	}
	for f := range ix.Search([]string{"page0399"}, Query{}, 0) {
		if n++; len(f.Hits) != 1 || f.Hits[0].At != 399 {
			t.Errorf("%+v", f.Hits)
		}
	}
	if n != 2 {
		t.Errorf("%d recordings found, want one for each search", n)
	}
}

func TestAnIndexThatIsNone(t *testing.T) {
	dir := t.TempDir()
	if _, err := OpenIndex(filepath.Join(dir, "none"), false); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("missing: %v", err)
	}
	bad := filepath.Join(dir, "bad")
	if err := os.WriteFile(bad, []byte(strings.Repeat("this is no database ", 500)), 0o600); err != nil {
		t.Fatal(err)
	}
	var h interface{ Hint() string }
	if _, err := OpenIndex(bad, true); err == nil || !errors.As(err, &h) {
		t.Errorf("damaged: %v", err)
	}
	old := filepath.Join(dir, "old")
	ix, err := OpenIndex(old, true)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ix.db.Exec("PRAGMA user_version=999"); err != nil {
		t.Fatal(err)
	}
	ix.Close()
	if _, err := OpenIndex(old, false); err == nil {
		t.Error("an index of another version was used")
	}
	if ix, err = OpenIndex(old, true); err != nil {
		t.Fatal(err)
	}
	ix.Close()
	if info, err := os.Stat(old); err != nil || info.Mode().Perm()&0o007 != 0 {
		t.Errorf("others may read what was on screens: %v, %v", info.Mode(), err)
	}
}

func TestHostileManifestsAreLeftOut(t *testing.T) {
	s, _, dir := small(t)
	for path, text := range map[string]string{
		"deploy/web1/2026/11/20/01890a5d-ac96-774b-bcce-b302099a8057.json": "{",
		"deploy/web1/2026/11/20/.hidden.json":                              "{",
		"deploy/web1/README":                                               "x",
		"deploy/web1/2026/xx/20/a.json":                                    "{}",
	} {
		path = filepath.Join(dir, path)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("/etc", filepath.Join(dir, "deploy", "etc")); err != nil {
		t.Fatal(err)
	}
	good, bad := 0, 0
	for _, err := range s.Walk(Query{}) {
		if err != nil {
			bad++
		} else {
			good++
		}
	}
	if good != 4 || bad == 0 || bad > 2 {
		t.Errorf("%d good, %d bad", good, bad)
	}
}

func TestOpenSniffsAndUnseals(t *testing.T) {
	cast := (&archivetest.Recording{User: "u", Host: "h", Start: noon, Output: []string{"hi"}}).Cast()
	id1, _ := age.GenerateX25519Identity()
	id2, _ := age.GenerateX25519Identity()
	seal := func(p []byte, to age.Recipient) []byte {
		var b bytes.Buffer
		w, err := age.Encrypt(&b, to)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = w.Write(p)
		w.Close()
		return b.Bytes()
	}
	enc, _ := zstd.NewWriter(nil)
	packed := enc.EncodeAll(cast, nil)
	huge, _ := zstd.NewWriter(nil, zstd.WithWindowSize(zstd.MaxWindowSize), zstd.WithSingleSegment(false))
	var bomb bytes.Buffer
	huge.Reset(&bomb)
	_, _ = huge.Write(make([]byte, 1<<20))
	huge.Close()
	for _, tt := range []struct {
		name string
		file []byte
		ids  []age.Identity
		want string // "" for the cast, else what the error says
	}{
		{"plain", cast, nil, ""},
		{"packed", packed, nil, ""},
		{"sealed", seal(packed, id1.Recipient()), []age.Identity{id2, id1}, ""},
		{"sealed twice", seal(seal(packed, id1.Recipient()), id2.Recipient()), []age.Identity{id1, id2}, ""},
		{"no identity", seal(packed, id1.Recipient()), nil, "sealed"},
		{"another identity", seal(packed, id1.Recipient()), []age.Identity{id2}, "sealed"},
		{"one layer's identity", seal(seal(packed, id1.Recipient()), id2.Recipient()), []age.Identity{id2}, "sealed"},
		{"a window that takes memory", bomb.Bytes(), nil, "window"},
		{"cut", packed[:len(packed)-3], nil, "EOF"},
	} {
		path := filepath.Join(t.TempDir(), "file")
		if err := os.WriteFile(path, tt.file, 0o600); err != nil {
			t.Fatal(err)
		}
		var got []byte
		in, err := OpenFile(path, tt.ids)
		if err == nil {
			got, err = io.ReadAll(in)
			in.Close()
		}
		switch {
		case tt.want == "" && (err != nil || !bytes.Equal(got, cast)):
			t.Errorf("%s: %v", tt.name, err)
		case tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)):
			t.Errorf("%s: %v, want %q", tt.name, err, tt.want)
		}
	}
}

func TestParseMomentAndTime(t *testing.T) {
	for s, want := range map[string]time.Duration{
		"90": 90 * time.Second, "1m30s": 90 * time.Second, "12:30": 12*time.Minute + 30*time.Second, "1:02:03.5": time.Hour + 2*time.Minute + 3500*time.Millisecond,
		"0": 0, "": -1, "-5s": -1, "12:60": -1, "1:2:3:4": -1, "a:b": -1, "1e5:00": -1, ":5": -1,
	} {
		got, err := ParseMoment(s)
		if err != nil {
			got = -1
		}
		if got != want {
			t.Errorf("%q: %v, want %v", s, got, want)
		}
	}
	now := time.Date(2026, 11, 22, 15, 4, 5, 0, time.UTC)
	for s, want := range map[string]string{
		"2026-11-01": "2026-11-01T00:00:00Z", "2026-11-01 10:20": "2026-11-01T10:20:00Z", "2026-11-01T10:20:30+01:00": "2026-11-01T10:20:30+01:00",
		"7d": "2026-11-15T15:04:05Z", "90m": "2026-11-22T13:34:05Z", "today": "2026-11-22T00:00:00Z", "yesterday": "2026-11-21T00:00:00Z",
		"": "", "-1d": "", "tomorrow": "", "1.5d": "", "2026-13-01": "",
	} {
		got, err := ParseTime(s, now)
		text := got.Format(time.RFC3339)
		if err != nil {
			text = ""
		}
		if text != want {
			t.Errorf("%q: %q, want %q", s, text, want)
		}
	}
}

func TestTranscribeEnds(t *testing.T) {
	whole := string((&archivetest.Recording{User: "u", Host: "h", Start: noon, Output: []string{"a\r\n", "b"}}).Cast())
	for _, tt := range []struct {
		name, cast string
		torn, ok   bool
		want       string
	}{
		{"whole", whole, false, true, "ab"},
		{"torn", whole[:len(whole)-4], true, true, "ab"},
		{"torn in the header", whole[:20], true, true, ""},
		{"empty", "", false, false, ""},
		{"another file without newline", "hello", false, false, ""},
		{"another file", "hello\n", false, false, ""},
	} {
		var got strings.Builder
		torn, err := Transcribe(context.Background(), strings.NewReader(tt.cast), func(l screen.Line) { got.WriteString(l.Text) })
		if torn != tt.torn || (err == nil) != tt.ok || got.String() != tt.want {
			t.Errorf("%s: torn %v, %v, %q", tt.name, torn, err, got.String())
		}
	}
}

func TestPlain(t *testing.T) {
	for in, want := range map[string]string{
		"web1": "web1", "a\x1b[31mb": "a<U+001B>[31mb", "x\ny": "x<U+000A>y", "a\u202eb": "a<U+202E>b", "é漢": "é漢", "\u009b1m": "<U+009B>1m", "\xff": "\ufffd",
	} {
		if got := Plain(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}
