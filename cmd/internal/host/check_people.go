// SPDX-License-Identifier: AGPL-3.0-or-later

package host

import (
	"castgate/keys"
)

// people: who gets in though no team has them, on an answer that is old, or not
// though they should.
func (h *Host) people() []Finding {
	all := h.otherAuthorities()
	if h.keysErr != nil {
		return all // keysYAML has said it
	}
	svc, err := keys.New(h.Keys)
	if err != nil {
		return all // files and gitHub have said it
	}
	return append(append(all, h.oldAnswers(svc)...), h.namesakes(svc)...)
}

// otherAuthorities: a certificate opens every account that it names, whatever
// GitHub says, for as long as its authority made it.
func (h *Host) otherAuthorities() []Finding {
	return h.each("certificates of other authorities", "whoever TrustedUserCAKeys has signed for gets in past the teams, members and others alike",
		"TrustedUserCAKeys none above other lines, or in "+from(configured(sshdMain), "trustedusercakeys"), Warn,
		func(_ Account, s settings) bool {
			file := s.get("trustedusercakeys")
			return file == "" || file == "none"
		})
}

// oldAnswers names every account that somebody opens on an answer that GitHub has
// not repeated: one that is mistaken lasts as long.
func (h *Host) oldAnswers(svc *keys.Service) []Finding {
	const what = "answers about who may come in"
	all, err := svc.Lasting()
	var found []Finding
	for _, l := range all {
		found = append(found, Finding{Warn, what, l.String(), "castgate-keys refresh says why GitHub does not answer; a team that does not exist goes out of keys.yaml"})
	}
	if err != nil {
		found = append(found, Finding{Fail, what, err.Error(), "systemd-tmpfiles --create castgate.conf"})
	}
	if found == nil {
		return ok(what)
	}
	return found
}

// namesakes: a member whose account does not open only sees "Permission
// denied"; and an account that is named like a member may be nobody's.
func (h *Host) namesakes(svc *keys.Service) []Finding {
	const what = "accounts named like members"
	var found []Finding
	if svc.Owners.Unadopted() {
		found = append(found, Finding{Warn, what, "they open by the cache of an older castgate-keys, which may be removed at any time", "castgate-keys pin -adopt"})
	}
	if all := svc.Owners.Namesakes(); len(all) > 0 {
		found = append(found, Finding{Warn, what, "no login of GitHub's opens " + names(all), "usermod -aG castgate-people ACCOUNT, or castgate-keys pin ACCOUNT LOGIN, for each that is the member's"})
	}
	if found == nil {
		return ok(what)
	}
	return found
}
