// SPDX-License-Identifier: AGPL-3.0-or-later

package asciicast

import (
	"bytes"
	"encoding/json"
	"reflect"
	"strings"
)

// A header may come from a newer recorder than its reader. What the reader does
// not know of it stays in Session.More, so that whoever passes a session on
// passes on all of it.

// knownKeys are the keys of Session's fields.
func knownKeys() map[string]bool {
	keys := map[string]bool{}
	for i := range reflect.TypeFor[Session]().NumField() {
		key, _, _ := strings.Cut(reflect.TypeFor[Session]().Field(i).Tag.Get("json"), ",")
		keys[key] = true
	}
	return keys
}

// UnmarshalJSON implements json.Unmarshaler.
func (s *Session) UnmarshalJSON(p []byte) error {
	type fields Session
	if err := json.Unmarshal(p, (*fields)(s)); err != nil {
		return err
	}
	s.More = nil
	var all map[string]json.RawMessage
	if err := json.Unmarshal(p, &all); err != nil {
		return err
	}
	known := knownKeys()
	for k, v := range all {
		if known[strings.ToLower(k)] { // encoding/json takes any case
			continue
		}
		if s.More == nil {
			s.More = map[string]json.RawMessage{}
		}
		s.More[k] = v
	}
	return nil
}

// MarshalJSON implements json.Marshaler.
func (s Session) MarshalJSON() ([]byte, error) {
	type fields Session
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false) // that is for whoever encodes the whole to say
	if err := enc.Encode(fields(s)); err != nil || len(s.More) == 0 {
		return b.Bytes(), err
	}
	b.Truncate(b.Len() - len("}\n"))
	b.WriteByte(',')
	rest := b.Len()
	if err := enc.Encode(s.More); err != nil {
		return nil, err
	}
	b.Bytes()[rest] = ' ' // the second object's brace
	return b.Bytes(), nil
}
