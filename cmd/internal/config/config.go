// SPDX-License-Identifier: AGPL-3.0-or-later

// Package config reads a castgate YAML file into a struct, strictly: a key
// that the struct doesn't know is an error, and so is a file that somebody
// other than its administrator could have written. It is the only importer of
// viper; castgate-wrap, which is set-id, does not use it.
package config

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"

	"github.com/go-viper/mapstructure/v2"
	"github.com/spf13/viper"
	"go.yaml.in/yaml/v3"
	"golang.org/x/sys/unix"

	"castgate/wrap/nearest"
)

// Error is a configuration error with advice for the administrator.
type Error struct {
	Path string
	Err  error
	hint string
}

func (e *Error) Error() string { return fmt.Sprintf("read %q: %v", e.Path, e.Err) }
func (e *Error) Unwrap() error { return e.Err }

// Hint is the advice that package cli prints on a line of its own.
func (e *Error) Hint() string { return e.hint }

// Load reads the YAML file at path into the struct that into points to. Keys
// are the fields' `yaml` tags; values already in the struct are the defaults.
// A missing file is an *Error that wraps fs.ErrNotExist.
func Load(path string, into any) error {
	if err := trusted(path); err != nil {
		return err
	}
	// Account names may contain dots, so no character divides a key.
	text := &remembered{}
	v := viper.NewWithOptions(viper.KeyDelimiter("\x00"), viper.WithDecoderRegistry(text))
	v.SetConfigFile(path)
	v.SetConfigType("yaml")
	if err := v.ReadInConfig(); err != nil {
		var parse viper.ConfigParseError
		if errors.As(err, &parse) {
			err = parse.Unwrap()
		}
		return &Error{Path: path, Err: err, hint: "the file is YAML: check the indentation and the quotes near that line"}
	}
	if err := v.Unmarshal(into, strictly(nil)); err != nil {
		return &Error{Path: path, Err: plain(err), hint: hintOf(err)}
	}
	return check(path, text.all, into)
}

// Peek reads a few keys of a file whose every key was checked before, and does not
// check them again.
func Peek(path string, into any) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	return yaml.Unmarshal(text, into)
}

// strictly is how a file is decoded; md gets to know which keys were.
func strictly(md *mapstructure.Metadata) viper.DecoderConfigOption {
	return func(c *mapstructure.DecoderConfig) {
		c.TagName = "yaml"
		c.Metadata = md
		c.DecodeHook = mapstructure.ComposeDecodeHookFunc(
			mapstructure.StringToTimeDurationHookFunc(),
			mapstructure.TextUnmarshallerHookFunc(),
			yesNo,
			oneText,
		)
	}
}

// remembered decodes YAML for viper and keeps what the file says: viper itself
// drops keys that have nothing below them, known or not.
type remembered struct{ all map[string]any }

// Decoder is asked for by viper.
func (r *remembered) Decoder(string) (viper.Decoder, error) { return r, nil }

// Decode is called by viper, once.
func (r *remembered) Decode(b []byte, into map[string]any) error {
	if err := yaml.Unmarshal(b, &r.all); err != nil {
		return err
	}
	if err := distinct(r.all); err != nil {
		return err
	}
	return yaml.Unmarshal(b, &into)
}

// distinct refuses keys that differ in nothing but case: to viper they are one,
// and which of the two counts would be chance. YAML itself refuses the same key
// twice.
func distinct(value any) error {
	switch value := value.(type) {
	case []any:
		for _, v := range value {
			if err := distinct(v); err != nil {
				return err
			}
		}
	case map[string]any:
		seen := map[string]string{}
		for _, k := range slices.Sorted(maps.Keys(value)) {
			if other, twice := seen[strings.ToLower(k)]; twice {
				return fmt.Errorf("key %q is there already, as %q", k, other)
			}
			seen[strings.ToLower(k)] = k
			if err := distinct(value[k]); err != nil {
				return err
			}
		}
	}
	return nil
}

// check refuses keys that into doesn't know, and what its Validate refuses. Its
// Written sees what decoding loses.
func check(path string, all map[string]any, into any) error {
	var md mapstructure.Metadata
	c := &mapstructure.DecoderConfig{Result: reflect.New(reflect.TypeOf(into).Elem()).Interface(), WeaklyTypedInput: true}
	strictly(&md)(c)
	d, err := mapstructure.NewDecoder(c)
	if err != nil {
		return err
	}
	if err := d.Decode(all); err != nil {
		return &Error{Path: path, Err: plain(err)}
	}
	if len(md.Unused) > 0 {
		slices.Sort(md.Unused)
		key := md.Unused[0]
		return &Error{
			Path: path, Err: fmt.Errorf("key %q is not known", last(key)),
			hint: suggest(last(key), append(md.Keys, md.Unset...)),
		}
	}
	if w, ok := into.(interface{ Written(all map[string]any) }); ok {
		w.Written(all)
	}
	if val, ok := into.(interface{ Validate() error }); ok {
		if err := val.Validate(); err != nil {
			return &Error{Path: path, Err: err, hint: hintOf(err)}
		}
	}
	return nil
}

func hintOf(err error) string {
	var h interface{ Hint() string }
	if errors.As(err, &h) {
		return h.Hint()
	}
	return ""
}

// plain takes the first of mapstructure's errors, which joins them over
// several lines and begins with a line of its own.
func plain(err error) error {
	var d *mapstructure.DecodeError
	if errors.As(err, &d) {
		return fmt.Errorf("key %q: %w", d.Name(), d.Unwrap())
	}
	return err
}

// oneText refuses a text where a list belongs, unless it is the list's one item.
func oneText(from, to reflect.Type, data any) (any, error) {
	text, ok := data.(string)
	if !ok || to.Kind() != reflect.Slice || !strings.ContainsAny(strings.TrimSpace(text), ", \t") {
		return data, nil
	}
	return nil, listError(text)
}

// listError is a text where a list belongs.
type listError string

func (e listError) Error() string { return fmt.Sprintf("%q is one text, not a list", string(e)) }

func (e listError) Hint() string {
	items := strings.FieldsFunc(string(e), func(r rune) bool { return strings.ContainsRune(", \t", r) })
	return "a list is written [" + strings.Join(items, ", ") + "]"
}

// yesNo lets a boolean key be written as YAML 1.1 wrote it.
func yesNo(from, to reflect.Type, data any) (any, error) {
	if from.Kind() != reflect.String || to.Kind() != reflect.Bool {
		return data, nil
	}
	switch data.(string) {
	case "yes", "on", "true":
		return true, nil
	case "no", "off", "false":
		return false, nil
	}
	return nil, fmt.Errorf("%q is neither yes nor no", data)
}

// trusted refuses a file that others than root and the caller could write.
func trusted(path string) error {
	for _, p := range []string{path, filepath.Dir(path)} {
		var st unix.Stat_t
		if err := unix.Stat(p, &st); err != nil {
			return missing(path, err)
		}
		if st.Uid != 0 && int(st.Uid) != os.Geteuid() {
			return &Error{path, fmt.Errorf("%q belongs to uid %d", p, st.Uid), fmt.Sprintf("chown root %s", p)}
		}
		sticky := p != path && st.Mode&unix.S_ISVTX != 0
		if st.Mode&0o022 != 0 && !sticky {
			return &Error{path, fmt.Errorf("%q may be written by others (mode %04o)", p, st.Mode&0o7777), fmt.Sprintf("chmod go-w %s", p)}
		}
	}
	return nil
}

func missing(path string, err error) error {
	e := &Error{Path: path, Err: err}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		e.hint = "the package ships this file; -config FILE names another"
	case errors.Is(err, fs.ErrPermission):
		e.hint = "run it as root or as the program's own user"
	}
	return e
}

func last(key string) string {
	key = strings.ToLower(key[strings.LastIndexAny(key, "\x00.")+1:])
	return key
}

func suggest(key string, known []string) string {
	for i, k := range known {
		known[i] = last(k)
	}
	if near := nearest.To(key, known); near != "" {
		return fmt.Sprintf("did you mean %q?", near)
	}
	return "the man page lists the keys"
}
