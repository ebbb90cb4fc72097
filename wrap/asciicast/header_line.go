// SPDX-License-Identifier: AGPL-3.0-or-later

package asciicast

import (
	"maps"
	"slices"
	"strconv"
)

// AppendHeader appends the header line to dst, as encoding/json would write it
// but for the escapes that only HTML needs. The size is clamped, and what is
// not UTF-8 becomes U+FFFD. Each session begins with this line; with
// encoding/json the first one costs as much as opening a pty.
func AppendHeader(dst []byte, h Header) []byte {
	h.Term.Cols, h.Term.Rows = Clamp(h.Term.Cols, h.Term.Rows)
	o := object{append(dst, '{')}
	o.number("version", Version)
	o.begin("term")
	o.term(h.Term)
	o.end()
	if h.Timestamp != 0 {
		o.number("timestamp", h.Timestamp)
	}
	if h.IdleTimeLimit != 0 {
		o.key("idle_time_limit")
		o.b = strconv.AppendFloat(o.b, h.IdleTimeLimit, 'f', -1, 64)
	}
	o.some("command", h.Command)
	o.some("title", h.Title)
	if len(h.Env) > 0 {
		o.begin("env")
		for _, k := range slices.Sorted(maps.Keys(h.Env)) {
			o.text(k, h.Env[k])
		}
		o.end()
	}
	o.list("tags", h.Tags)
	if h.Session != nil {
		o.begin("castgate")
		o.session(h.Session)
		o.end()
	}
	o.end()
	return append(o.b, '\n')
}

func (o *object) term(t Term) {
	o.number("cols", int64(t.Cols))
	o.number("rows", int64(t.Rows))
	o.some("type", t.Type)
	if t.Theme != nil {
		o.begin("theme")
		o.text("fg", t.Theme.Fg)
		o.text("bg", t.Theme.Bg)
		o.text("palette", t.Theme.Palette)
		o.end()
	}
}

func (o *object) session(s *Session) {
	o.text("id", s.ID)
	o.text("mode", s.Mode)
	o.text("host", s.Host)
	o.text("user", s.User)
	o.number("uid", int64(s.UID))
	o.some("gecos", s.Gecos)
	o.some("login", s.Login)
	if s.LoginID != 0 {
		o.number("login_id", s.LoginID)
	}
	o.some("key", s.Key)
	o.some("client", s.Client)
	o.some("server", s.Server)
	o.truth("tty", s.TTY)
	o.text("kind", s.Kind)
	o.some("asked", s.Asked)
	o.some("shell", s.Shell)
	o.some("boot", s.Boot)
	if s.Audit != 0 {
		o.number("audit", s.Audit)
	}
	o.some("parent", s.Parent)
	if s.Nested {
		o.truth("nested", s.Nested)
	}
	o.some("guard", s.Guard)
	o.some("standing", s.Standing)
	o.list("holders", s.Holders)
	o.text("version", s.Version)
	for _, k := range slices.Sorted(maps.Keys(s.More)) {
		o.key(k)
		o.b = append(o.b, s.More[k]...)
	}
}

// object is a JSON object that is being written.
type object struct{ b []byte }

func (o *object) key(k string) {
	if last := o.b[len(o.b)-1]; last != '{' {
		o.b = append(o.b, ',')
	}
	o.quoted(k)
	o.b = append(o.b, ':')
}

func (o *object) quoted(s string) {
	o.b = append(o.b, '"')
	o.b = appendEscaped(o.b, []byte(toValid(s)))
	o.b = append(o.b, '"')
}

func (o *object) begin(k string) {
	o.key(k)
	o.b = append(o.b, '{')
}

func (o *object) end() { o.b = append(o.b, '}') }

func (o *object) text(k, v string) {
	o.key(k)
	o.quoted(v)
}

// some is text, left out when there is none.
func (o *object) some(k, v string) {
	if v != "" {
		o.text(k, v)
	}
}

func (o *object) number(k string, v int64) {
	o.key(k)
	o.b = strconv.AppendInt(o.b, v, 10)
}

func (o *object) truth(k string, v bool) {
	o.key(k)
	o.b = strconv.AppendBool(o.b, v)
}

func (o *object) list(k string, v []string) {
	if len(v) == 0 {
		return
	}
	o.key(k)
	o.b = append(o.b, '[')
	for i, s := range v {
		if i > 0 {
			o.b = append(o.b, ',')
		}
		o.quoted(s)
	}
	o.b = append(o.b, ']')
}
