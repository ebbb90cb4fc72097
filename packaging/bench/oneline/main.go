// SPDX-License-Identifier: AGPL-3.0-or-later

// oneline prints one line: the least that a Go program can do for sshd, and
// what castgate-keys is measured against.
package main

import "fmt"

func main() { fmt.Println("ssh-ed25519 AAAA") }
