// SPDX-License-Identifier: AGPL-3.0-or-later

package wrap_test

import (
	"bytes"
	"fmt"
	"io"
	"path/filepath"
	"testing"

	"castgate/packaging/hosttest"
)

// TestFiveHundredAtOnce holds 500 sessions open at the same time, beside one
// guard and in one spool, and ends them together: each has a recording of its
// own, finished, with all that it showed.
func TestFiveHundredAtOnce(t *testing.T) {
	const sessions = 500
	h := newHost(t, "/bin/sh")
	hosttest.Config(t, "wrap", "notice: \"\"\nlimits: {free: 0, sessions_per_user: 500}\n")
	hosttest.StartGuard(t)
	type run struct {
		in   io.WriteCloser
		out  bytes.Buffer
		done chan error
	}
	runs := make([]*run, sessions)
	for i := range runs {
		cmd := h.user.Command("/usr/bin/castgate-wrap")
		cmd.Env = append(cmd.Env, fmt.Sprintf("SSH_ORIGINAL_COMMAND=echo session %d; read x; seq %d; exit 7", i, i))
		r := &run{done: make(chan error, 1)}
		r.in, _ = cmd.StdinPipe() // only once, before Start: can't fail
		cmd.Stdout, cmd.Stderr = &r.out, &r.out
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		go func() { r.done <- cmd.Wait() }()
		t.Cleanup(func() { r.in.Close(); _ = cmd.Process.Kill() })
		runs[i] = r
	}
	spool := func(dir string) []string {
		files, _ := filepath.Glob("/var/spool/castgate/" + dir + "/*.cast")
		return files
	}
	hosttest.WaitFor(t, "all sessions to be open", func() bool { return len(spool("live")) == sessions })
	over := hosttest.Do(t, h.Ssh(h.key, h.user.Name, nil, "true"), nil)
	if over.Status != 254 {
		t.Errorf("one more: status %d", over.Status)
	}
	shown := map[string]bool{}
	for _, r := range runs {
		fmt.Fprintln(r.in)
	}
	for i, r := range runs {
		if err := <-r.done; err == nil || err.Error() != "exit status 7" {
			t.Errorf("session %d: %v, %.99q", i, err, r.out.String())
		}
		shown[r.out.String()] = true
	}
	if len(shown) != sessions || len(spool("live")) != 0 || len(spool("incoming")) != sessions {
		t.Fatalf("%d different sessions, %d recordings, %d not finished", len(shown), len(spool("incoming")), len(spool("live")))
	}
	for _, path := range spool("incoming") {
		rec := hosttest.ReadRecording(t, path)
		if !shown[string(rec.Output)] || rec.Torn || rec.Events["x"][0] != "7" {
			t.Errorf("%s: torn %v, exit %q, %.99q", path, rec.Torn, rec.Events["x"], rec.Output)
		}
		delete(shown, string(rec.Output))
	}
	clear(t)
}
