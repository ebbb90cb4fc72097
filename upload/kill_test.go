// SPDX-License-Identifier: AGPL-3.0-or-later

//go:build amd64 && !race

// A process that is traced and killed gains nothing from the race detector.

package upload

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"castgate/upload/manifest"
)

// childEnv makes the test binary an uploader: it holds a Config in JSON.
const childEnv = "CASTGATE_UPLOAD_TEST_CONFIG"

// sizeEnv bounds the files that it can write: a disk that is full in the middle
// of one. Go ignores the signal, and the write fails.
const sizeEnv = "CASTGATE_UPLOAD_TEST_FSIZE"

func TestMain(m *testing.M) {
	if text := os.Getenv(childEnv); text != "" {
		os.Exit(child(text))
	}
	os.Exit(m.Run())
}

// child drains once, as castgate-upload does. It ends with 4 when something is
// left.
func child(text string) int {
	ctx, stop := signal.NotifyContext(context.Background(), unix.SIGTERM)
	defer stop()
	var c Config
	if err := json.Unmarshal([]byte(text), &c); err != nil {
		panic(err)
	}
	if size := os.Getenv(sizeEnv); size != "" {
		n, err := strconv.ParseUint(size, 10, 64)
		if err == nil {
			err = unix.Setrlimit(unix.RLIMIT_FSIZE, &unix.Rlimit{Cur: n, Max: n})
		}
		if err != nil {
			panic(err)
		}
	}
	u, err := New(ctx, c, slog.New(slog.NewTextHandler(os.Stderr, nil)))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 3
	}
	defer u.Close()
	left, err := u.Once(ctx)
	if err != nil || left > 0 {
		fmt.Fprintln(os.Stderr, left, err)
		return 4
	}
	return 0
}

// run runs an uploader as a process of its own, to its end.
func (b *bench) run() {
	b.t.Helper()
	if status := b.trace(0, 0, nil); !status.Exited() || status.ExitStatus() != 0 {
		said, _ := os.ReadFile(b.path("said"))
		b.t.Fatalf("the uploader ended with %#x: %s", status, said)
	}
}

// trace runs an uploader and sends it a signal when, in whatever thread, it
// enters the nth system call that counts says counts. It returns how it ended.
func (b *bench) trace(n int, with unix.Signal, counts func(r *unix.PtraceRegs) bool) unix.WaitStatus {
	b.t.Helper()
	runtime.LockOSThread() // ptrace is the thread's
	defer runtime.UnlockOSThread()
	text, err := json.Marshal(b.config)
	if err != nil {
		b.t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		b.t.Fatal(err)
	}
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), childEnv+"="+string(text), "GORACE=atexit_sleep_ms=0")
	said, err := os.Create(b.path("said"))
	if err != nil {
		b.t.Fatal(err)
	}
	defer said.Close()
	cmd.Stderr = said
	cmd.SysProcAttr = &syscall.SysProcAttr{Ptrace: true}
	if err := cmd.Start(); err != nil {
		b.t.Fatal(err)
	}
	defer func() { _ = cmd.Process.Release() }()
	pid := cmd.Process.Pid
	var status unix.WaitStatus
	if _, err := unix.Wait4(pid, &status, unix.WALL, nil); err != nil {
		b.t.Fatal(err)
	}
	if err := unix.PtraceSetOptions(pid, unix.PTRACE_O_TRACESYSGOOD|unix.PTRACE_O_TRACECLONE|unix.PTRACE_O_EXITKILL); err != nil {
		b.t.Fatal(err)
	}
	resume := func(tid, signal int) {
		if counts == nil {
			_ = unix.PtraceCont(tid, signal)
		} else {
			_ = unix.PtraceSyscall(tid, signal) // fails only when the thread is gone
		}
	}
	resume(pid, 0)
	inside := map[int]bool{} // threads in a system call
	for {
		tid, err := unix.Wait4(-1, &status, unix.WALL, nil)
		if err != nil {
			b.t.Fatal(err)
		}
		if !status.Stopped() {
			if tid == pid {
				return status
			}
			continue
		}
		signal := 0
		switch stop := status.StopSignal(); stop {
		case unix.SIGTRAP | 0x80:
			inside[tid] = !inside[tid]
			var regs unix.PtraceRegs
			if inside[tid] && unix.PtraceGetRegs(tid, &regs) == nil && counts(&regs) {
				if n--; n == 0 {
					_ = unix.Kill(pid, with)
					if with == unix.SIGKILL {
						continue
					}
				}
			}
		case unix.SIGTRAP, unix.SIGSTOP: // a thread is born
		default:
			signal = int(stop)
		}
		resume(tid, signal)
	}
}

// changing are the system calls that change something, on disk or on the wire:
// between two of them nothing can get lost that wasn't before.
func changing(r *unix.PtraceRegs) bool {
	switch r.Orig_rax {
	case unix.SYS_FSYNC, unix.SYS_LINKAT, unix.SYS_RENAMEAT, unix.SYS_RENAMEAT2, unix.SYS_UNLINKAT, unix.SYS_MKDIRAT,
		unix.SYS_PWRITE64, unix.SYS_FTRUNCATE, unix.SYS_COPY_FILE_RANGE, unix.SYS_SENDFILE, unix.SYS_SPLICE, unix.SYS_CONNECT, unix.SYS_WRITE:
		return true
	case unix.SYS_OPENAT:
		return r.Rdx&unix.O_CREAT != 0
	}
	return false
}

// TestKilledAtEverySystemCall ends an uploader with SIGKILL on entering each
// system call of a delivery, and lets another one go on: every target that can
// tell has exactly one copy, with the right bytes, and the chain is whole.
func TestKilledAtEverySystemCall(t *testing.T) {
	k := newKilling(t)
	for n := 1; k.round(n, unix.SIGKILL, changing); n++ {
		if t.Failed() {
			t.Fatalf("killed at call %d", n)
		}
	}
	k.finish(40)
}

// TestStoppedBetweenSteps ends an uploader with SIGTERM at many of the same
// moments: it stops by itself, and another one goes on where it was.
func TestStoppedBetweenSteps(t *testing.T) {
	k := newKilling(t)
	for n := 1; k.round(n, unix.SIGTERM, changing); n += 3 {
		if t.Failed() {
			t.Fatalf("stopped at call %d", n)
		}
	}
	k.finish(5)
}

// killing is a spool with every kind of target behind its uploader.
type killing struct {
	t      *testing.T
	b      *bench
	places map[string]place
	cinema *asciinemaServer
	n      int
	kills  int
}

// byTicket is the place of that kind whose bucket is watched.
const byTicket = "s3 by ticket, the bucket fails"

func newKilling(t *testing.T) *killing {
	b := newBench(t)
	b.config.SigningKey = b.path("key")
	newKey(t, b.config.SigningKey)
	k := &killing{t: t, b: b, places: map[string]place{}}
	for _, name := range []string{"dir", "archive", "s3", "asciinema", byTicket} {
		k.places[name] = places[name](t, b.Bench)
	}
	k.cinema = k.places["asciinema"].Faults.Handler.(*asciinemaServer)
	s3, ticket := k.places["s3"].S3, k.places[byTicket].S3
	b.config.Targets = append(b.config.Targets,
		TargetConfig{Archive: &ArchiveConfig{URL: strings.TrimPrefix(k.places["archive"].Name(), "archive:"), CAFile: b.path("ca.pem"), CertFile: b.path("cert.pem"), KeyFile: b.path("key.pem")}},
		TargetConfig{S3: &s3},
		TargetConfig{S3: &ticket},
		TargetConfig{Asciinema: &AsciinemaConfig{URL: strings.TrimPrefix(k.places["asciinema"].Name(), "asciinema:"), InstallIDFile: b.path("install-id"), Visibility: "private"}},
	)
	return k
}

// round delivers one recording with an uploader that a signal ends, and then
// with one that it doesn't. It reports whether the signal came.
func (k *killing) round(at int, with unix.Signal, counts func(r *unix.PtraceRegs) bool) bool {
	k.n++
	before := len(k.cinema.Uploads)
	if k.n%2 == 0 {
		k.b.incoming(k.n, whole(k.n))
	} else { // an orphan
		k.b.put("spool/live/"+testID(k.n)+".cast", recording(header(k.n), body+"[0.1"))
	}
	seen := 0
	status := k.b.trace(at, with, func(r *unix.PtraceRegs) bool {
		if !counts(r) {
			return false
		}
		seen++
		return true
	})
	killed := seen >= at
	switch {
	case killed && with == unix.SIGTERM && !status.Exited(), killed && with == unix.SIGKILL && !status.Signaled():
		k.t.Errorf("%v at %d: it ended with %#x", with, at, status)
	case !killed && (!status.Exited() || status.ExitStatus() != 0):
		k.t.Errorf("without a signal it ended with %#x", status)
	}
	if killed {
		k.kills++
		k.b.run()
	}
	d := k.delivered()
	for name, p := range k.places {
		n, err := p.Copies(d)
		if name == "asciinema" {
			n = len(k.cinema.Uploads) - before
		}
		if most := 1 + map[string]int{"asciinema": 1}[name]; n < 1 || n > most || err != nil {
			k.t.Errorf("killed at %d: %s has %d copies, %v", at, name, n, err)
		}
	}
	for name, files := range map[string]map[string]string{"spool": k.b.list("spool"), "stage": k.b.list("state/stage")} {
		if len(files) > 0 {
			k.t.Fatalf("killed at %d: the %s still has %v", at, name, files)
		}
	}
	return killed
}

// delivered returns the last recording as the archive has it.
func (k *killing) delivered() *Delivery {
	k.t.Helper()
	base := k.b.path("archive/nobody-of-this-host/web1/2026/11/18/" + testID(k.n))
	text, err := os.ReadFile(base + ".json")
	if err != nil {
		k.t.Fatal(err)
	}
	m, err := manifest.Parse(text)
	if err != nil {
		k.t.Fatal(err)
	}
	sig, err := os.ReadFile(base + ".json.sig")
	if err != nil {
		k.t.Fatal(err)
	}
	return &Delivery{Manifest: m, JSON: text, Sig: sig}
}

// finish checks the whole archive, and that enough has happened.
func (k *killing) finish(least int) {
	v := &manifest.Verifier{}
	faults, err := v.All(os.DirFS(k.b.path("archive")), func(path string, _ *manifest.Manifest, f []manifest.Fault) {
		for _, f := range f {
			k.t.Errorf("%v", f)
		}
	})
	for _, f := range faults {
		k.t.Errorf("%v", f)
	}
	err = errors.Join(err, leftBehind(k.b.path("archive")))
	if err != nil || k.kills < least {
		k.t.Errorf("%v; killed %d times", err, k.kills)
	}
	k.t.Logf("%d kills", k.kills)
}

// leftBehind finds temporary files that no later try took away.
func leftBehind(dir string) error {
	out, err := exec.Command("find", dir, "-name", ".new.*").Output()
	if err == nil && len(out) > 0 {
		err = fmt.Errorf("left behind: %s", out)
	}
	return err
}

// TestDiskFullAtEveryWrite lets the uploader write fewer bytes than it needs,
// and then all it wants: nothing is lost, nothing is there twice or by half.
func TestDiskFullAtEveryWrite(t *testing.T) {
	k := newKilling(t)
	// Files are some 240 (the cast) to 2000 bytes (the manifest's line in the
	// journal, which is the same file from round to round).
	for n := int64(0); n < 12; n++ {
		k.n++
		k.b.incoming(k.n, whole(k.n))
		size := n * 150
		if info, err := os.Stat(k.b.path("state/journal")); err == nil && n%3 == 0 {
			size = info.Size() + n*150
		}
		t.Setenv(sizeEnv, strconv.FormatInt(size, 10))
		status := k.b.trace(0, 0, nil)
		if !status.Exited() {
			t.Fatalf("%d bytes: ended with %#x", size, status)
		}
		os.Unsetenv(sizeEnv)
		k.b.run()
		d := k.delivered()
		for name, p := range k.places {
			if n, err := p.Copies(d); err != nil || n < 1 {
				t.Errorf("%d bytes: %s has %d copies, %v", size, name, n, err)
			}
		}
		if files := k.b.list("spool"); len(files) > 0 {
			t.Fatalf("%d bytes: the spool still has %v", size, files)
		}
	}
	k.finish(0)
}
