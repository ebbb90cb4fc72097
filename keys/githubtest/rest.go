// SPDX-License-Identifier: AGPL-3.0-or-later

package githubtest

import (
	"net/http"
	"strconv"
	"strings"
)

// rest answers a GET whose path was split at the slashes. Paths of the API that
// castgate-keys has no business with are not there.
func (s *Server) rest(w http.ResponseWriter, r *http.Request, st State, p []string) {
	switch {
	case len(p) >= 4 && p[0] == "orgs" && p[2] == "teams" && strings.EqualFold(p[1], st.Org):
		s.team(w, r, st, p[3], p[4:])
	case (len(p) == 2 || len(p) == 3 && p[2] == "keys") && p[0] == "users":
		s.userByLogin(w, r, st, p[1], len(p) == 3)
	case (len(p) == 2 || len(p) == 3 && p[2] == "keys") && p[0] == "user":
		id, _ := strconv.ParseInt(p[1], 10, 64)
		login, u, ok := st.byID(id)
		s.user(w, r, login, u, ok, len(p) == 3)
	default:
		refuse(w, http.StatusNotFound, "Not Found")
	}
}

func (s *Server) team(w http.ResponseWriter, r *http.Request, st State, slug string, p []string) {
	_, exists := st.Teams[slug]
	switch {
	case !exists:
		refuse(w, http.StatusNotFound, "Not Found")
	case len(p) == 0:
		s.reply(w, r, map[string]any{"slug": slug, "name": slug, "members_count": len(st.members(slug))})
	case len(p) == 1 && p[0] == "members":
		list := []map[string]any{}
		for _, m := range page(w, r, st.members(slug)) {
			list = append(list, map[string]any{"login": m.Login, "id": m.ID, "type": "User"})
		}
		s.reply(w, r, list)
	case len(p) == 2 && p[0] == "memberships":
		state := st.state(slug, p[1])
		if now, ok := st.Renamed[strings.ToLower(p[1])]; ok && state == "" {
			state = st.state(slug, now)
		}
		if state == "" {
			refuse(w, http.StatusNotFound, "Not Found")
			return
		}
		s.reply(w, r, map[string]string{"state": state, "role": "member"})
	default:
		refuse(w, http.StatusNotFound, "Not Found")
	}
}

func (s *Server) userByLogin(w http.ResponseWriter, r *http.Request, st State, login string, keys bool) {
	name, u, ok := st.user(login)
	if now, renamed := st.Renamed[strings.ToLower(login)]; renamed && !ok {
		_, u, _ := st.user(now)
		to := s.Prefix + "/user/" + strconv.FormatInt(u.ID, 10)
		if keys {
			to += "/keys"
		}
		http.Redirect(w, r, to, http.StatusMovedPermanently)
		return
	}
	s.user(w, r, name, u, ok, keys)
}

func (s *Server) user(w http.ResponseWriter, r *http.Request, login string, u User, ok, keys bool) {
	if !ok {
		refuse(w, http.StatusNotFound, "Not Found")
		return
	}
	if !keys {
		user := map[string]any{"login": login, "id": u.ID, "type": "User"}
		if u.Suspended {
			user["suspended_at"] = "2024-01-01T00:00:00Z"
		}
		s.reply(w, r, user)
		return
	}
	list := []map[string]any{}
	for _, k := range page(w, r, u.Keys) {
		list = append(list, map[string]any{"id": keyID(k), "key": k})
	}
	s.reply(w, r, list)
}
