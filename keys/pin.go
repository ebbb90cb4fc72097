// SPDX-License-Identifier: AGPL-3.0-or-later

package keys

import (
	"context"
	"fmt"

	"castgate/keys/hint"
	"castgate/keys/owners"
	"castgate/keys/settings"
)

// Pin makes an account a member's: a login, or LOGIN:ID. It asks GitHub for an id
// that was not given.
func (s *Service) Pin(ctx context.Context, account, entry string) (owners.Owner, error) {
	login, id, err := settings.SplitLogin(entry)
	if err != nil {
		return owners.Owner{}, err
	}
	if err := s.Owners.Pinnable(account); err != nil {
		return owners.Owner{}, err
	}
	if id == 0 {
		p, err := s.finder.Find(ctx, login, 0, s.Config.AllTeams())
		if err != nil {
			return owners.Owner{}, err
		}
		if id, login = p.ID, p.Login; id == 0 || p.Suspended {
			return owners.Owner{}, hint.Add(fmt.Errorf("%q is not a member of a team in keys.yaml", entry), "LOGIN:ID pins an id without asking GitHub")
		}
	}
	return s.Owners.Pin(account, login, id)
}
