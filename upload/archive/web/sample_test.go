// SPDX-License-Identifier: AGPL-3.0-or-later

package web

import (
	"bytes"
	"crypto/ed25519"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"
	"golang.org/x/crypto/ssh"

	"castgate/upload/archive/receive"
	"castgate/upload/manifest"
	"castgate/wrap/asciicast"
)

// sample is a store with recordings, made as castgate-wrap and castgate-upload
// make them.
type sample struct {
	t      *testing.T
	dir    string
	n      int
	now    time.Time // of the page; zero: the clock's
	key    *manifest.Signer
	chains map[string]*chainEnd // by host

	claim func(*manifest.Manifest) // what keep has manifests say
	odd   bool                     // the index is to complain
}

type chainEnd struct {
	sequence int64
	hash     string
}

func newSample(t *testing.T) *sample {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "store")
	if err := os.MkdirAll(filepath.Join(dir, receive.LiveDir), 0o755); err != nil {
		t.Fatal(err)
	}
	_, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	block, err := ssh.MarshalPrivateKey(private, "")
	if err != nil {
		t.Fatal(err)
	}
	key, err := manifest.NewSigner(pem.EncodeToMemory(block))
	if err != nil {
		t.Fatal(err)
	}
	return &sample{t: t, dir: dir, key: key, chains: map[string]*chainEnd{}}
}

// signers is the allowed_signers file in which every host has the one key.
func (s *sample) signers() *manifest.AllowedSigners {
	s.t.Helper()
	line := "* namespaces=\"castgate\" " + string(ssh.MarshalAuthorizedKey(s.key.PublicKey()))
	signers, err := manifest.ParseAllowedSigners(strings.NewReader(line))
	if err != nil {
		s.t.Fatal(err)
	}
	return signers
}

// take is one recording under construction.
type take struct {
	header asciicast.Header
	out    []byte
	enc    asciicast.Encoder
	at     time.Duration
	events int64
	exit   *int
	sealed []string
	signed bool
}

var sampleStart = time.Date(2026, 11, 20, 8, 0, 0, 0, time.UTC)

func (s *sample) take(user, host, login string) *take {
	s.n++
	start := sampleStart.Add(time.Duration(s.n) * 37 * time.Minute)
	return &take{signed: true, header: asciicast.Header{
		Term: asciicast.Term{Cols: 100, Rows: 28, Type: "xterm-256color"}, Timestamp: start.Unix(),
		Session: &asciicast.Session{
			ID: fmt.Sprintf("%08x-%04x-7000-8000-%012x", start.UnixMilli()>>16, start.UnixMilli()&0xffff, s.n), Mode: "setgid", Host: host, User: user, UID: 1000 + s.n,
			Login: login, Key: "SHA256:Rk9PQkFSQkFaUVVYMTIzNDU2Nzg5MGFiY2RlZmdoaWo", Client: "192.0.2.7 50514", Server: "192.0.2.1 22",
			TTY: true, Kind: asciicast.KindShell, Version: "castgate 1.0.0",
		},
	}}
}

func (k *take) show(after time.Duration, text string) *take {
	k.at += after
	k.events++
	k.out = k.enc.AppendOutput(k.out, k.at, []byte(text))
	return k
}

// typed types a command, letter by letter, and shows its output.
func (k *take) typed(command, output string) *take {
	k.show(300*time.Millisecond, "\x1b[1;32m"+k.header.Session.User+"@"+k.header.Session.Host+"\x1b[0m:\x1b[1;34m~\x1b[0m$ ")
	for _, c := range command {
		k.show(60*time.Millisecond, string(c))
	}
	k.show(150*time.Millisecond, "\r\n")
	for line := range strings.Lines(output) {
		k.show(20*time.Millisecond, strings.TrimRight(line, "\n")+"\r\n")
	}
	return k
}

func (k *take) resize(cols, rows int) *take {
	k.at += 100 * time.Millisecond
	k.events++
	k.out = k.enc.AppendResize(k.out, k.at, cols, rows)
	return k
}

func (k *take) mark(label string) *take {
	k.events++
	k.out = k.enc.AppendMarker(k.out, k.at, label)
	return k
}

func (k *take) end(status int) *take {
	k.at += 200 * time.Millisecond
	k.events++
	k.out = k.enc.AppendExit(k.out, k.at, status)
	k.exit = &status
	return k
}

func (k *take) cast(t *testing.T) []byte {
	t.Helper()
	return append(asciicast.AppendHeader(nil, k.header), k.out...)
}

// keep writes the recording into the store and returns its id.
func (s *sample) keep(k *take) string {
	s.t.Helper()
	cast := k.cast(s.t)
	enc, _ := zstd.NewWriter(nil)
	stored := enc.EncodeAll(cast, nil)
	start := time.Unix(k.header.Timestamp, 0).UTC()
	m := &manifest.Manifest{
		Version: 1, Session: manifest.Session(*k.header.Session), Command: k.header.Command,
		Term:  manifest.Term{Cols: 100, Rows: 28, Type: "xterm-256color"},
		Start: start, End: start.Add(k.at), Duration: manifest.Seconds(k.at), Exit: k.exit,
		Complete: k.exit != nil, Ended: manifest.EndedInterrupted, Events: k.events,
		Cast:   manifest.Object{Bytes: int64(len(cast)), SHA256: manifest.Hash(cast)},
		Stored: manifest.Stored{Object: manifest.Object{Bytes: int64(len(stored)), SHA256: manifest.Hash(stored)}, Encoding: "zstd"},
	}
	end := s.chains[m.Session.Host]
	if end == nil {
		end = new(chainEnd)
		s.chains[m.Session.Host] = end
	}
	m.Sequence, m.Previous = end.sequence+1, end.hash
	if m.Complete {
		m.Ended = manifest.EndedExit
	}
	if k.sealed != nil {
		m.Stored.Recipients = []manifest.Layer{k.sealed}
	}
	m.Stored.Name = m.Session.ID + m.StoredSuffix()
	if s.claim != nil {
		s.claim(m)
	}
	data, err := m.Encode()
	if err != nil {
		s.t.Fatal(err)
	}
	end.sequence, end.hash = m.Sequence, manifest.Hash(data)
	s.write(m.Path(m.StoredSuffix()), stored)
	if k.signed {
		sig, err := s.key.Sign(data)
		if err != nil {
			s.t.Fatal(err)
		}
		s.write(m.Path(manifest.SigSuffix), sig)
	}
	s.write(m.Path(manifest.JSONSuffix), data)
	return m.Session.ID
}

func (s *sample) write(name string, data []byte) {
	s.t.Helper()
	p := filepath.Join(s.dir, name)
	if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
		s.t.Fatal(err)
	}
	if err := os.WriteFile(p, data, 0o644); err != nil {
		s.t.Fatal(err)
	}
}

// live writes the recording as one that is still under way and returns its path.
func (s *sample) live(k *take) string {
	s.t.Helper()
	p := filepath.Join(receive.LiveDir, k.header.Session.Host, k.header.Session.ID+".cast")
	s.write(p, k.cast(s.t))
	return filepath.Join(s.dir, p)
}

// hostile is text that is markup where somebody forgets that it is not.
const hostile = `<script>alert(1)</script><img src=x onerror="alert(2)">'"&`

// fill makes the store that the browser looks at.
func (s *sample) fill() map[string]string {
	ids := map[string]string{}
	for i := range 64 {
		user, host := []string{"deploy", "alice", "bob", "backup"}[i%4], []string{"web1", "web2", "db1"}[i%3]
		k := s.take(user, host, []string{"octocat", "alice-gh", "bob-gh", ""}[i%4])
		if i%4 == 3 {
			k.header.Command, k.header.Session.Kind, k.header.Session.TTY = "pg_dump --format=custom app", asciicast.KindCommand, false
		}
		s.keep(k.typed("uptime", " 08:12:40 up 41 days,  3:02,  1 user,  load average: 0.08, 0.03, 0.01\n").end(i % 7 / 6))
	}
	k := s.take("alice", "web2", "alice-gh").typed("vim /etc/nginx/nginx.conf", "\x1b[33m~\x1b[0m\n")
	k.signed = false
	ids["interrupted"] = s.keep(k)
	k = s.take("root", "db1", "")
	k.sealed = []string{"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5 alice@security", "ssh-ed25519 AAAAC3NzaC1lZDI1NTE6 bob@security"}
	ids["sealed"] = s.keep(k.typed("psql", "").end(0))
	k = s.take("mallory", "web1", "")
	k.header.Command = hostile
	ids["hostile"] = s.keep(k.typed("echo '"+hostile+"'", hostile+"\n\x1b]0;"+hostile+"\x07\u202egnp.exe\n").mark(hostile).end(0))
	ids["long"] = s.keep(s.long())
	ids["main"] = s.keep(s.story())
	k = s.take("alice", "web1", "alice-gh").typed("tail -f /var/log/nginx/access.log", "192.0.2.44 - - \"GET / HTTP/1.1\" 200 612\n")
	ids["live"] = k.header.Session.ID
	ids["livePath"] = s.live(k)
	k = s.take("bob", "web2", "bob-gh").typed("uptime", "up 41 days\n").end(0)
	ids["waiting"] = k.header.Session.ID
	s.live(k)
	return ids
}

// story is a session that looks like one.
func (s *sample) story() *take {
	k := s.take("deploy", "web1.example.org", "octocat")
	k.typed("systemctl status nginx --no-pager", "\x1b[1;32m●\x1b[0m nginx.service - A high performance web server and a reverse proxy server\n     Loaded: loaded (/lib/systemd/system/nginx.service; \x1b[32menabled\x1b[0m; preset: \x1b[32menabled\x1b[0m)\n     Active: \x1b[1;31mfailed\x1b[0m (Result: exit-code) since Fri 2026-11-20 07:58:11 UTC; 14min ago\n   Main PID: 812 (code=exited, status=1/FAILURE)\n")
	k.typed("sudo nginx -t", "nginx: [emerg] unknown directive \"sever_name\" in /etc/nginx/sites-enabled/shop:4\nnginx: configuration file /etc/nginx/nginx.conf test \x1b[31mfailed\x1b[0m\n")
	k.at += 42 * time.Second
	k.typed("sudo sed -i s/sever_name/server_name/ /etc/nginx/sites-enabled/shop", "")
	k.mark("sudo")
	k.resize(120, 32)
	k.typed("sudo nginx -t", "nginx: the configuration file /etc/nginx/nginx.conf syntax is \x1b[32mok\x1b[0m\nnginx: configuration file /etc/nginx/nginx.conf test is \x1b[32msuccessful\x1b[0m\n")
	k.typed("sudo systemctl restart nginx && curl -sI localhost | head -3", "HTTP/1.1 200 OK\nServer: nginx/1.22.1\nContent-Type: text/html; charset=utf-8\n")
	k.at += 8 * time.Second
	var log strings.Builder
	for i := range 40 {
		fmt.Fprintf(&log, "192.0.2.%d - - [20/Nov/2026:08:%02d:%02d +0000] \"GET /\x1b[36m%s\x1b[0m HTTP/1.1\" \x1b[32m200\x1b[0m %d\n", 10+i%9, 13+i/30, i*2%60, []string{"", "cart", "assets/app.css", "product/4711"}[i%4], 612+i*37)
	}
	k.typed("tail -40 /var/log/nginx/access.log", log.String())
	k.typed("exit", "logout\n")
	return k.end(0)
}

// long is larger than several segments.
func (s *sample) long() *take {
	k := s.take("bob", "db1", "bob-gh")
	for i := range 4000 {
		k.show(150*time.Millisecond, fmt.Sprintf("\x1b[3%dmrow %06d\x1b[0m %s\r\n", 1+i%7, i, strings.Repeat("lorem ipsum ", 24)))
	}
	return k.end(0)
}

func TestPrepare(t *testing.T) {
	s := newSample(t)
	out := memory{}
	if err := prepare(bytes.NewReader(s.long().cast(t)), out, false); err != nil {
		t.Fatal(err)
	}
	checkSegments(t, out)
	var o Outline
	if err := json.Unmarshal(out["outline.json"], &o); err != nil {
		t.Fatal(err)
	}
	if len(o.Lines) != 4000 || !strings.HasPrefix(o.Lines[17].Text, "row 000017 lorem") || o.Cut {
		t.Errorf("%d lines, cut %v", len(o.Lines), o.Cut)
	}
	if o.Lines[17].At < 2.69 || o.Lines[17].At > 2.71 {
		t.Errorf("line 17 at %v", o.Lines[17].At)
	}
}

type memory map[string][]byte

func (m memory) put(name string, data []byte) error { m[name] = data; return nil }

// checkSegments holds prepared files to what the player insists on.
func checkSegments(t *testing.T, files memory) {
	t.Helper()
	var index struct {
		Version  int
		Duration float64
		Term     segmentTerm
		Segments []struct {
			Start float64
			URL   string
		}
	}
	if err := json.Unmarshal(files["index.json"], &index); err != nil {
		t.Fatal(err)
	}
	if index.Version != 1 || len(index.Segments) == 0 || index.Segments[0].Start != 0 {
		t.Fatalf("index %+v", index)
	}
	for i, ref := range index.Segments {
		var seg struct {
			Snapshot struct {
				Cols, Rows int
				Init       *string
			}
			Events [][3]any
		}
		if err := json.Unmarshal(files[ref.URL], &seg); err != nil {
			t.Fatalf("%s: %v", ref.URL, err)
		}
		if seg.Snapshot.Cols < 1 || seg.Snapshot.Rows < 1 || seg.Snapshot.Init == nil || len(seg.Events) == 0 {
			t.Fatalf("%s: %+v", ref.URL, seg.Snapshot)
		}
		first, last := seg.Events[0][0].(float64), seg.Events[len(seg.Events)-1][0].(float64)
		end := index.Duration
		if i+1 < len(index.Segments) {
			if end = index.Segments[i+1].Start; last >= end {
				t.Errorf("%s goes on to %v, the next begins at %v", ref.URL, last, end)
			}
		} else if last != end {
			t.Errorf("the last event is at %v, the end at %v", last, end)
		}
		if i > 0 && (first != ref.Start || ref.Start >= index.Duration || ref.Start <= index.Segments[i-1].Start) {
			t.Errorf("%s begins at %v, its first event at %v", ref.URL, ref.Start, first)
		}
	}
}

func TestPrepareOddRecordings(t *testing.T) {
	head := `{"version":3,"term":{"cols":80,"rows":24}}` + "\n"
	big := strings.Repeat("a", 300_000)
	for name, cast := range map[string]string{
		"empty":               head,
		"at once":             head + `[0, "o", "x"]` + "\n",
		"all at one time":     head + `[1, "o", "` + big + `"]` + "\n" + `[0, "o", "` + big + `"]` + "\n",
		"large last":          head + `[1, "o", "` + big + `"]` + "\n" + `[1, "o", "x"]` + "\n",
		"large, then nothing": head + `[1, "o", "` + big + `"]` + "\n" + `[1, "o", "` + big + `"]` + "\n" + `[0, "x", "0"]` + "\n",
		"cut":                 head + `[1, "o", "x"]` + "\n" + `[1, "o", "y`,
		"damaged":             head + `[1, "o", "x"]` + "\n" + "garbage\n",
		"odd resize":          head + `[1, "r", "x"]` + "\n" + `[1, "r", "99999x99999"]` + "\n" + `[1, "o", "x"]` + "\n",
	} {
		t.Run(name, func(t *testing.T) {
			out := memory{}
			if err := prepare(strings.NewReader(cast), out, false); err != nil {
				t.Fatal(err)
			}
			checkSegments(t, out)
			var o Outline
			if err := json.Unmarshal(out["outline.json"], &o); err != nil {
				t.Fatal(err)
			}
			if cut := name == "cut" || name == "damaged"; o.Cut != cut {
				t.Errorf("cut is %v", o.Cut)
			}
		})
	}
}

// BenchmarkPrepare reads a recording of scrolling text, as prepare does when
// somebody first opens it.
func BenchmarkPrepare(b *testing.B) {
	head := `{"version":3,"term":{"cols":120,"rows":40}}` + "\n"
	line := `[0.010, "o", "\u001b[32mrow\u001b[0m ` + strings.Repeat("lorem ipsum dolor ", 50) + `\r\n"]` + "\n"
	cast := head + strings.Repeat(line, 50_000)
	b.SetBytes(int64(len(cast)))
	for b.Loop() {
		if err := prepare(strings.NewReader(cast), gzDir(b.TempDir()), false); err != nil {
			b.Fatal(err)
		}
	}
}
