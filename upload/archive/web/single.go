// SPDX-License-Identifier: AGPL-3.0-or-later

package web

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"html"
	"io"
	"io/fs"
	"strings"
	"time"
)

// singleBoot starts the player of a single-file page. The recording is in a
// block of data, which no browser executes.
const singleBoot = `
const data = JSON.parse(document.getElementById('cast').textContent);
AsciinemaPlayer.create({data}, document.getElementById('player'), {preload: true, fit: 'width', idleTimeLimit: 3});
`

// singleStyle is the page around the player.
const singleStyle = `
:root { color-scheme: light dark }
body { font: 15px/1.5 system-ui, sans-serif; margin: 0 auto; max-width: 70rem; padding: 1.5rem }
h1 { font-size: 1.25rem; margin: 0 0 .25rem } p { margin: 0 0 1rem; opacity: .75 }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .15rem 1rem; margin: 1.5rem 0; overflow-wrap: anywhere }
dt { opacity: .7 } dd { margin: 0 } dd, pre { font-family: ui-monospace, monospace; font-size: .85rem }
pre { white-space: pre-wrap; overflow-wrap: anywhere }
`

// writeSingle writes the page. Its policy allows the scripts and styles in it
// by their hashes, and no request at all.
func writeSingle(w io.Writer, rec Recording, cast, text string) error {
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
	title := html.EscapeString(visible(m.Session.User) + " on " + rec.Host)
	for _, part := range []string{
		"<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n<meta http-equiv=\"Content-Security-Policy\" content=\"", csp, "\">\n",
		"<meta name=\"viewport\" content=\"width=device-width\">\n<title>", title, "</title>\n",
		"<style>", string(css), "</style>\n<style>", singleStyle, "</style>\n",
		"<h1>", title, "</h1>\n<p>", m.Start.Format("2006-01-02 15:04:05"), " UTC, ", clock(time.Duration(m.Duration)), "</p>\n",
		"<div id=\"player\"></div>\n", facts(rec), "<h2>Transcript</h2>\n<pre>", html.EscapeString(text), "</pre>\n",
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
