// SPDX-License-Identifier: AGPL-3.0-or-later

package upload

import (
	"context"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// watch returns a channel that gets a value when something has come into dir.
// It ends with ctx.
func watch(ctx context.Context, dir string) (<-chan struct{}, error) {
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		return nil, fmt.Errorf("watch the spool: %w", err)
	}
	f := os.NewFile(uintptr(fd), "inotify") // non-blocking: Close ends a Read
	if _, err := unix.InotifyAddWatch(fd, dir, unix.IN_MOVED_TO|unix.IN_CREATE); err != nil {
		f.Close()
		return nil, fmt.Errorf("watch %q: %w", dir, err)
	}
	wake := make(chan struct{}, 1)
	context.AfterFunc(ctx, func() { f.Close() })
	go func() {
		buf := make([]byte, 64<<10)
		for {
			if _, err := f.Read(buf); err != nil {
				return
			}
			select {
			case wake <- struct{}{}:
			default: // one is waiting already
			}
		}
	}()
	return wake, nil
}
