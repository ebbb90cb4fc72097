// SPDX-License-Identifier: AGPL-3.0-or-later

package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"filippo.io/age"
	"github.com/creack/pty"

	"castgate/packaging/hosttest"
	"castgate/upload/archive"
	"castgate/upload/archive/archivetest"
	"castgate/upload/archive/web"
	"castgate/upload/manifest"
)

// fixture is an archive with three recordings, one of them hostile, and the
// configuration that names it.
type fixture struct {
	config, dir string
	ids         []string
}

func newFixture(t *testing.T) *fixture {
	t.Helper()
	base := t.TempDir()
	f := &fixture{config: filepath.Join(base, "archive.yaml"), dir: filepath.Join(base, "archive")}
	start := time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)
	prev := ""
	for i, r := range []archivetest.Recording{
		{User: "deploy", Host: "web1", Login: "octocat", LoginID: 583231, Start: start, Output: []string{"$ ", "sudo reboot\r\n", "\x1b]0;title\x07bye\r\n"}},
		{User: "evil\x1b[2J", Host: "web1", Login: "x\u202ey", Command: "a\nb\x1b]0;t\x07", Start: start.Add(time.Hour), Output: []string{"\x1b[5nquiet\r\n"}},
		{User: "deploy", Host: "web1", NoTTY: true, Command: "uptime", Start: start.Add(2 * time.Hour), Output: []string{"up\ndown\n"}, Cut: true},
	} {
		r.Seq, r.Prev = int64(i+1), prev
		m, hash, err := r.Write(f.dir)
		if err != nil {
			t.Fatal(err)
		}
		prev = hash
		f.ids = append(f.ids, m.Session.ID)
	}
	text := fmt.Sprintf("store: {dir: %s}\nindex: %s\nkeys: %s\n", f.dir, filepath.Join(base, "index.sqlite"), filepath.Join(base, "none"))
	if err := os.WriteFile(f.config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return f
}

// run runs a command with the fixture's configuration.
func (f *fixture) run(t *testing.T, args ...string) (code int, out, errs string) {
	t.Helper()
	return castgate(t, append([]string{args[0], "-config", f.config}, args[1:]...)...)
}

// local is a time of UTC's as it is written where the tests run.
func local(utc string) string {
	t, err := time.Parse("2006-01-02 15:04", utc)
	if err != nil {
		panic(err)
	}
	return t.Local().Format("2006-01-02 15:04")
}

func TestLs(t *testing.T) {
	f := newFixture(t)
	for _, indexed := range []bool{false, true} {
		if indexed {
			if code, out, errs := f.run(t, "index"); code != 0 || !strings.HasPrefix(out, "3 recordings, 3 of them new, 0 ") {
				t.Fatalf("index: %d %q %q", code, out, errs)
			}
		}
		code, out, errs := f.run(t, "ls")
		lines := strings.Split(strings.TrimSpace(out), "\n")
		if code != 0 || errs != "" || len(lines) != 4 || !strings.HasPrefix(lines[1], f.ids[2]) || !strings.Contains(lines[1], " cut  uptime") {
			t.Errorf("indexed %v: %d %q\n%s", indexed, code, errs, out)
		}
		if strings.ContainsAny(strings.ReplaceAll(out, "\n", ""), "\x1b\x07\r\n") || strings.Contains(out, "\u202e") {
			t.Errorf("indexed %v: control characters: %q", indexed, out)
		}
		_, out, _ = f.run(t, "ls", "-json", "-user", "deploy", "-since", local("2026-11-20 13:30"), "-until", local("2026-11-21 00:00"))
		var row archive.Row
		if err := json.Unmarshal([]byte(out), &row); err != nil || row.ID != f.ids[2] || row.Exit != nil || row.Complete {
			t.Errorf("indexed %v: -json: %v %s", indexed, err, out)
		}
		if _, out, _ := f.run(t, "ls", f.ids[0][:8]); strings.Count(out, "\n") != 2 || !strings.Contains(out, f.ids[0]) {
			t.Errorf("by id: %s", out)
		}
		for args, want := range map[string]int{
			"-login OCTOCAT": 1, "-login octocat:583231": 1, "-login renamed:583231": 1, "-login octocat:1": 0,
			"-login deploy": 0, "-user octocat": 0, "-user deploy": 2,
		} {
			_, out, _ := f.run(t, append([]string{"ls", "-json"}, strings.Fields(args)...)...)
			if got := strings.Count(out, "\n"); got != want {
				t.Errorf("indexed %v: %s: %d recordings, want %d", indexed, args, got, want)
			}
		}
		if code, out, errs := f.run(t, "ls", "-user", "nobody"); code != 0 || out != "" || errs != "castgate: no recordings\n" {
			t.Errorf("nobody: %d %q %q", code, out, errs)
		}
	}
	for _, args := range [][]string{{"ls", "-since", "tomorrow"}, {"ls", "x"}, {"ls", "a", "b"}, {"ls", "-login", "a b"}, {"ls", "-login", "ann@example.org"}, {"search", "-login", "octocat:", "x"}} {
		if code, _, errs := f.run(t, args...); code != 2 || errs == "" {
			t.Errorf("%q: %d %q", args, code, errs)
		}
	}
}

func TestPlay(t *testing.T) {
	f := newFixture(t)
	file := filepath.Join(f.dir, "deploy/web1/2026/11/20", f.ids[0]+".cast.zst")
	for _, tt := range []struct {
		args []string
		want string
	}{
		{[]string{f.ids[0]}, "$ sudo reboot\r\nbye\r\n"},
		{[]string{f.ids[0][:8]}, "$ sudo reboot\r\nbye\r\n"},
		{[]string{file}, "$ sudo reboot\r\nbye\r\n"},
		{[]string{"-raw", file}, "$ sudo reboot\r\n\x1b]0;title\x07bye\r\n"},
		{[]string{f.ids[1]}, "quiet\r\n"},
		{[]string{f.ids[2]}, "up\ndown\n"},
		{[]string{f.ids[0], "-speed", "64", "-idle", "1ms"}, "$ sudo reboot\r\nbye\r\n"},
	} {
		if code, out, errs := f.run(t, append([]string{"play"}, tt.args...)...); code != 0 || out != tt.want || errs != "" {
			t.Errorf("%q: %d %q %q", tt.args, code, out, errs)
		}
	}
	code, out, _ := f.run(t, "play", f.ids[0], "-at", "0:01.5")
	if code != 0 || !strings.HasSuffix(out, "bye\r\n") || !strings.Contains(out, "$ sudo reboot") {
		t.Errorf("-at: %d %q", code, out)
	}
	for _, args := range [][]string{{}, {"a", "b"}, {f.ids[0], "-at", "x"}, {f.ids[0], "-speed", "-1"}} {
		if code, _, errs := f.run(t, append([]string{"play"}, args...)...); code != 2 || errs == "" {
			t.Errorf("%q: %d %q", args, code, errs)
		}
	}
	for _, args := range [][]string{{"nothere.cast"}, {"ffffffff"}, {"no id"}, {f.config}, {f.dir}, {f.ids[0], "-follow"}} {
		if code, out, errs := f.run(t, append([]string{"play"}, args...)...); code != 1 || out != "" || !strings.HasPrefix(errs, "castgate: ") {
			t.Errorf("%q: %d %q %q", args, code, out, errs)
		}
	}
}

func TestText(t *testing.T) {
	f := newFixture(t)
	if code, out, errs := f.run(t, "text", f.ids[0]); code != 0 || out != "[00:01] $ sudo reboot\n[00:02] bye\n" || errs != "" {
		t.Errorf("%d %q %q", code, out, errs)
	}
	if _, out, _ := f.run(t, "text", "-plain", f.ids[2]); out != "up\ndown\n" {
		t.Errorf("without a terminal: %q", out)
	}
	if _, out, _ := f.run(t, "text", "-json", f.ids[0]); !strings.HasPrefix(out, `{"at":1,"kind":"final","text":"$ sudo reboot"}`+"\n") {
		t.Errorf("-json: %q", out)
	}
	torn := filepath.Join(t.TempDir(), "torn.cast")
	cast := (&archivetest.Recording{User: "u", Host: "h", Start: time.Now(), Output: []string{"seen"}}).Cast()
	if err := os.WriteFile(torn, cast[:len(cast)-5], 0o600); err != nil {
		t.Fatal(err)
	}
	if code, out, errs := f.run(t, "text", torn); code != 0 || out != "[00:00] seen\n" || !strings.Contains(errs, "interrupted") {
		t.Errorf("torn: %d %q %q", code, out, errs)
	}
}

func TestSearchCommand(t *testing.T) {
	f := newFixture(t) // there is no index yet: search makes it
	code, out, errs := f.run(t, "search", "reboot")
	if want := f.ids[0] + "  "; code != 0 || errs != "" || !strings.HasPrefix(out, want) || !strings.HasSuffix(out, "    [00:01] $ sudo reboot\n") {
		t.Errorf("%d %q %q", code, out, errs)
	}
	_, out, _ = f.run(t, "search", "-json", "quiet")
	var found archive.Found
	if err := json.Unmarshal([]byte(out), &found); err != nil || found.ID != f.ids[1] || len(found.Hits) != 1 || found.Hits[0].Text != "quiet" {
		t.Errorf("%v %s", err, out)
	}
	if code, out, errs := f.run(t, "search", "title"); code != 1 || out != "" || errs != "" {
		t.Errorf("a title is no screen text: %d %q %q", code, out, errs)
	}
	if code, _, errs := f.run(t, "search", "--", "--"); code != 1 || !strings.Contains(errs, "not a word") {
		t.Errorf("no word: %d %q", code, errs)
	}
}

func TestVerify(t *testing.T) {
	f := newFixture(t)
	if code, out, errs := f.run(t, "verify"); code != 0 || !strings.HasPrefix(out, "ok: 3 recordings are as they were delivered\nnot told: ") || !strings.Contains(out, "of 1 hosts") || !strings.Contains(errs, "hint:") {
		t.Errorf("%d %q %q", code, out, errs)
	}
	if code, out, _ := f.run(t, "verify", f.ids[1]); code != 0 || !strings.HasPrefix(out, "ok: 1 ") {
		t.Errorf("one: %d %q", code, out)
	}
	if code, out, _ := f.run(t, "verify", "-q", f.dir); code != 0 || out != "" {
		t.Errorf("quiet: %d %q", code, out)
	}
	file := filepath.Join(f.dir, "deploy/web1/2026/11/20", f.ids[0]+".cast.zst")
	if err := os.Truncate(file, 10); err != nil {
		t.Fatal(err)
	}
	code, out, _ := f.run(t, "verify")
	if code != 1 || !strings.Contains(out, "FAIL deploy/web1/2026/11/20/"+f.ids[0]+".cast.zst: changed: ") || !strings.Contains(out, "2 of 3 recordings") {
		t.Errorf("changed: %d %q", code, out)
	}
	_, out, _ = f.run(t, "verify", "-json")
	lines := bufio.NewScanner(strings.NewReader(out))
	for lines.Scan() {
		if !json.Valid(lines.Bytes()) {
			t.Errorf("-json: %q", lines.Text())
		}
	}
	if code, _, errs := f.run(t, "verify", "-keys", filepath.Join(f.dir, "none")); code != 1 || !strings.HasPrefix(errs, "castgate: ") {
		t.Errorf("no keys: %d %q", code, errs)
	}
}

// TestVerifyRemembersTheEnds removes the newest recording of the host.
func TestVerifyRemembersTheEnds(t *testing.T) {
	f := newFixture(t)
	for _, args := range [][]string{{"index"}, {"index", "-again"}} {
		if code, _, errs := f.run(t, args...); code != 0 {
			t.Fatalf("%q: %d %q", args, code, errs)
		}
		if code, out, _ := f.run(t, "verify"); code != 0 || out != "ok: 3 recordings are as they were delivered\n" {
			t.Errorf("whole: %d %q", code, out)
		}
	}
	newest := filepath.Join(f.dir, "deploy/web1/2026/11/20", f.ids[2])
	for _, suffix := range []string{".json", ".cast.zst"} {
		if err := os.Remove(newest + suffix); err != nil {
			t.Fatal(err)
		}
	}
	gone := "FAIL deploy/web1/2026/11/20/" + f.ids[2] + ".json: gone: the manifest of recording " + f.ids[2] + ` of host "web1"`
	for _, args := range [][]string{{"index"}, {"index", "-again"}} { // it forgets the recording, but not the end
		if code, out, _ := f.run(t, args...); code != 0 || !strings.HasPrefix(out, "2 recordings") {
			t.Errorf("%q: %d %q", args, code, out)
		}
		if code, out, _ := f.run(t, "verify"); code != 1 || !strings.Contains(out, gone) || !strings.Contains(out, "the index remembers it") {
			t.Errorf("after %q: %d %q", args, code, out)
		}
	}
	// What the uploader's journal says is as good.
	index := strings.TrimSuffix(f.config, "archive.yaml") + "index.sqlite"
	if err := os.Remove(index); err != nil {
		t.Fatal(err)
	}
	state := t.TempDir()
	line := fmt.Sprintf(`{"op":"done","id":%q,"at":"2026-11-20T15:00:00Z","receipts":{"dir:%s":{"sha256":"","bytes":1,"where":%q}}}`+"\n", f.ids[2], f.dir, newest+".cast.zst")
	if err := os.WriteFile(filepath.Join(state, "journal"), []byte(line), 0o600); err != nil {
		t.Fatal(err)
	}
	if code, out, _ := f.run(t, "verify", "-state", state); code != 1 || !strings.Contains(out, gone) || !strings.Contains(out, "the uploader's journal remembers it") {
		t.Errorf("journal: %d %q", code, out)
	}
	if code, out, _ := f.run(t, "verify", "-state", state, f.dir); code != 0 {
		t.Errorf("a copy may be older: %d %q", code, out)
	}
}

// A bucket in which nothing is listed any more, after this host has delivered
// into it, is no archive that is in order.
func TestVerifyOfABucketThatListsNothing(t *testing.T) {
	s3 := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet || r.URL.Query().Get("list-type") != "2" {
			t.Errorf("the bucket is asked for %s %s", r.Method, r.URL)
		}
		fmt.Fprint(w, `<ListBucketResult><Name>recordings</Name><KeyCount>0</KeyCount><IsTruncated>false</IsTruncated></ListBucketResult>`)
	}))
	defer s3.Close()
	dir, state := t.TempDir(), t.TempDir()
	for path, text := range map[string]string{
		dir + "/credentials": "aws_access_key_id = key\naws_secret_access_key = secret\n",
		dir + "/archive.yaml": fmt.Sprintf("store: {dir: %s, s3: {endpoint: %q, region: r, bucket: recordings, prefix: p, path_style: true, credentials_file: %[1]s/credentials}}\nindex: %[1]s/index.sqlite\n",
			dir, s3.URL),
	} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	f := &fixture{dir: dir, config: dir + "/archive.yaml"}
	if code, out, errs := f.run(t, "verify", "-state", state); code != 0 || !strings.HasPrefix(out, "nothing to verify") {
		t.Errorf("before any delivery: %d %q %q", code, out, errs)
	}
	const id = "0199a5d2-0000-7000-8000-000000000001"
	line := fmt.Sprintf(`{"op":"done","id":%q,"at":"2026-11-20T15:00:00Z","receipts":{"s3:x":{"sha256":"","bytes":1,"where":"s3://recordings/p/deploy/web1/2026/11/20/%[1]s.cast.zst"}}}`+"\n", id)
	if err := os.WriteFile(filepath.Join(state, "journal"), []byte(line), 0o600); err != nil {
		t.Fatal(err)
	}
	code, out, errs := f.run(t, "verify", "-state", state)
	if code != 1 || !strings.Contains(out, "FAIL deploy/web1/2026/11/20/"+id+".json: gone") || !strings.Contains(out, "the uploader's journal remembers it") {
		t.Errorf("after one: %d %q %q", code, out, errs)
	}
}

func TestExport(t *testing.T) {
	f := newFixture(t)
	if _, out, _ := f.run(t, "export", f.ids[0]); !strings.HasPrefix(out, `{"version":3,`) || strings.Count(out, "\n") != 5 {
		t.Errorf("v3: %q", out)
	}
	if _, out, _ := f.run(t, "export", "-format", "txt", f.ids[0]); out != "[00:01] $ sudo reboot\n[00:02] bye\n" {
		t.Errorf("txt: %q", out)
	}
	file := filepath.Join(t.TempDir(), "v2.cast")
	if code, out, errs := f.run(t, "export", "-format", "v2", "-o", file, f.ids[0]); code != 0 || out+errs != "" {
		t.Errorf("v2: %d %q %q", code, out, errs)
	}
	text, err := os.ReadFile(file)
	if err != nil || !strings.HasPrefix(string(text), `{"version":2,"width":80,"height":24,`) {
		t.Errorf("v2: %v %q", err, text)
	}
	if code, _, errs := f.run(t, "export", "-o", file, f.ids[0]); code != 1 || !strings.Contains(errs, "exists") {
		t.Errorf("over a file: %d %q", code, errs)
	}
	if code, _, errs := f.run(t, "export", "-format", "gif", f.ids[0]); code != 2 || !strings.Contains(errs, "want v3, v2, txt or html") {
		t.Errorf("gif: %d %s", code, errs)
	}
	// asciinema of the distribution, 2.x, must take it.
	program, err := exec.LookPath("asciinema")
	if err != nil {
		hosttest.Skip(t, "asciinema is not installed: its cat is not tried")
	}
	master, tty, err := pty.Open() // it insists on /dev/tty
	if err != nil {
		t.Fatal(err)
	}
	defer master.Close()
	defer tty.Close()
	cmd := exec.Command(program, "cat", file)
	cmd.Env = append(os.Environ(), "LC_ALL=C.UTF-8", "HOME="+t.TempDir())
	cmd.Stdin, cmd.SysProcAttr = tty, &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if out, err := cmd.Output(); err != nil || string(out) != "$ sudo reboot\r\n\x1b]0;title\x07bye\r\n" {
		t.Errorf("asciinema cat: %v %q", err, out)
	}
}

// TestExportPage: the page's single file, without a page, also of a recording
// that is torn or of another recorder.
func TestExportPage(t *testing.T) {
	f := newFixture(t)
	if !web.HasPlayer() {
		if code, out, errs := f.run(t, "export", "-format", "html", f.ids[0]); code != 1 || out != "" || !strings.Contains(errs, "without the player") {
			t.Errorf("%d %q %q", code, out, errs)
		}
		hosttest.Skip(t, "built without the player: make web")
	}
	other := filepath.Join(t.TempDir(), "other.cast")
	if err := os.WriteFile(other, []byte("{\"version\":2,\"width\":80,\"height\":24}\n[1,\"o\",\"<b>$ sudo reboot\\r\\n\"]\n[1.5,\"o\""), 0o600); err != nil {
		t.Fatal(err)
	}
	for arg, want := range map[string]string{f.ids[0]: f.ids[0], other: "&lt;b&gt;"} {
		file := filepath.Join(t.TempDir(), "x.html")
		if code, out, errs := f.run(t, "export", "-format", "html", "-o", file, arg); code != 0 || out+errs != "" {
			t.Fatalf("%s: %d %q %q", arg, code, out, errs)
		}
		text, err := os.ReadFile(file)
		if err != nil || !strings.HasPrefix(string(text), "<!doctype html>") || !strings.Contains(string(text), want) ||
			!strings.Contains(string(text), "$ sudo reboot") || !strings.Contains(string(text), "AsciinemaPlayer.create") || strings.Contains(string(text), "<b>$") {
			t.Errorf("%s: %v, %d bytes", arg, err, len(text))
		}
	}
}

func TestSealed(t *testing.T) {
	f := newFixture(t)
	dir := t.TempDir()
	id, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	key := filepath.Join(dir, "key")
	if err := os.WriteFile(key, []byte("# created: today\n"+id.String()+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	packed, err := os.ReadFile(filepath.Join(f.dir, "deploy/web1/2026/11/20", f.ids[0]+".cast.zst"))
	if err != nil {
		t.Fatal(err)
	}
	sealed := filepath.Join(dir, "x.cast.zst.age")
	var b bytes.Buffer
	w, err := age.Encrypt(&b, id.Recipient())
	if err != nil {
		t.Fatal(err)
	}
	_, _ = w.Write(packed)
	if err := errors.Join(w.Close(), os.WriteFile(sealed, b.Bytes(), 0o600)); err != nil {
		t.Fatal(err)
	}
	for _, cmd := range []string{"play", "text", "export"} {
		if code, out, errs := f.run(t, cmd, sealed); code != 1 || out != "" || !strings.Contains(errs, "sealed") || !strings.Contains(errs, "-identity") {
			t.Errorf("%s without the key: %d %q %q", cmd, code, out, errs)
		}
		if code, out, errs := f.run(t, cmd, "-identity", key, sealed); code != 0 || !strings.Contains(out, "reboot") || errs != "" {
			t.Errorf("%s: %d %q %q", cmd, code, out, errs)
		}
	}
	if code, _, errs := f.run(t, "play", "-identity", f.config, sealed); code != 1 || !strings.Contains(errs, "holds no age identity") {
		t.Errorf("another file as the key: %d %q", code, errs)
	}
}

// TestSealedSaysWhoCould plays a recording that is sealed for two people, one
// of whom has a hostile name.
func TestSealedSaysWhoCould(t *testing.T) {
	f := newFixture(t)
	r := archivetest.Recording{User: "deploy", Host: "web1", Login: "octocat", Start: time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC), Output: []string{"secret\r\n"}}
	m, _, stored := r.Objects()
	var keys []string
	for range 2 { // the innermost first
		id, err := age.GenerateX25519Identity()
		if err != nil {
			t.Fatal(err)
		}
		var b bytes.Buffer
		w, err := age.Encrypt(&b, id.Recipient())
		if err != nil {
			t.Fatal(err)
		}
		_, _ = w.Write(stored)
		key := filepath.Join(t.TempDir(), "key")
		if err := errors.Join(w.Close(), os.WriteFile(key, []byte(id.String()+"\n"), 0o600)); err != nil {
			t.Fatal(err)
		}
		stored, keys = b.Bytes(), append(keys, key)
	}
	m.Stored = manifest.Stored{
		Object: manifest.Object{Bytes: int64(len(stored)), SHA256: manifest.Hash(stored)}, Name: m.Session.ID + manifest.SealedSuffix, Encoding: "zstd",
		Recipients: []manifest.Layer{{"age1alice", "ssh-ed25519 SHA256:abc bob@laptop"}, {"ssh-rsa SHA256:def \x1b[2Jcarol"}},
	}
	text, err := m.Encode()
	if err != nil {
		t.Fatal(err)
	}
	at := filepath.Join(f.dir, m.Dir())
	sealed := filepath.Join(at, m.Stored.Name)
	if err := errors.Join(os.MkdirAll(at, 0o700), os.WriteFile(sealed, stored, 0o600), os.WriteFile(filepath.Join(at, m.Session.ID+".json"), text, 0o600)); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{m.Session.ID}, {sealed}, {"-identity", keys[0], m.Session.ID}, {"-identity", keys[1], sealed}} {
		code, out, errs := f.run(t, append([]string{"play"}, args...)...)
		if code != 1 || out != "" || !strings.Contains(errs, "age1alice, ssh-ed25519 SHA256:abc bob@laptop; and ssh-rsa SHA256:def <U+001B>[2Jcarol") {
			t.Errorf("%q: %d %q %q", args, code, out, errs)
		}
	}
	if code, out, errs := f.run(t, "play", "-identity", keys[0], "-identity", keys[1], m.Session.ID); code != 0 || !strings.Contains(out, "secret") {
		t.Errorf("with both keys: %d %q %q", code, out, errs)
	}
}
