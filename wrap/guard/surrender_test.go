// SPDX-License-Identifier: AGPL-3.0-or-later

package guard

import (
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestAwaitShown: what is on its way to sshd, which has not come to read it
// yet, is waited for: a hang-up would take it.
func TestAwaitShown(t *testing.T) {
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer master.Close()
	fd := int(master.Fd())
	if err := unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	slave, err := openPeer(fd)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(slave)
	const much = 8 << 10 // twice what the kernel's buffer takes
	if n, err := unix.Write(slave, make([]byte, much)); n != much || err != nil {
		t.Fatalf("%d bytes, %v", n, err)
	}
	go func() {
		time.Sleep(5 * time.Millisecond) // sshd has something else to do
		for n := 0; n < much; {
			got, err := master.Read(make([]byte, much))
			if err != nil {
				return
			}
			n += got
		}
	}()
	(&Surrender{master: fd}).awaitShown()
	fds := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
	if n, err := unix.Poll(fds, 0); n != 0 || err != nil {
		t.Errorf("there is something to read for sshd: %d, %v", n, err)
	}
}
