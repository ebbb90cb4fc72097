// SPDX-License-Identifier: AGPL-3.0-or-later

package host

import (
	"os"
	"strings"
)

// triggers must be active: nothing else delivers what sessions leave.
var triggers = map[string]string{
	"castgate-upload.path":        "recordings wait for the timer",
	"castgate-upload.timer":       "recordings of interrupted sessions are never delivered",
	"castgate-keys-refresh.timer": "logins wait for GitHub, and nobody gets in when it is down",
	"castgate-check.timer":        "nobody hears when something of this changes",
}

func (h *Host) units() []Finding {
	const what = "systemd units"
	if _, err := os.Stat("/run/systemd/system"); err != nil {
		return warn(what, "this host does not run systemd: nothing starts castgate-upload and castgate-keys refresh", "start both every minute by other means")
	}
	var all []Finding
	for _, unit := range []string{"castgate-upload.path", "castgate-upload.timer", "castgate-keys-refresh.timer", "castgate-check.timer"} {
		if out, err := output(h.ctx, "systemctl", "is-active", unit); err != nil {
			all = append(all, Finding{Fail, what, unit + " is " + firstLine(out) + ": " + triggers[unit], "systemctl enable --now " + unit})
			continue
		}
		if out, err := output(h.ctx, "systemctl", "is-enabled", unit); err != nil {
			all = append(all, Finding{Warn, what, unit + " is " + firstLine(out) + ": after the next boot " + triggers[unit], "systemctl enable " + unit})
		}
	}
	out, err := output(h.ctx, "systemctl", "list-units", "--failed", "--plain", "--no-legend", "castgate-*")
	if err != nil {
		return append(all, Finding{Fail, what, "which have failed is not known: " + said(out, err), "systemctl --failed"})
	}
	for line := range strings.Lines(out) {
		unit, _, _ := strings.Cut(line, " ")
		if unit == "castgate-check.service" {
			continue // it fails because of this report
		}
		all = append(all, Finding{Fail, what, unit + " has failed", "journalctl -u " + unit})
	}
	if all == nil {
		return ok(what)
	}
	return all
}

// waiting asks the uploader itself.
func (h *Host) waiting() []Finding {
	const what = "recordings waiting for delivery"
	if h.uploadErr != nil {
		return nil // uploadYAML has said it
	}
	out, err := output(h.ctx, "/usr/bin/castgate-upload", "status")
	if err != nil {
		return failed(what, "castgate-upload status: "+said(out, err), "castgate-upload status; journalctl -u castgate-upload")
	}
	return ok(what)
}
