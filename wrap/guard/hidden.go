// SPDX-License-Identifier: AGPL-3.0-or-later

package guard

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// A descriptor of a terminal can be used without being in any table for longer
// than a write takes: as a file that was registered with an io_uring, and on
// its way through a socket, taken out for each write and put back in. fdinfo
// (proc_pid_fdinfo(5)) tells of both.

// Links of /proc/PID/fd that lead to what may hide descriptors.
const (
	ringLink   = "anon_inode:[io_uring]"
	socketLink = "socket:"
)

// What fdinfo tells of an io_uring has no bounds: it has every completion that
// nobody took. The kernel makes room for all of it at once, at the expense of
// whoever reads, so that this is another process: the guard itself, run as
// `castgate-guard files N`, which dies first where memory ends. There is one for
// all rings of a process.
const (
	filesVerb = "files"
	filesTime = 60 * time.Millisecond
	maxFiles  = 1 << 20 // bytes of an answer
	maxRings  = 256     // of one process
	firstRing = 3       // the first descriptor that `files` reads
)

var errRings = errors.New("the files of an io_uring can't be read")

// registered says which of the terminals is among the files that are registered
// with a process's rings. unknown: they could not be had.
func (w wanted) registered(rings []string) (tty terminal, found, unknown bool) {
	if len(rings) == 0 {
		return terminal{}, false, false
	}
	numbers, err := askForFiles(rings)
	for tty := range w {
		if slices.Contains(numbers, tty.minor) {
			return tty, true, false
		}
	}
	return terminal{}, false, err != nil
}

// askForFiles returns the numbers of the terminals that are registered.
func askForFiles(rings []string) ([]uint32, error) {
	r, out, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer r.Close()
	files := []uintptr{out.Fd(), out.Fd(), 2}
	for _, fdinfo := range rings[:min(len(rings), maxRings)] {
		in, err := os.Open(fdinfo) // with our capabilities; the other has none
		if err != nil {
			continue // it was closed meanwhile
		}
		defer in.Close()
		files = append(files, in.Fd())
	}
	pid, err := syscall.ForkExec("/proc/self/exe", []string{"castgate-guard", filesVerb, strconv.Itoa(len(files) - firstRing)}, &syscall.ProcAttr{Files: files})
	out.Close()
	if err != nil {
		return nil, err
	}
	_ = r.SetReadDeadline(time.Now().Add(filesTime))
	text, err := io.ReadAll(io.LimitReader(r, maxFiles))
	if err != nil {
		_ = unix.Kill(pid, unix.SIGKILL) // it has not been waited for: this is its pid
	}
	var ws syscall.WaitStatus
	if _, waitErr := syscall.Wait4(pid, &ws, 0, nil); waitErr != nil || !ws.Exited() || ws.ExitStatus() != 0 || len(rings) > maxRings {
		err = errors.Join(err, errRings)
	}
	var numbers []uint32
	for word := range strings.FieldsSeq(string(text)) {
		if n, err := strconv.ParseUint(word, 10, 32); err == nil {
			numbers = append(numbers, uint32(n))
		}
	}
	return numbers, err
}

// Files is `castgate-guard files N`: it names the terminals among the files of
// the N io_urings whose fdinfo was passed to it.
func Files(out io.Writer, passed string) error {
	n, err := strconv.Atoi(passed)
	if err != nil || n < 0 || n > maxRings {
		return fmt.Errorf("files: %q descriptors", passed)
	}
	// First to go (proc_pid_oom_score_adj(5)); a guard that may not say so is
	// one that may die instead.
	_ = os.WriteFile("/proc/self/oom_score_adj", []byte("1000"), 0)
	for fd := range uintptr(n) {
		if err := terminalsOf(os.NewFile(firstRing+fd, "fdinfo"), out); err != nil {
			return err
		}
	}
	return nil
}

// terminalsOf reads one, "  0: /dev/pts/3" below "UserFiles:". Where another
// process's mounts are not ours the path begins at the mount: "/3".
func terminalsOf(fdinfo io.Reader, out io.Writer) error {
	lines := bufio.NewScanner(fdinfo)
	told, listed := map[uint64]bool{}, false
	for lines.Scan() {
		key, value, _ := strings.Cut(strings.TrimSpace(lines.Text()), ":")
		value = strings.TrimSpace(value)
		_, err := strconv.Atoi(key)
		if listed = listed && err == nil || key == "UserFiles"; !listed || err != nil {
			continue
		}
		n, err := strconv.ParseUint(strings.TrimPrefix(strings.TrimPrefix(value, "/dev/pts"), "/"), 10, 32)
		if err == nil && !told[n] {
			told[n] = true
			fmt.Fprintln(out, n)
		}
	}
	return lines.Err()
}

// inFlight counts the descriptors that wait in the socket that fdinfo
// describes, or in the connections that wait at it.
func inFlight(fdinfo string) int {
	_, rest, ok := strings.Cut(fdinfo, "\nscm_fds:")
	if !ok {
		return 0
	}
	first, _, _ := strings.Cut(strings.TrimSpace(rest), "\n")
	n, _ := strconv.Atoi(first)
	return n
}

// hiding looks at a descriptor that is no terminal: it may be a ring, whose
// fdinfo is returned, or a socket with others on their way.
func hiding(task, fd string) (ring string, flying bool) {
	link, err := os.Readlink(task + "/fd/" + fd)
	switch {
	case err != nil:
	case link == ringLink:
		return task + "/fdinfo/" + fd, false
	case strings.HasPrefix(link, socketLink):
		info, err := os.ReadFile(task + "/fdinfo/" + fd)
		return "", err == nil && inFlight(string(info)) > 0
	}
	return "", false
}

// A descriptor that is sent is received at once, where nothing is hidden.
const (
	flightLooks = 3
	flightPause = 10 * time.Millisecond
)

// keepsFlying says that p has descriptors on their way whenever one looks.
func keepsFlying(p process) bool {
	for range flightLooks {
		if _, ok, flying := holdsOne(p, nil, time.Now().Add(filesTime)); ok || !flying {
			return false
		}
		time.Sleep(flightPause)
	}
	return true
}

// of returns a terminal of a session of uid's, if there is one. Another's
// process can't be ended for what it might have.
func (w wanted) of(uid uint32) (terminal, bool) {
	for tty, s := range w {
		if s.uid == uid {
			return tty, true
		}
	}
	return terminal{}, false
}

// exempt says that p is one of the processes that every session has.
func (w wanted) exempt(p process) bool {
	for _, s := range w {
		if s.mayHold(p) {
			return true
		}
	}
	return false
}
