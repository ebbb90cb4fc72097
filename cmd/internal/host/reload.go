// SPDX-License-Identifier: AGPL-3.0-or-later

package host

import (
	"context"
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// settle is how long sshd may take to listen again: on SIGHUP it closes its
// sockets and starts anew.
const settle = 15 * time.Second

// reload lets the running sshd read its configuration again, and returns when
// it listens again. Open sessions belong to processes of their own and stay.
func reload(ctx context.Context) error {
	before := listeners("/proc/net")
	fresh, err := hangup(ctx)
	if err != nil || !fresh {
		return err
	}
	// The old sockets answer until sshd gets the signal; the new ones are others.
	for end := time.Now().Add(settle); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		now := listeners("/proc/net")
		if len(now) >= len(before) && !maps.Equal(now, before) && listens(ctx) {
			break
		}
	}
	return nil
}

// listens says whether an sshd of this host is ready for people. One that starts
// anew is not, for a moment, although other programs' sockets come and go.
func listens(ctx context.Context) bool {
	return slices.ContainsFunc(servers(ctx), func(s server) bool { return len(s.addrs) > 0 })
}

// hangup tells sshd. It returns false when sshd itself does not listen: it does
// not run, or systemd listens for it and starts it for each connection anew.
func hangup(ctx context.Context) (bool, error) {
	if _, err := os.Stat("/run/systemd/system"); err != nil {
		return hangupByPid(ctx)
	}
	for _, unit := range []string{"ssh.service", "sshd.service"} {
		if _, err := output(ctx, "systemctl", "is-active", unit); err != nil {
			continue
		}
		if out, err := output(ctx, "systemctl", "reload", unit); err != nil {
			return false, fmt.Errorf("reload %s: %s", unit, said(out, err))
		}
		_, err := output(ctx, "systemctl", "is-active", strings.TrimSuffix(unit, ".service")+".socket")
		return err != nil, nil
	}
	return hangupByPid(ctx)
}

// hangupByPid is for hosts that systemd does not run.
func hangupByPid(ctx context.Context) (bool, error) {
	all := servers(ctx)
	if len(all) == 0 || all[0].pid == 0 {
		return false, nil
	}
	if err := unix.Kill(all[0].pid, unix.SIGHUP); err != nil {
		return false, fmt.Errorf("reload sshd: %w", err)
	}
	return true, nil
}

// listeners are the sockets that listen for TCP, by inode (proc(5), /proc/net/tcp).
func listeners(dir string) map[int]bool {
	found := map[int]bool{}
	for _, name := range []string{"/tcp", "/tcp6"} {
		text, _ := os.ReadFile(dir + name)
		for line := range strings.Lines(string(text)) {
			f := strings.Fields(line)
			if len(f) < 10 || f[3] != listenState {
				continue
			}
			if inode, err := strconv.Atoi(f[9]); err == nil {
				found[inode] = true
			}
		}
	}
	return found
}
