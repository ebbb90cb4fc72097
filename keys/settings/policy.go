// SPDX-License-Identifier: AGPL-3.0-or-later

package settings

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"castgate/keys/pubkey"
	"castgate/wrap/hint"
)

// Policy says which keys of a member may be used, and with which options.
type Policy struct {
	Types      []string `yaml:"types"`
	MinRSABits int      `yaml:"min_rsa_bits"`
	Options    string   `yaml:"options"`
}

// minRSA is what sshd itself refuses below (RequiredRSASize, sshd_config(5)).
const minRSA = 1024

func (p Policy) validate() error {
	if len(p.Types) == 0 {
		return hint.Add(errors.New("keys: types is empty"), "no key could open any account")
	}
	for _, t := range p.Types {
		if !pubkey.Known(t) {
			return fmt.Errorf("keys: type %q is not supported", t)
		}
	}
	if p.MinRSABits < minRSA {
		return fmt.Errorf("keys: min_rsa_bits %d is below %d, which sshd refuses anyway", p.MinRSABits, minRSA)
	}
	return pubkey.CheckOptions(p.Options)
}

// Refuses returns why the policy does not accept the key, "" when it does.
func (p Policy) Refuses(k pubkey.Key) string {
	if !slices.Contains(p.Types, k.Type) {
		return fmt.Sprintf("keys of type %s are not accepted", k.Type)
	}
	if n := k.Bits(); k.Type == "ssh-rsa" && n < p.MinRSABits {
		return fmt.Sprintf("RSA keys with %d bits are not accepted: %d is the least", n, p.MinRSABits)
	}
	return ""
}

// For returns the options of a line that lets somebody into the account.
func (p Policy) For(a Account) string {
	opts := p.Options
	if a.Options != nil {
		opts = *a.Options
	}
	if len(a.From) > 0 {
		opts = strings.TrimSuffix(`from="`+strings.Join(a.From, ",")+`",`+opts, ",")
	}
	return opts
}
