// SPDX-License-Identifier: AGPL-3.0-or-later

package host

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// trialServer runs sshd until stop is called. What stands on the command line
// comes first, and in sshd_config(5) the first value wins.
func trialServer(ctx context.Context, dir string, args []string) (port int, stop func(), err error) {
	port, err = freePort()
	if err != nil {
		return 0, nil, err
	}
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		return 0, nil, err
	}
	defer log.Close()
	all := []string{"-D", "-o", "Port=" + strconv.Itoa(port), "-o", "ListenAddress=127.0.0.1", "-o", "PidFile=none", "-o", "LogLevel=VERBOSE"}
	for i := 0; i+1 < len(args); i += 2 {
		option := strings.ToLower(args[i+1])
		if args[i] != "-p" && !strings.HasPrefix(option, "port") && !strings.HasPrefix(option, "listenaddress") {
			all = append(all, args[i], args[i+1])
		}
	}
	cmd := exec.CommandContext(ctx, sshdPath, all...)
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		return 0, nil, err
	}
	gone := make(chan struct{})
	go func() { _ = cmd.Wait(); close(gone) }()
	stop = func() { _ = cmd.Process.Kill(); <-gone }
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if banner(ctx, "127.0.0.1:"+strconv.Itoa(port)) == nil {
			return port, stop, nil
		}
		select {
		case <-gone:
			text, _ := os.ReadFile(log.Name())
			return 0, nil, fmt.Errorf("sshd for the trial login: %s", said(strings.TrimSpace(string(text)), errors.New("ended")))
		default:
		}
	}
	stop()
	return 0, nil, errors.New("sshd for the trial login never answered")
}
