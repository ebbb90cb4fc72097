// SPDX-License-Identifier: AGPL-3.0-or-later

// Package e2e_test runs castgate as an administrator would install it: stock
// sshd, stock clients, real accounts, on a throwaway host.
package e2e_test

import (
	"os"
	"strings"
	"testing"

	"castgate/packaging/hosttest"
)

func TestMain(m *testing.M) { hosttest.Main(m) }

// snippet is the shipped sshd_config drop-in, with its lines changed as the
// pairs old, new say. Each old must be there.
func snippet(t *testing.T, oldnew ...string) string {
	t.Helper()
	text, err := os.ReadFile("../ssh/10-castgate.conf.example")
	if err != nil {
		t.Fatal(err)
	}
	conf := string(text)
	for i := 0; i < len(oldnew); i += 2 {
		if !strings.Contains(conf, oldnew[i]) {
			t.Fatalf("the snippet has no %q", oldnew[i])
		}
		conf = strings.ReplaceAll(conf, oldnew[i], oldnew[i+1])
	}
	return conf
}

// userKeys are the snippet's lines about keys replaced by stock behaviour, for
// tests that are about the recorder and not about GitHub.
var userKeys = []string{
	"AuthorizedKeysCommand /usr/bin/castgate-keys %u %t %k\nAuthorizedKeysCommandUser castgate-keys\nAuthorizedKeysFile none\n",
	"AuthorizedKeysFile .ssh/authorized_keys\n",
}
