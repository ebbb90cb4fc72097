// SPDX-License-Identifier: AGPL-3.0-or-later

// Package attacks tries, on a throwaway host with a stock sshd, what a recorded
// user can do to escape the recorder, to forge or to spoil. Each attack is
// tried three times: against a naive recorder, to show that the attack as it
// is tried here does work (a test that can't fail proves nothing); behind the
// shipped snippet for sshd; and with castgate-wrap as the login shell. The
// table in docs/attacks.md is what the tests themselves found.
package attacks
