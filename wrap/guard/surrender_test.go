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
	if n, err := unix.Write(slave, make([]byte, 2*masterRoom)); n != 2*masterRoom || err != nil {
		t.Fatalf("%d bytes, %v", n, err)
	}
	go func() {
		time.Sleep(5 * time.Millisecond) // sshd has something else to do
		for range 3 {
			_, _ = master.Read(make([]byte, masterRoom/2))
		}
	}()
	(&Surrender{master: fd}).awaitShown()
	_, _ = unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 0) // fills the buffer
	if n, err := unix.IoctlGetInt(fd, unix.TIOCINQ); err != nil || n >= masterRoom-1 {
		t.Errorf("%d bytes in the buffer and perhaps more before it, %v", n, err)
	}
}
