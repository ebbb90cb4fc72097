// SPDX-License-Identifier: AGPL-3.0-or-later

package settings

import (
	"os"
	"strings"
	"time"
)

// TrialDir has the key of castgate enable's trial login while it runs, in an
// emergency file for the account (root's, as every emergency file must be).
const TrialDir = "/run/castgate/trial"

// trialLife is longer than a trial takes. What a trial that was killed has left
// opens nothing afterwards, and its private key was in a directory of root's.
const trialLife = 5 * time.Minute

// Trial is the file of the trial of an account that is going on, "" when none is.
func Trial(account string) string {
	if !ValidAccount(account) {
		return ""
	}
	file := TrialDir + "/" + strings.ToLower(account)
	info, err := os.Lstat(file)
	if err != nil || !info.Mode().IsRegular() {
		return ""
	}
	if age := time.Since(info.ModTime()); age >= trialLife || age <= -trialLife {
		return ""
	}
	return file
}
