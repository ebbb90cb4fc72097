// SPDX-License-Identifier: AGPL-3.0-or-later

// Command castgate-keys is sshd's AuthorizedKeysCommand: it prints the keys
// that may open an account, from the teams of a GitHub organisation.
package main

import "castgate/cmd/internal/cli"

func main() { cli.Main("castgate-keys", run) }

const synopsis = `castgate-keys [-config FILE] USER [TYPE KEY]
       castgate-keys [-config FILE] refresh [-files DIR] [-accounts]
       castgate-keys [-config FILE] explain USER [KEYFILE]
       castgate-keys [-config FILE] pin [-all | ACCOUNT LOGIN[:ID] | -remove ACCOUNT | -adopt]`

const description = `
Prints the SSH keys that may open the account USER: the line of the offered key
when TYPE and KEY are given (sshd's %t and %k), else all. "refresh" brings the
cache up to date; "explain" says why a login would be allowed or refused; "pin" lists
whose the accounts are, and as root says so.`
