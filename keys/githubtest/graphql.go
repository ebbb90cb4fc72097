// SPDX-License-Identifier: AGPL-3.0-or-later

package githubtest

import (
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
)

// graphql answers the one question that castgate-keys asks: a team's members
// with their keys, a page at a time. It refuses a query without the parts that
// make it that question, as GitHub refuses fields that don't exist.
func (s *Server) graphql(w http.ResponseWriter, r *http.Request, st State) {
	var in struct {
		Query     string
		Variables struct{ Org, Team, After string }
	}
	if r.Method != http.MethodPost || json.NewDecoder(r.Body).Decode(&in) != nil {
		refuse(w, http.StatusBadRequest, "Problems parsing JSON")
		return
	}
	for _, part := range []string{
		"organization(login:$org)", "team(slug:$team)", "members(first:100,after:$after,membership:ALL)",
		"pageInfo{hasNextPage endCursor}", "nodes{login databaseId publicKeys(first:100){totalCount nodes{key}}}",
	} {
		if !strings.Contains(in.Query, part) {
			s.reply(w, r, map[string]any{"errors": []any{map[string]string{"type": "undefinedField", "message": "the query lacks " + part}}})
			return
		}
	}
	if _, ok := st.Teams[in.Variables.Team]; !ok || !strings.EqualFold(in.Variables.Org, st.Org) {
		s.reply(w, r, map[string]any{"data": map[string]any{"organization": map[string]any{"team": nil}}})
		return
	}
	s.reply(w, r, members(st, in.Variables.Team, in.Variables.After))
}

func members(st State, slug, after string) any {
	list := st.members(slug)
	from, _ := strconv.Atoi(after)
	from = min(from, len(list))
	to := min(from+100, len(list))
	nodes := []any{}
	for _, m := range list[from:to] {
		_, u, _ := st.user(m.Login)
		keys := []any{}
		for _, k := range u.Keys[:min(100, len(u.Keys))] {
			keys = append(keys, map[string]string{"key": k})
		}
		nodes = append(nodes, map[string]any{
			"login": m.Login, "databaseId": m.ID,
			"publicKeys": map[string]any{"totalCount": len(u.Keys), "nodes": keys},
		})
	}
	info := map[string]any{"hasNextPage": to < len(list), "endCursor": strconv.Itoa(to)}
	return map[string]any{"data": map[string]any{"organization": map[string]any{
		"team": map[string]any{"members": map[string]any{"pageInfo": info, "nodes": nodes}},
	}}}
}
