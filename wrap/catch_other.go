// SPDX-License-Identifier: AGPL-3.0-or-later

//go:build !amd64 && !arm64

package wrap

import (
	"os"
	"os/signal"
	"sync/atomic"
	"syscall"

	"golang.org/x/sys/unix"
)

// catch does with os/signal what the handler does.
func catch(signals []syscall.Signal) error {
	ch := make(chan os.Signal, 16)
	for _, sig := range signals {
		signal.Notify(ch, sig)
	}
	go func() {
		for sig := range ch {
			atomic.StoreUint32(&caught[sig.(syscall.Signal)], 1)
			_, _ = unix.Write(int(atomic.LoadInt32(&caughtFD)), one[:])
		}
	}()
	return nil
}
