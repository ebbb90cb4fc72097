// SPDX-License-Identifier: AGPL-3.0-or-later

package asciicast

import (
	"encoding/json"
	"reflect"
	"strconv"
	"testing"
)

// TestHeaderSaysAll fills every field there is, so that none can be forgotten
// where the line is written.
func TestHeaderSaysAll(t *testing.T) {
	var h Header
	n := 0
	fill(t, reflect.ValueOf(&h).Elem(), &n)
	h.Version = Version
	if back := parseBack(t, h); !reflect.DeepEqual(back, h) {
		t.Errorf("got  %+v %+v\nwant %+v %+v", back, back.Session, h, h.Session)
	}
}

func fill(t *testing.T, v reflect.Value, n *int) {
	*n++
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			fill(t, v.Field(i), n)
		}
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(t, v.Elem(), n)
	case reflect.String:
		v.SetString("text " + strconv.Itoa(*n) + " \"\\\n\x01<é日>")
	case reflect.Int, reflect.Int64:
		v.SetInt(int64(100 + *n))
	case reflect.Float64:
		v.SetFloat(float64(*n) + 0.25)
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Map:
		if v.Type().Elem() == reflect.TypeFor[json.RawMessage]() {
			v.Set(reflect.ValueOf(map[string]json.RawMessage{"b": []byte(`{"c":[1]}`), "a<\"": []byte("1")}))
			return
		}
		v.Set(reflect.ValueOf(map[string]string{"B": "2\n", "A": "1"}))
	case reflect.Slice:
		v.Set(reflect.ValueOf([]string{"one", "t\"wo"}))
	default:
		t.Fatalf("a field of kind %v", v.Kind())
	}
}

func parseBack(t *testing.T, h Header) Header {
	t.Helper()
	line := AppendHeader([]byte("before"), h)
	if string(line[:6]) != "before" || line[len(line)-1] != '\n' {
		t.Fatalf("%q", line)
	}
	var back Header
	if err := json.Unmarshal(line[6:], &back); err != nil {
		t.Fatalf("%v in %q", err, line)
	}
	return back
}

// FuzzHeader holds the line against encoding/json, for any text.
func FuzzHeader(f *testing.F) {
	f.Add("xterm", "ls", "A", "é", int64(1), 0.5)
	f.Add("\xff", "\x00\u2028", "", "</script>", int64(-1), 1e-7)
	f.Fuzz(func(t *testing.T, term, command, key, value string, number int64, idle float64) {
		h := Header{
			Version: Version, Term: Term{Cols: 80, Rows: 24, Type: term}, Timestamp: number, Command: command,
			Env: map[string]string{key: value}, Tags: []string{value}, Session: &Session{Login: value, Audit: number},
		}
		if idle > 0 && idle < 1e6 {
			h.IdleTimeLimit = idle
		}
		line, err := json.Marshal(h)
		if err != nil {
			t.Fatal(err)
		}
		var want Header
		if err := json.Unmarshal(line, &want); err != nil {
			t.Fatal(err)
		}
		if got := parseBack(t, h); !reflect.DeepEqual(got, want) {
			t.Errorf("got  %+v %+v\nwant %+v %+v", got, got.Session, want, want.Session)
		}
	})
}
