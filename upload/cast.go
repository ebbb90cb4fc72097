// SPDX-License-Identifier: AGPL-3.0-or-later

package upload

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"
	"time"

	"castgate/upload/client"
	"castgate/upload/manifest"
	"castgate/wrap/asciicast"
)

// marker is what an interrupted recording's copy ends with.
const marker = `[0.000000, "m", "recording interrupted"]` + "\n"

// cast is a recording of the spool as it is delivered: the lines that are
// whole and, when its recorder died, a marker. The file is never written to.
type cast struct {
	*os.File
	id    string
	whole int64 // bytes up to the end of the last whole line
}

func newCast(f *os.File, id string) (*cast, error) {
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	whole, err := wholeLines(f, info.Size())
	if err != nil {
		return nil, fmt.Errorf("look for the last whole line: %w", err)
	}
	return &cast{f, id, whole}, nil
}

// wholeLines returns where the last whole line ends. What follows was never
// shown: the recorder writes a line with one write(2), and only then the
// terminal. After a power cut a file system may have put zeros there.
func wholeLines(f io.ReaderAt, size int64) (int64, error) {
	end, err := lastNewline(f, size)
	if err != nil || end == 0 {
		return end, err
	}
	start, err := lastNewline(f, end-1)
	if err != nil {
		return 0, err
	}
	var head [5]byte
	if _, err := f.ReadAt(head[:min(5, end-start)], start); err != nil {
		return 0, err
	}
	if string(head[:]) == "#raw " { // belongs to the event that was cut
		return start, nil
	}
	return end, nil
}

// lastNewline returns the offset behind the last newline in the first size
// bytes of f, 0 when there is none.
func lastNewline(f io.ReaderAt, size int64) (int64, error) {
	buf := make([]byte, 4<<10) // most last lines are short
	for size > 0 {
		n := min(size, int64(len(buf)))
		if _, err := f.ReadAt(buf[:n], size-n); err != nil {
			return 0, err
		}
		if i := bytes.LastIndexByte(buf[:n], '\n'); i >= 0 {
			return size - n + int64(i) + 1, nil
		}
		size -= n
	}
	return 0, nil
}

// open returns the recording as it is delivered. It may be called at any time,
// also while another reader is at work.
func (c *cast) open(interrupted bool) io.Reader {
	body := io.NewSectionReader(c, 0, c.whole)
	if !interrupted {
		return body
	}
	return io.MultiReader(body, bytes.NewReader([]byte(marker)))
}

// scan reads the recording once, checks every line of it, and writes what is
// to be delivered to w.
func (c *cast) scan(w io.Writer) (manifest.Facts, error) {
	var f manifest.Facts
	sum := manifest.NewHasher(w)
	rd, err := asciicast.NewReader(io.TeeReader(c.open(false), sum))
	switch {
	case errors.Is(err, io.EOF):
		return f, client.Refuse("it has no header: its recorder died before the session began")
	case err != nil:
		return f, unreadable(err)
	}
	f.Header = rd.Header
	for {
		ev, err := rd.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return f, unreadable(err)
		}
		f.Events++
		f.Duration, f.Exit = ev.Time, manifest.ExitOf(ev)
	}
	if f.Exit == nil {
		f.Events++
		if _, err := io.WriteString(sum, marker); err != nil {
			return f, err
		}
	}
	f.Cast = manifest.Object{Bytes: sum.N, SHA256: sum.Hex()}
	return f, nil
}

// unreadable refuses a recording for what its bytes are; a fault of the disk
// is no reason to.
func unreadable(err error) error {
	var syntax *asciicast.SyntaxError
	if errors.As(err, &syntax) || errors.Is(err, asciicast.ErrTorn) {
		return client.Refuse("it is no recording: %w", err)
	}
	return fmt.Errorf("read the recording: %w", err)
}

// check refuses a header that can't be this file's: castgate-wrap gives the
// file the session's id, and the kernel gave it the person's uid as owner.
func (c *cast) check(h asciicast.Header, uidOf func(user string) (int, bool)) error {
	s := h.Session
	if s == nil {
		return client.Refuse("its header has no castgate object: castgate-wrap did not write it")
	}
	if s.ID != c.id {
		return client.Refuse("its header says id %q", s.ID)
	}
	info, err := c.Stat()
	if err != nil {
		return err
	}
	if st := info.Sys().(*syscall.Stat_t); int(st.Uid) != s.UID {
		return client.Refuse("its header says uid %d, but uid %d wrote it", s.UID, st.Uid)
	}
	if uid, ok := uidOf(s.User); ok && uid != s.UID {
		return client.Refuse("its header says user %q with uid %d, but that account has uid %d", s.User, s.UID, uid)
	}
	if _, err := manifest.Element(s.User); err != nil {
		return client.Refuse("user: %w", err)
	}
	if _, err := manifest.Element(s.Host); err != nil {
		return client.Refuse("host: %w", err)
	}
	if y := time.Unix(h.Timestamp, 0).UTC().Year(); h.Timestamp <= 0 || y > 9999 {
		return client.Refuse("its header says it began at %d", h.Timestamp)
	}
	return nil
}
