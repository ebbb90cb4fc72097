// SPDX-License-Identifier: AGPL-3.0-or-later

package wrap

import (
	"math/rand/v2"
	"os"
	"reflect"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// understood are documents that mean here what they mean to a YAML library.
var understood = []string{
	"", "# nothing\n", "---\na: b\n", "--- # mark\na: b", "\ufeffa: b\n", "a: b\r\nc: d\r\n",
	"a: b # comment\nc: d#no comment\n", "a:\n  b:\n    c: d\n  e: f\ng: h\n", "a:\n", "a: ~\nb: null\n", "a:\n\n# between\n\n  b: c\n",
	"a: {b: c, d: [e, 'f, g', \"h\\n\"], i: {}, j: []}\n", "a: [b, c,]\n", "a: {b: c,\n    d: e} # end\nf: g\n", "a: [\n  b, # one\n  c\n  ]\n",
	"'a b': c\n\"d\\te\": f\n", "a: 'it''s'\n", `a: "\x41\u00e9\U0001F600\e\0\_\N"`, "a: it's \"fine\"\n", "a: b:c\n", "a: http://example.org/#x\n",
	"a:\n- b\n- c\nd: e\n", "a:\n  - b\n  -\n    c: d\n    e: f\n  - g: h\n    i: j\n", "x:\n- - a\n  - b\n- - c\n", "x:\n-\n- a\n", "a:\n  -\n  - b\n",
	"a: |\n  one\n  two\n\n  three\n\nb: c\n", "a: |-\n  one\n", "a: |+\n  one\n\n\nb: c\n", "a: >\n  one\n  two\n\n  three\n    deeper\n  four\n", "a: >-\n  one\n\n\n  two\n",
	"a: |\n\n  one\n", "a: |\nb: c\n", "a: |\n  # no comment\n  x\n", "x:\n- |\n  a\n- >\n  b\n  c\n", "a: |\n  x\n   \n  y\n", "a:   b   \n", "a b c: d e f\n",
	"a: -b\nc: ?d\ne: :f\n", "a: 0x10\nb: 1_000\nc: 1e3\nd: yes\n", "{a: b}\n", "a: {\"b\":c}\n", "x:\n  y: z\n# last\n", "a: b\n\n\n",
	"a: [\n  b, # one\n  c # two\n]\n", "a: {b: c # x\n  }\n", "a: [b # x\n  ,c]\n", "a: {b: c, # x\n  d: e # y\n  }\n", "a: [http://x]\n", "--- # mark\n\n# more\na: b\n",
	"a: {b: }\n", "a: {b: , c: d}\n", "a: ''\nb: \"\"\n",
}

// refused are documents that YAML may know and wrap.yaml doesn't, by the word
// that the message has for it.
var refused = map[string]string{
	"a: &x b": "line 1: anchors", "a: *x": "aliases", "a: !!str b": "tags", "---\t:": "one document", "---\n---\na: b": "line 2: one document", "...\ta: b": "one document", "a: {b\n  :c}": "must be on one line", "{a\n: b}": "must be on one line", "a: {'b'\n  : c}": "no colon", "a: [b?c]": "quotes", "%YAML 1.2\n---\na: b": "line 1: one document", "a: b\n---\nc: d": "line 2: one document",
	"? a\n: b": `line 1: keys with "?"`, "a: b\n  c": "line 2: the value before it must be on one line", "a: \"b\n  c\"": "quotation mark is not closed", "a: 'b": "not closed",
	"a: [b": "line 1: a { or [ is not closed", "a: {b: c": "not closed", "a: {b c}": "key \"b c\" has no colon", "a: b\na: c": `line 2: key "a" is there already, on line 1`,
	"a:\n\tb: c": "line 2: it is indented by a tab", "a: b: c": "second colon", "a:\n    b: c\n  d: e": "line 3", "a: b\n c: d": "line 2", "  a: b\nc: d": "line 2",
	"a: [b c,\n d e\n f]": "line 3", "a: @b": "can't begin with", "a: \"\\q\"": "no escape", "a: \"\\ud800\"": "no escape", "a: \"\\/\"": "no escape", "a: {b: c}}": "something behind", "a: 'b' c": "something behind",
	"a: |2\n   b": "only + or -", "a: |\n   \n  b": "line 2: a blank line", "a: \x01": "line 1: it has the control character", "a: \xff": "not UTF-8", ": b": "no key before",
	"a: b\nc": `line 2: "c" is no key`, "a: , b": "can't begin", strings.Repeat("[", 100): "too deeply", strings.Repeat("- ", 100) + "a": "too deeply", "{[a]: b}": "can't be a key",
	"a: [b]: c": "something behind", "-\ta": "tab", "- a": "want KEY", "a": "want KEY", "[a]": "want KEY", "|\n  a": "want KEY", "a: |\n\tb": "tab", "a: b\n- c": "line 2",
}

func TestYAMLUnderstood(t *testing.T) {
	for _, text := range understood {
		n, err := parseYAML([]byte(text))
		if err != nil {
			t.Errorf("%q: %v", text, err)
			continue
		}
		if got, want := n.tree(), library(t, text); !reflect.DeepEqual(got, want) {
			t.Errorf("%q:\n got %#v\nwant %#v", text, got, want)
		}
	}
}

func TestYAMLRefused(t *testing.T) {
	for text, want := range refused {
		if n, err := parseYAML([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %#v, %v; want %q", text, n.tree(), err, want)
		}
	}
}

// FuzzYAML holds whatever is accepted against a YAML library.
func FuzzYAML(f *testing.F) {
	for _, text := range understood {
		f.Add(text)
	}
	for text := range refused {
		f.Add(text)
	}
	shipped, err := os.ReadFile("../packaging/etc/wrap.yaml")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(string(shipped))
	f.Fuzz(sameAsLibrary)
}

// TestYAMLOfTokens puts documents together from what means something in YAML.
func TestYAMLOfTokens(t *testing.T) {
	tokens := []string{
		"a", "b", "c", ":", ": ", " ", "\n", "\n", "\n  ", "\n ", "-", "- ", "{", "}", "[", "]", ",", ", ", "#", " #c", " # c\n", "\"", "'", "'x'", "\"y\"", "|\n", ">\n",
		"|", ">", "+", "\t", "?", "!", "---", "...", "~", "a: ", "\nb: ", "\n  - ", "\n\n", "   ", "\\", "\u00a0", "%", "@", "<<",
	}
	r := rand.New(rand.NewPCG(7, 7))
	for range 100_000 {
		var b strings.Builder
		b.WriteString([]string{"a: ", "a: ", "a: {", "a: [", "{", "", ""}[r.IntN(7)])
		for range 1 + r.IntN(22) {
			b.WriteString(tokens[r.IntN(len(tokens))])
		}
		sameAsLibrary(t, b.String())
		if t.Failed() {
			return
		}
	}
}

// sameAsLibrary holds a document, where it is accepted, against the library.
func sameAsLibrary(t *testing.T, text string) {
	t.Helper()
	n, err := parseYAML([]byte(text))
	if err != nil {
		return
	}
	if got, want := n.tree(), library(t, text); !reflect.DeepEqual(got, want) {
		t.Errorf("%q:\n got %#v\nwant %#v", text, got, want)
	}
}

// tree is what a document says, without the forms it can be written in.
func (n *node) tree() any {
	switch {
	case n == nil:
		return nil
	case n.kind == mapping:
		m := map[string]any{}
		for i, k := range n.keys {
			m[k.text] = n.values[i].tree()
		}
		return m
	case n.kind == sequence:
		list := []any{}
		for _, v := range n.values {
			list = append(list, v.tree())
		}
		return list
	case n.null():
		return nil
	}
	return n.text
}

func library(t *testing.T, text string) any {
	t.Helper()
	var doc yaml.Node
	if err := yaml.Unmarshal([]byte(text), &doc); err != nil {
		t.Errorf("%q: the library refuses it: %v", text, err)
		return nil
	}
	if len(doc.Content) == 0 {
		return nil
	}
	return libraryTree(doc.Content[0])
}

func libraryTree(n *yaml.Node) any {
	switch n.Kind {
	case yaml.MappingNode:
		m := map[string]any{}
		for i := 0; i+1 < len(n.Content); i += 2 {
			m[n.Content[i].Value] = libraryTree(n.Content[i+1])
		}
		return m
	case yaml.SequenceNode:
		list := []any{}
		for _, v := range n.Content {
			list = append(list, libraryTree(v))
		}
		return list
	}
	if n.Tag == "!!null" {
		return nil
	}
	return n.Value
}
