// SPDX-License-Identifier: AGPL-3.0-or-later

package web

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// unnamedSpan is how far back recordings that name no person are counted: what
// was set right since then needs no telling.
const unnamedSpan = 30 * 24 * time.Hour

// maxHosts is how many hosts a sentence names.
const maxHosts = 5

// leftOut says in plain words which recordings a list doesn't have, and why. Who
// sees everything is told which ones nobody else sees: that is for the whole
// list only, and not for each page and filter of it.
func (s *Server) leftOut(ctx context.Context, a Auditor, whole bool) (string, error) {
	const hookless = " A recording names the person only where its host has the session hook on, and the key is one on GitHub: others are shown to nobody but those who see every recording, whatever the account is called."
	switch {
	case a.Role == RoleAll && whole:
		return s.unnamed(ctx)
	case a.Role == RoleAll:
		return "", nil
	case !a.Person.Known():
		return fmt.Sprintf("Recordings name people by their GitHub login, and “%s” is not known to be one, so none of them is yours. Whoever runs this page can say which login is yours.", visible(a.Name)), nil
	case a.Role == RoleTeam:
		return "You see the sessions of the members of your team, and yours: those whose recordings name them by GitHub login." + hookless, nil
	}
	return fmt.Sprintf("You see the sessions whose recordings name @%s as the person.", a.Person.Login()) + hookless, nil
}

// unnamed tells of the recordings that name no person.
func (s *Server) unnamed(ctx context.Context) (string, error) {
	byHost, err := s.archive.Unnamed(ctx, s.now().Add(-unnamedSpan))
	if err != nil || len(byHost) == 0 {
		return "", err
	}
	total := 0
	for _, n := range byHost {
		total += n
	}
	hosts := slices.Sorted(maps.Keys(byHost))
	on := visible(strings.Join(hosts[:min(len(hosts), maxHosts)], ", "))
	if more := len(hosts) - maxHosts; more > 0 {
		on += fmt.Sprintf(" and %d more", more)
	}
	recordings := "recordings of the last 30 days name"
	if total == 1 {
		recordings = "recording of the last 30 days names"
	}
	return fmt.Sprintf("%d %s no person, on %s: only who sees every recording sees them. The session hook may be off there (castgate check tells), or the key was none on GitHub.", total, recordings, on), nil
}
