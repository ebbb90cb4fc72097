// SPDX-License-Identifier: AGPL-3.0-or-later

package host

import (
	"fmt"

	"castgate/cmd/internal/cli"
	"castgate/cmd/internal/config"
	"castgate/keys"
	keyconf "castgate/keys/settings"
)

// ShowPeople lists who gets in by name, before the door opens.
func (s *Switch) ShowPeople() error {
	svc, err := people()
	if err != nil {
		return err
	}
	all, err := svc.Owners.List()
	for _, o := range all {
		fmt.Fprintln(s.Out, o)
	}
	return err
}

// PinPeople writes that list down as root's word: from now on each account is
// the person's, whatever becomes of their login.
func (s *Switch) PinPeople() error {
	if s.DryRun {
		return nil
	}
	svc, err := people()
	if err == nil {
		_, err = svc.Owners.PinAll()
	}
	if err != nil {
		return cli.Hint(fmt.Errorf("castgate is enabled, but whose the accounts are is not written down: %w", err), "castgate-keys pin -all tries again")
	}
	return nil
}

func people() (*keys.Service, error) {
	c := keyconf.Default()
	if err := config.Load(keyconf.DefaultFile, c); err != nil {
		return nil, err
	}
	svc, _ := keys.New(c) // without a cache, nobody's id is known yet
	return svc, nil
}
