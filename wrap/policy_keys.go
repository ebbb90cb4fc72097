// SPDX-License-Identifier: AGPL-3.0-or-later

package wrap

import (
	"fmt"
	"strconv"
	"strings"

	"castgate/wrap/nearest"
)

// entry is a key of wrap.yaml and what its value is read into.
type entry struct {
	key  string
	into func(*node) error
}

func (c *Config) keys() []entry {
	return append([]entry{
		{"spool", text(&c.Spool)},
		{"guard", text(&c.Guard)},
		{"plain", truth(&c.Plain)},
		{"shells", textMap(&c.Shells)},
		{"rules", list(&c.Rules, func(r *Rule, n *node) error { r.over = n; return nil })},
		{"leftovers", text(&c.Leftovers)},
	}, c.Policy.keys()...)
}

// keys are those that a rule may set, too.
func (p *Policy) keys() []entry {
	return []entry{
		{"notice", text(&p.Notice)},
		{"on_failure", text(&p.OnFailure)},
		{"record", func(n *node) error {
			return n.into([]entry{
				{"input", text(&p.Record.Input)},
				{"commands", text(&p.Record.Commands)},
				{"su", truth(&p.Record.Su)},
			})
		}},
		{"limits", func(n *node) error {
			return n.into([]entry{
				{"session", size(&p.Limits.Session)},
				{"command_output", size(&p.Limits.CommandOutput)},
				{"free", size(&p.Limits.Free)},
				{"sessions_per_user", number(&p.Limits.SessionsPerUser)},
			})
		}},
	}
}

func (r *Rule) keys() []entry {
	name := func(s *string, n *node) error { return text(s)(n) }
	return append([]entry{
		{"users", list(&r.Users, name)},
		{"groups", list(&r.Groups, name)},
	}, r.Policy.keys()...)
}

// into reads a mapping; a key that isn't in the list is refused, and the others
// are read all the same. A key without a value keeps what is there.
func (n *node) into(entries []entry) error {
	if n == nil || n.null() {
		return nil
	}
	if n.kind != mapping {
		return lineFault(n.line, "want keys with values here")
	}
	var first error
next:
	for i, k := range n.keys {
		for _, e := range entries {
			if e.key != k.text {
				continue
			}
			if !n.values[i].null() {
				if err := e.into(n.values[i]); first == nil {
					first = err
				}
			}
			continue next
		}
		if first == nil {
			first = unknown(k, entries)
		}
	}
	return first
}

// unknown refuses a key, with the one that was meant where there is one.
func unknown(k *node, entries []entry) error {
	err := lineFault(k.line, "key %q is not known", k.text)
	known := make([]string, len(entries))
	for i, e := range entries {
		known[i] = e.key
	}
	if near := nearest.To(strings.ToLower(k.text), known); near != "" {
		return &adviceError{err, fmt.Sprintf("did you mean %q?", near)}
	}
	return err
}

// null says that nothing stands there, or YAML's word for it.
func (n *node) null() bool {
	if n.kind != scalar || !n.plain {
		return false
	}
	switch n.text {
	case "", "~", "null", "Null", "NULL":
		return true
	}
	return false
}

func text(s *string) func(*node) error {
	return func(n *node) error {
		if n.kind != scalar || n.null() {
			return lineFault(n.line, "want a text here; put quotes around it")
		}
		*s = n.text
		return nil
	}
}

func truth(b *bool) func(*node) error {
	return func(n *node) error {
		if n.kind == scalar && n.plain {
			switch strings.ToLower(n.text) {
			case "yes", "true", "on":
				*b = true
				return nil
			case "no", "false", "off":
				*b = false
				return nil
			}
		}
		return lineFault(n.line, "%q is neither yes nor no", clipped(n.text))
	}
}

func number(v *int) func(*node) error {
	return func(n *node) error {
		i, err := strconv.Atoi(n.text)
		if n.kind != scalar || err != nil {
			return lineFault(n.line, "%q is no number", clipped(n.text))
		}
		*v = i
		return nil
	}
}

func size(s *Size) func(*node) error {
	return func(n *node) error {
		text, unit := n.text, int64(1)
		for i, suffix := range [...]string{"KiB", "MiB", "GiB", "TiB"} {
			if t, ok := strings.CutSuffix(text, suffix); ok {
				text, unit = t, 1<<(10*(i+1))
				break
			}
		}
		v, err := strconv.ParseInt(strings.TrimSpace(text), 10, 64)
		if n.kind != scalar || err != nil || v < 0 || v > 1<<62/unit {
			return lineFault(n.line, "%q is no size: write 512, 64KiB, 256MiB or 1GiB", clipped(n.text))
		}
		*s = Size(v * unit)
		return nil
	}
}

func textMap(m *map[string]string) func(*node) error {
	return func(n *node) error {
		if n.kind != mapping {
			return lineFault(n.line, "want names with texts here")
		}
		*m = make(map[string]string, len(n.keys))
		for i, k := range n.keys {
			var s string
			if err := text(&s)(n.values[i]); err != nil {
				return err
			}
			(*m)[k.text] = s
		}
		return nil
	}
}

func list[T any](into *[]T, read func(*T, *node) error) func(*node) error {
	return func(n *node) error {
		if n.kind != sequence {
			return lineFault(n.line, "want a list here: [one, two]")
		}
		*into = make([]T, len(n.values))
		for i, v := range n.values {
			if err := read(&(*into)[i], v); err != nil {
				return err
			}
		}
		return nil
	}
}
