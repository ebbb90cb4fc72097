// SPDX-License-Identifier: AGPL-3.0-or-later

package receive

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"castgate/upload/manifest"
)

// otherBytes is what a bucket's client says of a key that is taken.
type otherBytes struct{}

func (otherBytes) Error() string { return "other bytes are there" }
func (otherBytes) Refused() bool { return true }

// signer is a bucket; the real one is in castgate/upload.
type signer struct {
	has   string // the hash of what it has
	err   error
	asked []string
}

func (s *signer) Ticket(_ context.Context, path string, o manifest.Object, parts []string) (string, http.Header, int, error) {
	s.asked = append(s.asked, fmt.Sprint(path, " ", o.SHA256, " ", o.Bytes))
	if s.err != nil || s.has == o.SHA256 {
		return "", nil, 0, s.err
	}
	return "https://bucket/" + path, http.Header{"Host": {"bucket"}, "Content-Length": {"7"}, "If-None-Match": {"*"}}, len(parts), nil
}

func TestTickets(t *testing.T) {
	sum := strings.Repeat("ab", 32)
	path := "alice/web1/" + testDay + "/" + testID + ".cast.zst"
	part := strings.Repeat("A", 43) + "="
	good := fmt.Sprintf(`{"user":"alice","day":%q,"name":"%s.cast.zst","sha256":%q,"bytes":7}`, testDay, testID, sum)
	with := func(from, to string) string { return strings.Replace(good, from, to, 1) }
	for _, tt := range []struct {
		name, order string
		signer      signer
		status      int
		says        string
	}{
		{"new", good, signer{}, 201, "https://bucket/" + path},
		{"there already", good, signer{has: sum}, 200, path},
		{"other bytes", good, signer{err: otherBytes{}}, 409, "other bytes"},
		{"the bucket is down", good, signer{err: errors.New("10.0.0.1 refuses")}, 500, "internal error"},
		{"not JSON", "user=alice", signer{}, 400, "order"},
		{"a host", with(`"user"`, `"host":"db1","user"`), signer{}, 400, "host"},
		{"out of the store", with(`"alice"`, `".."`), signer{}, 400, "account"},
		{"a path for a user", with(`"alice"`, `"alice/db1"`), signer{}, 400, "account"},
		{"no day", with(testDay, "2026/11"), signer{}, 400, "day"},
		{"a path for a day", with(testDay, "../11/21"), signer{}, 400, "day"},
		{"another file", with(".cast.zst", ".exe"), signer{}, 400, "archive keeps"},
		{"no hash", with(sum, "abc"), signer{}, 400, "SHA-256"},
		{"empty", with(":7}", ":0}"), signer{}, 400, "no recording"},
		{"too large", with(":7}", ":5000000000}"), signer{}, 413, "too large"},
		{"in parts", with(":7}", `:7,"parts":["`+part+`","`+part+`"]}`), signer{}, 201, `"part":2`},
		{"a part that is no hash", with(":7}", `:7,"parts":["`+part+`","AAAA"]}`), signer{}, 400, "base64"},
		{"a part with a line break", with(":7}", `:7,"parts":["`+part[:8]+`\n`+part[8:]+`"]}`), signer{}, 400, "base64"},
		{"more parts than there are", with(":7}", `:7,"parts":["`+strings.Repeat(part+`","`, maxParts)+part+`"]}`), signer{}, 413, "too large"},
		{"a long order", with("alice", strings.Repeat("a", maxOrder)), signer{}, 413, "too large"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := newFleet(t, Limits{})
			f.srv.Tickets = &tt.signer
			status, text := f.do(f.host("web1"), http.MethodPost, "/v1/tickets", []byte(tt.order))
			if status != tt.status || !strings.Contains(text, tt.says) || strings.Contains(text, "10.0.0.1") {
				t.Errorf("status %d, %s", status, text)
			}
			asked := status == 201 || status == 200 || status == 409 || status == 500
			if want := path + " " + sum + " 7"; asked && (len(tt.signer.asked) != 1 || tt.signer.asked[0] != want) || !asked && tt.signer.asked != nil {
				t.Errorf("asked for %q", tt.signer.asked)
			}
			if log := f.log.String(); strings.Count(log, "\n") != 1 || !strings.Contains(log, fmt.Sprint("status=", status)) || strings.Contains(log, "https://bucket") {
				t.Errorf("log: %s", log)
			}
			var got struct {
				Path    string
				Headers map[string]string
			}
			if err := json.Unmarshal([]byte(text), &got); err != nil {
				t.Fatal(err)
			}
			if status == 201 && (got.Path != path || len(got.Headers) != 1 || got.Headers["If-None-Match"] != "*") {
				t.Errorf("got %s", text)
			}
		})
	}
	t.Run("another host", func(t *testing.T) {
		f, s := newFleet(t, Limits{}), &signer{}
		f.srv.Tickets = s
		if status, text := f.do(f.host("db1"), http.MethodPost, "/v1/tickets", []byte(good)); status != 201 || !strings.HasPrefix(s.asked[0], "alice/db1/") {
			t.Errorf("status %d, %s, asked %q", status, text, s.asked)
		}
	})
	t.Run("none are given", func(t *testing.T) {
		f := newFleet(t, Limits{})
		if status, text := f.do(f.host("web1"), http.MethodPost, "/v1/tickets", []byte(good)); status != 404 || !strings.Contains(text, "gives no tickets") {
			t.Errorf("status %d, %s", status, text)
		}
	})
}
