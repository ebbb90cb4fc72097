// SPDX-License-Identifier: AGPL-3.0-or-later

package once

import (
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"
)

// announce runs the announce command with the host key's public line as its
// one argument. What it prints goes to out: standard output is the recording's.
func announce(ctx context.Context, command, line string, port int, environ []string, out io.Writer) error {
	path, err := exec.LookPath(command)
	if err != nil {
		return fault(StatusAnnounceAbsent, "find the announce command %q: %w", command, unwrapExec(err)).
			advise("-announce takes the name of one program, without arguments")
	}
	cmd := exec.CommandContext(ctx, path, line)
	cmd.Env = setVariable(environ, "CASTGATE_PORT", strconv.Itoa(port))
	cmd.Stdin = strings.NewReader("") // not /dev/null, which a container may not have
	cmd.Stdout, cmd.Stderr = out, out
	cmd.WaitDelay = time.Second // for what it left behind holding out
	if err := cmd.Start(); err != nil && ctx.Err() == nil {
		return fault(StatusAnnounceAbsent, "run the announce command %q: %w", command, unwrapExec(err))
	}
	err = cmd.Wait() // an error, too, when it never started
	var exit *exec.ExitError
	switch {
	case err == nil || errors.Is(err, exec.ErrWaitDelay):
		return nil
	case ctx.Err() != nil:
		return fault(StatusAnnounceFailed, "the announce command %q has not ended before the timeout", command)
	case errors.As(err, &exit):
		return fault(StatusAnnounceFailed, "the announce command %q failed: %s", command, exit.ProcessState)
	}
	return fault(StatusAnnounceFailed, "the announce command %q failed: %w", command, err)
}

// unwrapExec leaves the name out, which the message has already.
func unwrapExec(err error) error {
	var e *exec.Error
	if errors.As(err, &e) {
		err = e.Err
	}
	var p *os.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	return err
}
