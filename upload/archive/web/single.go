// SPDX-License-Identifier: AGPL-3.0-or-later

package web

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"io"
	"io/fs"
	"strings"
	"time"

	"castgate/upload/archive"
	"castgate/upload/archive/screen"
	"castgate/upload/manifest"
	"castgate/wrap/asciicast"
)

// singleBoot starts the player of a single-file page. The recording is in a
// block of data, which no browser executes.
const singleBoot = `
const data = JSON.parse(document.getElementById('cast').textContent);
const el = document.getElementById('player');
AsciinemaPlayer.create({data}, el, {preload: true, fit: 'width', idleTimeLimit: 3, poster: 'npt:' + el.dataset.at});
`

// singleIdle is idleTimeLimit.
const singleIdle = 3 * time.Second

// opensOn is the first moment with something on the screen, in the player's
// time, which has no idle times.
func opensOn(cast []byte) (at time.Duration) {
	in, err := asciicast.NewReader(bytes.NewReader(cast))
	if err != nil {
		return 0
	}
	var o outliner
	var last, played time.Duration
	s := screen.New(in.Header.Term.Cols, in.Header.Term.Rows)
	for !o.found {
		ev, err := in.Next()
		if err != nil {
			break
		}
		played += min(ev.Time-last, singleIdle)
		last = ev.Time
		switch ev.Code {
		case asciicast.Output:
			_, _ = s.Write(ev.Data)
		case asciicast.Resize:
			cols, rows, _ := asciicast.ParseSize(ev.Text)
			s.Resize(cols, rows)
		}
		if o.shows(s, ev.Time); o.first == ev.Time {
			at = played + time.Millisecond // what comes at that time is before it
		}
	}
	return at
}

// singleStyle is the page around the player.
const singleStyle = `
:root { color-scheme: light dark }
body { font: 15px/1.5 system-ui, sans-serif; margin: 0 auto; max-width: 70rem; padding: 1.5rem }
h1 { font-size: 1.25rem; margin: 0 0 .25rem } p { margin: 0 0 1rem; opacity: .75 }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .15rem 1rem; margin: 1.5rem 0; overflow-wrap: anywhere }
dt { opacity: .7 } dd { margin: 0 } dd, pre { font-family: ui-monospace, monospace; font-size: .85rem }
pre { white-space: pre-wrap; overflow-wrap: anywhere }
`

// WriteSingle writes the page of a recording that is in nobody's archive here.
func WriteSingle(ctx context.Context, w io.Writer, in io.Reader) error {
	raw, err := io.ReadAll(io.LimitReader(in, maxSingle+1))
	if err != nil {
		return err
	}
	if len(raw) > maxSingle {
		return fmt.Errorf("the recording is larger than %s", humanBytes(maxSingle))
	}
	facts, err := manifest.Measure(bytes.NewReader(raw), nil)
	if err != nil && !errors.Is(err, asciicast.ErrTorn) {
		return err
	}
	m := &manifest.Manifest{
		Command: facts.Header.Command, Start: time.Unix(facts.Header.Timestamp, 0).UTC(),
		Duration: manifest.Seconds(facts.Duration), Cast: manifest.Object{SHA256: manifest.Hash(raw)},
	}
	if facts.Header.Session != nil {
		m.Session = manifest.Session(*facts.Header.Session)
	}
	return writeSingle(ctx, w, Recording{Entry: archive.Entry{Manifest: m}, Host: m.Session.Host}, raw)
}

// writeSingle writes the page of a recording's bytes.
func writeSingle(ctx context.Context, w io.Writer, rec Recording, raw []byte) error {
	if !HasPlayer() {
		return errors.New("this program was built without the player")
	}
	var cast bytes.Buffer
	if err := cleanCast(&cast, bytes.NewReader(raw)); err != nil {
		return err
	}
	lines, err := linesOf(ctx, bytes.NewReader(raw))
	if err != nil {
		return err
	}
	var text strings.Builder
	for _, l := range lines {
		text.WriteString(textLine(l))
	}
	return writePage(w, rec, cast.String(), text.String())
}

// writePage puts the page together. Its policy allows the scripts and styles in
// it by their hashes, and no request at all.
func writePage(w io.Writer, rec Recording, cast, text string) error {
	js, err := fs.ReadFile(files, playerJS)
	if err != nil {
		return err
	}
	css, err := fs.ReadFile(files, playerCSS)
	if err != nil {
		return err
	}
	player := strings.ReplaceAll(string(js), "</script", `<\/script`)
	data, err := json.Marshal(cast) // escapes < and >
	if err != nil {
		return err
	}
	csp := fmt.Sprintf("default-src 'none'; script-src %s %s 'wasm-unsafe-eval'; style-src %s %s; img-src data:; font-src data:",
		hashOf(player), hashOf(singleBoot), hashOf(string(css)), hashOf(singleStyle))
	m := rec.Manifest
	title := "A recording"
	if m.Session.User != "" {
		title = html.EscapeString(visible(m.Session.User) + " on " + rec.Host)
	}
	for _, part := range []string{
		"<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n<meta http-equiv=\"Content-Security-Policy\" content=\"", csp, "\">\n",
		"<meta name=\"viewport\" content=\"width=device-width\">\n<title>", title, "</title>\n",
		"<style>", string(css), "</style>\n<style>", singleStyle, "</style>\n",
		"<h1>", title, "</h1>\n<p>", m.Start.Format("2006-01-02 15:04:05"), " UTC, ", clock(time.Duration(m.Duration)), "</p>\n",
		"<div id=\"player\" data-at=\"", string(seconds(opensOn([]byte(cast)))), "\"></div>\n", facts(rec), "<h2>Transcript</h2>\n<pre>", html.EscapeString(text), "</pre>\n",
		"<script type=\"application/json\" id=\"cast\">", string(data), "</script>\n",
		"<script>", player, "</script>\n<script>", singleBoot, "</script>\n",
	} {
		if _, err := io.WriteString(w, part); err != nil {
			return err
		}
	}
	return nil
}

func hashOf(s string) string {
	sum := sha256.Sum256([]byte(s))
	return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
}

func facts(rec Recording) string {
	m, s := rec.Manifest, rec.Manifest.Session
	var b strings.Builder
	b.WriteString("<dl>")
	for _, f := range [][2]string{
		{"recording", rec.ID()},
		{"account", s.User},
		{"GitHub login", rec.Person().String()},
		{"key", s.Key},
		{"host", rec.Host},
		{"client", s.Client},
		{"command", m.Command},
		{"SHA-256", m.Cast.SHA256},
	} {
		if f[1] != "" {
			fmt.Fprintf(&b, "<dt>%s</dt><dd>%s</dd>", f[0], html.EscapeString(visible(f[1])))
		}
	}
	b.WriteString("</dl>\n")
	return b.String()
}
