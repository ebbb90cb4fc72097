// SPDX-License-Identifier: AGPL-3.0-or-later

package host

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"castgate/wrap/asciicast"
	wrapconfig "castgate/wrap/config"
	"castgate/wrap/guard"
)

var trialLine = regexp.MustCompile(`castgate-trial ([0-9a-f-]{36})?`)

// login runs a session that waits until its recording has been looked at.
func (t *trial) login(ctx context.Context, addr string, options []string) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	command := "echo castgate-trial $CASTGATE_SESSION; head -n 1; exit " + strconv.Itoa(trialStatus)
	cmd := exec.CommandContext(ctx, "ssh", t.client(addr, append([]string{"-o", "LogLevel=ERROR"}, options...), command)...)
	var complaints bytes.Buffer
	cmd.Stderr = &complaints
	in, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	var begun []string
	var shown strings.Builder
	for lines := bufio.NewScanner(out); begun == nil && lines.Scan(); {
		fmt.Fprintln(&shown, lines.Text())
		begun = trialLine.FindStringSubmatch(lines.Text())
	}
	if begun != nil {
		err = t.recorded(begun[1])
	}
	_, _ = in.Write([]byte("\n"))
	_, _ = io.Copy(io.Discard, out)
	in.Close()
	ended := cmd.Wait()
	var exit *exec.ExitError
	switch {
	case err != nil:
		return err
	case begun == nil:
		return errors.New(said(strings.TrimSpace(shown.String()+complaints.String()), ended))
	case !errors.As(ended, &exit) || exit.ExitCode() != trialStatus:
		return fmt.Errorf("the session ended with %v, not with status %d", ended, trialStatus)
	}
	return nil
}

// recorded looks for the session's recording while the session goes on.
func (t *trial) recorded(id string) error {
	if id == "" {
		return errors.New("the session ran without the recorder")
	}
	conf, err := wrapconfig.Read(wrapconfig.Path)
	if err != nil {
		return err
	}
	path := filepath.Join(conf.Spool, "live", id+".cast")
	s := header(path)
	switch {
	case s == nil:
		return fmt.Errorf("the session has no recording %s", path)
	case s.User != t.account.Name || s.ID != id:
		return fmt.Errorf("%s is not the recording of the session", path)
	case s.Key != t.key && t.then.get("usepam") == "yes" && guard.Hooked(guard.PAMStack(pamSshd)) && !hidden():
		return fmt.Errorf("its recording does not say with which key it began: the session hook in %s does not work", pamSshd)
	}
	return nil
}

// header reads the castgate object of a recording that may still be written.
func header(path string) *asciicast.Session {
	const longest = 256 << 10 // a command of 128 KiB, as JSON
	f, err := os.Open(path)
	if err != nil {
		return nil
	}
	defer f.Close()
	buf := make([]byte, longest)
	n, _ := f.Read(buf)
	r, err := asciicast.NewReader(bytes.NewReader(buf[:n]))
	if err != nil {
		return nil
	}
	return r.Header.Session
}
