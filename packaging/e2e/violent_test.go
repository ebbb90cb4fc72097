// SPDX-License-Identifier: AGPL-3.0-or-later

package e2e_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"castgate/packaging/hosttest"
)

// talker never stops talking; every line is another one, so that a lost or
// doubled one is seen.
const talker = "i=0; while :; do echo line $i of the talker; i=$((i+1)); done"

// ends are the ways a session may be torn down. Each gets the pids that matter.
var ends = []struct {
	name string
	kill func(t *testing.T, v victims)
}{
	{"client killed", func(t *testing.T, v victims) { kill(t, v.client) }},
	{"client stopped by its user", func(t *testing.T, v victims) { signal(t, syscall.SIGTERM, v.client) }},
	{"sshd's session killed", func(t *testing.T, v victims) { kill(t, v.sshd...) }},
	{"recorder killed", func(t *testing.T, v victims) { kill(t, v.recorder) }},
	{"recorder told to stop", func(t *testing.T, v victims) { signal(t, syscall.SIGTERM, v.recorder) }},
	{"recorder hung up", func(t *testing.T, v victims) { signal(t, syscall.SIGHUP, v.recorder) }},
	{"shell killed", func(t *testing.T, v victims) { kill(t, v.shell) }},
}

type victims struct {
	client, recorder, shell int
	sshd                    []int // monitor and session process
}

// TestNothingShownIsLost tears sessions down while they talk and compares what
// the client got with the recording.
func TestNothingShownIsLost(t *testing.T) {
	m := newMatrix(t)
	m.as("/bin/bash")
	for _, w := range m.ways[1:] {
		for _, tty := range []bool{true, false} {
			for _, end := range ends {
				t.Run(fmt.Sprintf("%s, %s, terminal %v", end.name, w.name, tty), func(t *testing.T) {
					m.t = t
					forget(t)
					shown := m.talk(t, w, tty, end.kill)
					rec := gone(t)
					if len(shown) < 1000 || !rec.holds(shown) {
						t.Errorf("%d bytes were shown, %d recorded; they part at byte %d", len(shown), len(rec.output), common(shown, rec.output))
					}
				})
			}
		}
	}
}

// talk runs the talker, tears its session down and returns what was shown.
func (m *matrix) talk(t *testing.T, w way, tty bool, end func(*testing.T, victims)) []byte {
	t.Helper()
	cmd := m.ssh(w, []string{"-T"}, talker)
	if tty {
		cmd = m.ssh(w, []string{"-tt"}, talker)
	}
	out, err := os.Create(filepath.Join(t.TempDir(), "shown"))
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	cmd.Stdout = out
	cmd.Stdin, _, err = os.Pipe() // stays open: the end of input would be another test
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	hosttest.WaitFor(t, "the session to talk", func() bool {
		st, err := out.Stat()
		return err == nil && st.Size() > 100_000
	})
	end(t, m.victims(t, cmd))
	_ = cmd.Wait()
	shown, err := os.ReadFile(out.Name())
	if err != nil {
		t.Fatal(err)
	}
	return shown
}

// victims finds the processes of the one session that runs.
func (m *matrix) victims(t *testing.T, client *exec.Cmd) victims {
	t.Helper()
	v := victims{client: client.Process.Pid}
	for _, pid := range hosttest.Processes(t, "castgate-wrap") {
		if v.recorder == 0 || pid < v.recorder {
			v.recorder = pid
		}
	}
	if v.recorder == 0 {
		t.Fatal("no recorder runs")
	}
	if shells := hosttest.Children(v.recorder); len(shells) > 0 {
		v.shell = shells[0]
	} else {
		t.Fatal("the recorder has no child")
	}
	session := hosttest.Parent(v.recorder)
	v.sshd = []int{hosttest.Parent(session), session}
	return v
}

// gone waits until neither recorder nor talker is left and returns the one
// recording, wherever it is: a killed recorder leaves it in live/.
func gone(t *testing.T) recording {
	t.Helper()
	hosttest.WaitFor(t, "recorder and shell to end", func() bool {
		return len(hosttest.Processes(t, "castgate-wrap")) == 0 &&
			exec.Command("pgrep", "-u", account, "-f", "of the talker").Run() != nil
	})
	paths := append(in(t, "live"), in(t, "incoming")...)
	if len(paths) != 1 {
		t.Fatalf("%d recordings: %v", len(paths), paths)
	}
	return readRecording(t, paths[0])
}

func kill(t *testing.T, pids ...int) { t.Helper(); signal(t, syscall.SIGKILL, pids...) }

func signal(t *testing.T, sig syscall.Signal, pids ...int) {
	t.Helper()
	for _, pid := range pids {
		if err := syscall.Kill(pid, sig); err != nil {
			t.Fatalf("signal %d: %v", pid, err)
		}
	}
}

func common(a, b []byte) int {
	n := 0
	for n < len(a) && n < len(b) && a[n] == b[n] {
		n++
	}
	return n
}

// TestShortSessionsLoseNothing is the race between a shell that prints and
// ends at once and the recorder that reads its last words. Each way has one
// connection, so that the sessions and not the logins take the time.
func TestShortSessionsLoseNothing(t *testing.T) {
	m := newMatrix(t)
	m.as("/bin/bash")
	times := 12
	if os.Getenv("CASTGATE_TEST_SLOW") == "1" {
		times = 334 // a thousand in all
	}
	for _, w := range m.ways[1:] {
		forget(t)
		control := []string{"-o", "ControlPath=" + t.TempDir() + "/c"}
		master := m.ssh(w, append(control, "-M", "-N"))
		if err := master.Start(); err != nil {
			t.Fatal(err)
		}
		hosttest.WaitFor(t, "the connection", func() bool {
			return exec.Command("ssh", append(control, "-O", "check", "127.0.0.1")...).Run() == nil
		})
		for i := range times {
			want := strings.Repeat(fmt.Sprintf("%d ", i), i)
			got := hosttest.Do(t, m.ssh(w, append(control, "-tt"), "printf '"+want+"'"), nil)
			if got.Stdout != want || got.Status != 0 {
				t.Fatalf("%s, session %d: %+v", w.name, i, got)
			}
			if rec := finished(t, 1)[0]; string(rec.output) != want || rec.exit != "0" {
				t.Fatalf("%s, session %d: recorded %q, exit %q", w.name, i, rec.output, rec.exit)
			}
		}
		_ = master.Process.Kill()
		_ = master.Wait()
	}
}

// TestIdleForMinutes: a session in which nothing happens is neither ended nor
// forgotten. All ways wait at the same time.
func TestIdleForMinutes(t *testing.T) {
	hosttest.Slow(t)
	m := newMatrix(t)
	m.as("/bin/bash")
	forget(t)
	var open []*hosttest.Terminal
	for _, w := range m.ways[1:] {
		x := hosttest.StartTerminal(t, m.ssh(w, []string{"-tt"}), 80, 24)
		x.Type("echo rea''dy\r")
		x.Expect("ready\r\n")
		open = append(open, x)
	}
	time.Sleep(130 * time.Second) // longer than ClientAliveInterval times ClientAliveCountMax, twice
	for _, x := range open {
		x.Type("echo still''there; exit 6\r")
		x.Expect("stillthere")
		if got := x.Wait(); got.Status != 6 {
			t.Errorf("status %d", got.Status)
		}
	}
	for _, rec := range finished(t, len(open)) {
		if !strings.Contains(string(rec.output), "stillthere") || rec.exit != "6" {
			t.Errorf("%s: exit %q, %q", rec.path, rec.exit, rec.output)
		}
	}
}
