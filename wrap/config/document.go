// SPDX-License-Identifier: AGPL-3.0-or-later

package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"iter"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// document returns the file's only document, nil when it says nothing. What has
// no place in a file that people write by hand is refused: anchors and aliases,
// by which a small file can say much, tags, and a key that is there twice.
func document(text []byte) (*yaml.Node, error) {
	if !utf8.Valid(text) {
		return nil, errors.New("it is not UTF-8")
	}
	var doc, next yaml.Node
	d := yaml.NewDecoder(bytes.NewReader(text))
	if err := d.Decode(&doc); errors.Is(err, io.EOF) {
		return nil, nil
	} else if err != nil {
		return nil, syntax(err)
	}
	if err := d.Decode(&next); err == nil {
		return nil, fault(&next, "one document is understood here")
	} else if !errors.Is(err, io.EOF) {
		return nil, syntax(err)
	}
	root := doc.Content[0]
	if root.Kind != yaml.MappingNode && !null(root) {
		return nil, fault(root, "want KEY: VALUE here")
	}
	return root, simple(root)
}

// simple refuses what document says.
func simple(n *yaml.Node) error {
	switch {
	case n.Kind == yaml.AliasNode || n.Anchor != "":
		return fault(n, "anchors and aliases are not understood here; put the text into quotes")
	case n.Style&yaml.TaggedStyle != 0:
		return fault(n, "tags are not understood here; put the text into quotes")
	}
	seen := map[string]int{}
	if n.Kind == yaml.MappingNode {
		for key := range pairs(n) {
			if key.Kind != yaml.ScalarNode {
				return fault(key, "a list or mapping can't be a key")
			}
			if line, twice := seen[key.Value]; twice {
				return fault(key, "key %q is there already, on line %d", key.Value, line)
			}
			seen[key.Value] = key.Line
		}
	}
	for _, c := range n.Content {
		if err := simple(c); err != nil {
			return err
		}
	}
	return nil
}

// syntax is the library's error without its name. It tells no line where that is
// the first, and none of what concerns the whole file.
func syntax(err error) error {
	text := strings.TrimPrefix(err.Error(), "yaml: ")
	whole := strings.HasPrefix(text, "control characters") || strings.HasPrefix(text, "unknown anchor")
	if !whole && !strings.HasPrefix(text, "line ") {
		text = "line 1: " + text
	}
	return errors.New(text)
}

// pairs yields the keys of a mapping with their values.
func pairs(n *yaml.Node) iter.Seq2[*yaml.Node, *yaml.Node] {
	return func(yield func(key, value *yaml.Node) bool) {
		for i := 0; i+1 < len(n.Content); i += 2 {
			if !yield(n.Content[i], n.Content[i+1]) {
				return
			}
		}
	}
}

// null says that nothing stands there, or YAML's word for it.
func null(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.Tag == "!!null" }

func fault(n *yaml.Node, format string, args ...any) error {
	return fmt.Errorf("line %d: %s", n.Line, fmt.Sprintf(format, args...))
}

// clipped is a text for a message.
func clipped(s string) string {
	const most = 40
	if len(s) > most {
		return strings.ToValidUTF8(s[:most], "") + "..."
	}
	return s
}
