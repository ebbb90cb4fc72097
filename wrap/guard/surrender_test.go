// SPDX-License-Identifier: AGPL-3.0-or-later

package guard

import (
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// testPTY opens a pty; its ends are closed with the test.
func testPTY(t *testing.T) (master, slave int) {
	t.Helper()
	f, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	master = int(f.Fd())
	if err := unix.IoctlSetPointerInt(master, unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	if slave, err = openPeer(master); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(slave) })
	return master, slave
}

// TestAwaitShown: what is on its way to sshd, which has not come to read it
// yet, is waited for: a hang-up would take it.
func TestAwaitShown(t *testing.T) {
	master, slave := testPTY(t)
	const much = 8 << 10 // twice what the kernel's buffer takes
	if n, err := unix.Write(slave, make([]byte, much)); n != much || err != nil {
		t.Fatalf("%d bytes, %v", n, err)
	}
	go func() {
		time.Sleep(5 * time.Millisecond) // sshd has something else to do
		for n := 0; n < much; {
			got, err := unix.Read(master, make([]byte, much))
			if err != nil {
				return
			}
			n += got
		}
	}()
	(&Surrender{master: master}).awaitShown()
	fds := []unix.PollFd{{Fd: int32(master), Events: unix.POLLIN}}
	if n, err := unix.Poll(fds, 0); n != 0 || err != nil {
		t.Errorf("there is something to read for sshd: %d, %v", n, err)
	}
}
