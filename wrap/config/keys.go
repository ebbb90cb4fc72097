// SPDX-License-Identifier: AGPL-3.0-or-later

package config

import (
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"castgate/wrap/hint"
	"castgate/wrap/nearest"
)

// entry is a key of wrap.yaml and what its value is read into.
type entry struct {
	key  string
	into func(*yaml.Node) error
}

func (c *Config) keys() []entry {
	return append([]entry{
		{"spool", text(&c.Spool)},
		{"guard", text(&c.Guard)},
		{"plain", truth(&c.Plain)},
		{"shells", textMap(&c.Shells)},
		{"rules", list(&c.Rules, func(r *Rule, n *yaml.Node) error { r.over = n; return nil })},
		{"leftovers", text(&c.Leftovers)},
	}, c.Policy.keys()...)
}

// keys are those that a rule may set, too.
func (p *Policy) keys() []entry {
	return []entry{
		{"notice", text(&p.Notice)},
		{"on_failure", text(&p.OnFailure)},
		{"record", func(n *yaml.Node) error {
			return into(n, []entry{
				{"input", text(&p.Record.Input)},
				{"commands", text(&p.Record.Commands)},
				{"su", truth(&p.Record.Su)},
			})
		}},
		{"limits", func(n *yaml.Node) error {
			return into(n, []entry{
				{"session", size(&p.Limits.Session)},
				{"command_output", size(&p.Limits.CommandOutput)},
				{"free", size(&p.Limits.Free)},
				{"sessions_per_user", number(&p.Limits.SessionsPerUser)},
			})
		}},
	}
}

func (r *Rule) keys() []entry {
	name := func(s *string, n *yaml.Node) error { return text(s)(n) }
	return append([]entry{
		{"users", list(&r.Users, name)},
		{"groups", list(&r.Groups, name)},
	}, r.Policy.keys()...)
}

// into reads a mapping; a key that isn't in the list is refused, and the others
// are read all the same. A key without a value keeps what is there.
func into(n *yaml.Node, entries []entry) error {
	if n == nil || null(n) {
		return nil
	}
	if n.Kind != yaml.MappingNode {
		return fault(n, "want keys with values here")
	}
	var first error
	for key, value := range pairs(n) {
		i := slices.IndexFunc(entries, func(e entry) bool { return e.key == key.Value })
		var err error
		switch {
		case i < 0:
			err = unknown(key, entries)
		case !null(value):
			err = entries[i].into(value)
		}
		if first == nil {
			first = err
		}
	}
	return first
}

// unknown refuses a key, with the one that was meant where there is one.
func unknown(key *yaml.Node, entries []entry) error {
	err := fault(key, "key %q is not known", key.Value)
	known := make([]string, len(entries))
	for i, e := range entries {
		known[i] = e.key
	}
	if near := nearest.To(strings.ToLower(key.Value), known); near != "" {
		return hint.Addf(err, "did you mean %q?", near)
	}
	return err
}

func text(s *string) func(*yaml.Node) error {
	return func(n *yaml.Node) error {
		if n.Kind != yaml.ScalarNode || null(n) {
			return fault(n, "want a text here; put quotes around it")
		}
		*s = n.Value
		return nil
	}
}

func truth(b *bool) func(*yaml.Node) error {
	return func(n *yaml.Node) error {
		if n.Kind == yaml.ScalarNode && n.Style == 0 {
			switch strings.ToLower(n.Value) {
			case "yes", "true", "on":
				*b = true
				return nil
			case "no", "false", "off":
				*b = false
				return nil
			}
		}
		return fault(n, "%q is neither yes nor no", clipped(n.Value))
	}
}

func number(v *int) func(*yaml.Node) error {
	return func(n *yaml.Node) error {
		i, err := strconv.Atoi(n.Value)
		if n.Kind != yaml.ScalarNode || err != nil {
			return fault(n, "%q is no number", clipped(n.Value))
		}
		*v = i
		return nil
	}
}

func size(s *Size) func(*yaml.Node) error {
	return func(n *yaml.Node) error {
		text, unit := n.Value, int64(1)
		for i, suffix := range [...]string{"KiB", "MiB", "GiB", "TiB"} {
			if t, ok := strings.CutSuffix(text, suffix); ok {
				text, unit = t, 1<<(10*(i+1))
				break
			}
		}
		v, err := strconv.ParseInt(strings.TrimSpace(text), 10, 64)
		if n.Kind != yaml.ScalarNode || err != nil || v < 0 || v > 1<<62/unit {
			return fault(n, "%q is no size: write 512, 64KiB, 256MiB or 1GiB", clipped(n.Value))
		}
		*s = Size(v * unit)
		return nil
	}
}

func textMap(m *map[string]string) func(*yaml.Node) error {
	return func(n *yaml.Node) error {
		if n.Kind != yaml.MappingNode {
			return fault(n, "want names with texts here")
		}
		*m = make(map[string]string, len(n.Content)/2)
		for key, value := range pairs(n) {
			var s string
			if err := text(&s)(value); err != nil {
				return err
			}
			(*m)[key.Value] = s
		}
		return nil
	}
}

func list[T any](items *[]T, read func(*T, *yaml.Node) error) func(*yaml.Node) error {
	return func(n *yaml.Node) error {
		if n.Kind != yaml.SequenceNode {
			return fault(n, "want a list here: [one, two]")
		}
		*items = make([]T, len(n.Content))
		for i, v := range n.Content {
			if err := read(&(*items)[i], v); err != nil {
				return err
			}
		}
		return nil
	}
}
