// SPDX-License-Identifier: AGPL-3.0-or-later

// Package githubtest is a strict stand-in for the parts of GitHub's API that
// castgate-keys uses: it refuses what GitHub refuses (no token, no User-Agent,
// a wrong Accept or API version, an endpoint that does not exist), pages, sends
// ETags that depend on the Authorization, and can be told to break in any way
// that GitHub has been seen to break. It is for tests and for the demo.
package githubtest

import (
	"encoding/json"
	"hash/crc32"
	"os"
	"slices"
	"strings"
)

// State is an organisation: what the JSON file of the demo holds.
type State struct {
	Org   string          `json:"org"`
	Teams map[string]Team `json:"teams"`
	Users map[string]User `json:"users"`
	// Renamed maps former logins to the present one. GitHub answers them with
	// a redirect until somebody else takes the login.
	Renamed map[string]string `json:"renamed,omitempty"`
}

// Team has its direct members; those of its children count as members too.
type Team struct {
	Members []Member `json:"members"`
	Parent  string   `json:"parent"`
}

// Member is an entry of a team. The state is "active" unless it says "pending".
type Member struct {
	Login string `json:"login"`
	ID    int64  `json:"id"`
	State string `json:"state"`
}

// User is an account on GitHub with its authentication keys.
type User struct {
	ID        int64    `json:"id"`
	Keys      []string `json:"keys"`
	Suspended bool     `json:"suspended,omitempty"`
}

// Read reads a state file.
func Read(path string) (State, error) {
	var s State
	body, err := os.ReadFile(path)
	if err == nil {
		err = json.Unmarshal(body, &s)
	}
	return s, err
}

// user finds a login without regard to case, as GitHub does.
func (s State) user(login string) (string, User, bool) {
	if u, ok := s.Users[login]; ok {
		return login, u, true
	}
	for name, u := range s.Users {
		if strings.EqualFold(name, login) {
			return name, u, true
		}
	}
	return "", User{}, false
}

func (s State) byID(id int64) (string, User, bool) {
	for name, u := range s.Users {
		if u.ID == id {
			return name, u, true
		}
	}
	return "", User{}, false
}

// members lists the active members of a team and its children, by login.
func (s State) members(slug string) []Member {
	var list []Member
	seen := map[int64]bool{}
	for name, t := range s.Teams {
		if !s.below(name, slug) {
			continue
		}
		for _, m := range t.Members {
			if m.State != "pending" && !seen[m.ID] {
				seen[m.ID] = true
				list = append(list, m)
			}
		}
	}
	slices.SortFunc(list, func(a, b Member) int { return strings.Compare(a.Login, b.Login) })
	return list
}

// below reports whether a team is the other or one of its descendants.
func (s State) below(name, ancestor string) bool {
	for range len(s.Teams) + 1 { // a circle of parents ends here
		if name == ancestor {
			return true
		}
		name = s.Teams[name].Parent
	}
	return false
}

// state is a login's membership in a team: active, pending or none ("").
func (s State) state(slug, login string) string {
	for _, m := range s.members(slug) {
		if strings.EqualFold(m.Login, login) {
			return "active"
		}
	}
	for _, m := range s.Teams[slug].Members {
		if strings.EqualFold(m.Login, login) {
			return m.State
		}
	}
	return ""
}

// keyID is a number for a key, the same at every start.
func keyID(line string) int64 { return int64(crc32.ChecksumIEEE([]byte(line))) + 1 }
