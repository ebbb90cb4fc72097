// SPDX-License-Identifier: AGPL-3.0-or-later

package host

import (
	"testing"

	"castgate/packaging/hosttest"
)

// TestMain: what is checked here (sshd's configuration, accounts) is the host's.
func TestMain(m *testing.M) { hosttest.Main(m) }
