// SPDX-License-Identifier: AGPL-3.0-or-later

package host

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"time"
)

func freePort() (int, error) {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}

// errNobodyListens is never "it answers".
var errNobodyListens = errors.New("no sshd listens on this host: nobody would get in")

// answers says whether people reach an sshd.
func answers(ctx context.Context) error {
	all := servers(ctx)
	if len(all) == 0 {
		return errNobodyListens
	}
	_, err := answering(ctx, all[0].addrs, settle)
	return err
}

// answering returns the first of the addresses at which an SSH server answers.
func answering(ctx context.Context, addrs []netip.AddrPort, within time.Duration) (at string, err error) {
	if len(addrs) == 0 {
		return "", errNobodyListens
	}
	for end := time.Now().Add(within); ; time.Sleep(50 * time.Millisecond) {
		for _, addr := range addrs {
			at = reachable(addr)
			if err = banner(ctx, at); err == nil {
				return at, nil
			}
		}
		if time.Now().After(end) {
			return "", err
		}
	}
}

// reachable is where a client on the host finds what listens at addr.
func reachable(addr netip.AddrPort) string {
	ip := addr.Addr()
	switch {
	case ip.IsUnspecified() && ip.Is4():
		ip = netip.AddrFrom4([4]byte{127, 0, 0, 1})
	case ip.IsUnspecified():
		ip = netip.IPv6Loopback()
	}
	return netip.AddrPortFrom(ip, addr.Port()).String()
}

// banner succeeds when an SSH server answers at addr.
func banner(ctx context.Context, addr string) error {
	d := net.Dialer{Timeout: 5 * time.Second}
	c, err := d.DialContext(ctx, "tcp", addr)
	if err != nil {
		return fmt.Errorf("sshd does not answer: %w", err)
	}
	defer c.Close()
	_ = c.SetReadDeadline(time.Now().Add(10 * time.Second))
	line, err := bufio.NewReader(c).ReadString('\n')
	if !strings.HasPrefix(line, "SSH-") {
		return fmt.Errorf("no SSH server answers at %s: %q, %v", addr, line, err)
	}
	return nil
}
