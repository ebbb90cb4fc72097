// SPDX-License-Identifier: AGPL-3.0-or-later

package keys

import (
	"context"
	"errors"
	"strings"

	"castgate/keys/owners"
	"castgate/keys/pubkey"
)

// Decide answers for one account; with an offered key for that key alone. The
// error is a fault: nobody could say whether the account opens.
func (s *Service) Decide(ctx context.Context, account string, offered *pubkey.Key) (*Decision, error) {
	d := s.decision(account, owners.Grant{})
	if d.offered = offered; offered != nil {
		d.Offered = offered.Fingerprint()
	}
	if path, ok := s.Config.Emergency[strings.ToLower(account)]; ok && d.emergency(path) {
		return d, nil
	}
	g, why, err := s.Owners.Grant(account)
	switch {
	case err != nil:
		d.no("%s", err)
		return d, err
	case why != "":
		d.refuse("%s", why)
		return d, nil
	}
	d.grant = g
	d.explainGrant(g)
	d.Warnings = append(d.Warnings, g.Warnings...)
	err = s.ask(ctx, d)
	if d.Allowed() {
		return d, nil
	}
	if d.Why == "" {
		d.Why = "the key belongs to nobody who may open the account"
	}
	return d, err
}

// ask asks for everybody whom the grant lets in. A fault counts only when nobody
// else's key opened the account.
func (s *Service) ask(ctx context.Context, d *Decision) error {
	var fault error
	for _, p := range d.grant.Logins {
		login := s.Owners.Present(p, d.grant.Need)
		id := p.ID
		if p.URL != "" && p.URL != s.Known.Origin.URL {
			id = 0 // somebody else has the number there
		}
		r, how, err := s.person(ctx, login, id, d.grant.Need)
		if err != nil {
			d.no("%q: %s", login, err)
			fault = err
			continue
		}
		d.add(found{r, how, d.grant.Need, &p})
	}
	if len(d.grant.Teams) == 0 || d.offered != nil && d.Allowed() {
		return fault
	}
	if err := s.addTeams(ctx, d); err != nil {
		return err
	}
	return fault
}

// See notes the ids that were let in for the first time.
func (s *Service) See(d *Decision) error {
	if !d.First() {
		return nil
	}
	var faults []error
	for _, p := range d.firsts {
		faults = append(faults, s.Owners.See(d.Account, p))
	}
	return errors.Join(faults...)
}
