// SPDX-License-Identifier: AGPL-3.0-or-later

package asciicast

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"
)

// MaxLine bounds one line of a recording, in bytes. Our own are at most
// 0.5 MiB (64 KiB of output, escaped, and its base64); other recorders write
// whole screens of graphics.
const MaxLine = 16 << 20

// ErrTorn is the end of a recording whose last line was never finished: its
// recorder, or the host, died.
var ErrTorn = errors.New("the last line is cut")

// SyntaxError is a line that is not asciicast.
type SyntaxError struct {
	Line int
	Err  error
}

func (e *SyntaxError) Error() string { return fmt.Sprintf("line %d: %v", e.Line, e.Err) }
func (e *SyntaxError) Unwrap() error { return e.Err }

// Event is one event of a recording. Data and Text are valid until the next
// call of Next.
type Event struct {
	Time time.Duration // since the session's start
	Code string        // Output, Input, Marker, Resize, Exit, or what another recorder wrote
	Data []byte        // the exact bytes
	Text []byte        // what other players see; differs from Data only where that is not UTF-8
}

// Reader reads asciicast v3, and v2 and v1 as other recorders write them.
type Reader struct {
	Header Header

	in     *bufio.Reader
	line   int
	offset int64 // after the last whole line
	long   []byte
	text   []byte
	raw    []byte // of the event to come
	hasRaw bool
	tail   []byte
	now    time.Duration
	done   error
	v1     []json.RawMessage // the events to come of a v1 document
}

// NewReader reads the header. An empty file is io.EOF; one whose header was
// never finished ErrTorn; what is no recording a *SyntaxError.
func NewReader(r io.Reader) (*Reader, error) {
	rd := &Reader{in: bufio.NewReaderSize(r, 128<<10)}
	if err := rd.begin(); err != nil {
		return nil, err
	}
	line, err := rd.readLine()
	if err != nil {
		if errors.Is(err, io.EOF) {
			err = fmt.Errorf("the file is empty: %w", err)
		}
		return nil, err
	}
	if err := json.Unmarshal(line, &rd.Header); err != nil {
		if whole := rd.document(line); whole == nil || json.Unmarshal(whole, &rd.Header) != nil || rd.Header.Version != 1 {
			return nil, rd.syntax(fmt.Errorf("the header is not asciicast's: %w", err))
		} else {
			line = whole
		}
	}
	if err := rd.fixHeader(line); err != nil {
		return nil, rd.syntax(err)
	}
	return rd, nil
}

// begin skips a byte order mark, and names what is something else altogether.
func (r *Reader) begin() error {
	head, _ := r.in.Peek(4)
	for magic, what := range map[string]string{"\x1f\x8b": "compressed with gzip", "\x28\xb5\x2f\xfd": "compressed with zstd", "\xff\xfe": "UTF-16", "\xfe\xff": "UTF-16"} {
		if bytes.HasPrefix(head, []byte(magic)) {
			r.line = 1
			return r.syntax(errors.New("no asciicast: it is " + what))
		}
	}
	if bytes.HasPrefix(head, []byte(byteOrderMark)) {
		n, _ := r.in.Discard(len(byteOrderMark))
		r.offset = int64(n)
	}
	return nil
}

const byteOrderMark = "\ufeff"

// fixHeader brings a header of v1 or v2 into the form of v3 and checks the size.
func (r *Reader) fixHeader(line []byte) error {
	switch r.Header.Version {
	case 3:
	case 1, 2:
		var old struct {
			Width, Height int
			Env           map[string]string
			Theme         *Theme
			Stdout        []json.RawMessage
		}
		if err := json.Unmarshal(line, &old); err != nil {
			return err
		}
		r.Header.Term = Term{Cols: old.Width, Rows: old.Height, Type: old.Env["TERM"], Theme: old.Theme}
		if r.Header.Version == 1 {
			r.v1 = old.Stdout
		}
	default:
		return fmt.Errorf("asciicast version %d is not known", r.Header.Version)
	}
	if r.Header.Term.Cols <= 0 || r.Header.Term.Rows <= 0 {
		return fmt.Errorf("the terminal's size is %dx%d", r.Header.Term.Cols, r.Header.Term.Rows)
	}
	return nil
}

// Offset is the number of bytes up to and with the last whole line that was
// read: where a torn recording is to be cut.
func (r *Reader) Offset() int64 { return r.offset }

// Next returns the next event; at the end io.EOF, or ErrTorn.
func (r *Reader) Next() (Event, error) {
	if r.Header.Version == 1 {
		return r.nextV1()
	}
	for r.done == nil {
		line, err := r.readLine()
		if err != nil {
			r.done = err
			break
		}
		if len(line) == 0 {
			continue
		}
		if line[0] == '#' {
			if err := r.comment(line); err != nil {
				return Event{}, r.syntax(err)
			}
			continue
		}
		return r.event(line)
	}
	return r.rest()
}

// rest returns what was shown and is in no event: the recorder was killed.
func (r *Reader) rest() (Event, error) {
	data := r.tail
	if r.hasRaw {
		data = r.raw
	}
	r.tail, r.hasRaw = nil, false
	if len(data) == 0 {
		return Event{}, r.done
	}
	r.text = appendFFFD(r.text[:0], data)
	return Event{Time: r.now, Code: Output, Data: data, Text: r.text}, nil
}

func appendFFFD(dst, p []byte) []byte { return append(dst, bytes.ToValidUTF8(p, []byte("\ufffd"))...) }

func (r *Reader) event(line []byte) (Event, error) {
	us, code, text, err := parseEvent(line, r.text[:0])
	if err != nil {
		return Event{}, r.syntax(err)
	}
	r.text = text
	at := time.Duration(us) * time.Microsecond
	if r.Header.Version == 3 {
		at += r.now
	}
	r.now = max(r.now, at)
	ev := Event{Time: r.now, Code: code, Data: text, Text: text}
	if r.hasRaw {
		ev.Data, r.hasRaw = r.raw, false
	}
	if code == Output {
		r.tail = nil
	}
	return ev, nil
}

// comment takes our two comments; every other one is ignored.
func (r *Reader) comment(line []byte) error {
	var err error
	if enc, ok := bytes.CutPrefix(line, []byte("#raw ")); ok {
		r.raw, err = base64.StdEncoding.AppendDecode(r.raw[:0], enc)
		r.hasRaw = err == nil
	} else if enc, ok := bytes.CutPrefix(line, []byte("#tail ")); ok {
		r.tail, err = base64.StdEncoding.AppendDecode(nil, enc)
	}
	return err
}

// readLine returns the next line without its newline.
func (r *Reader) readLine() ([]byte, error) {
	r.long = r.long[:0]
	for {
		part, err := r.in.ReadSlice('\n')
		if err == nil && len(r.long) == 0 {
			return r.took(part), nil
		}
		if len(r.long)+len(part) > MaxLine {
			r.line++
			return nil, r.syntax(fmt.Errorf("longer than %d bytes", MaxLine))
		}
		r.long = append(r.long, part...)
		switch {
		case err == nil:
			return r.took(r.long), nil
		case errors.Is(err, bufio.ErrBufferFull):
		case errors.Is(err, io.EOF):
			return r.lastLine()
		default:
			return nil, err
		}
	}
}

func (r *Reader) took(line []byte) []byte {
	r.line++
	r.offset += int64(len(line))
	return line[:len(line)-1]
}

// lastLine decides about a line without newline: other recorders may leave it
// out after a whole event; ours never do.
func (r *Reader) lastLine() ([]byte, error) {
	line := r.long
	if len(line) == 0 {
		return nil, io.EOF
	}
	if r.line == 0 && line[0] != '{' {
		r.line = 1
		return nil, r.syntax(errors.New("the header is not asciicast's: it does not begin with {"))
	}
	if !lastWhole(line) || r.Header.Session != nil {
		return nil, ErrTorn
	}
	r.line++
	r.offset += int64(len(line))
	return line, nil
}

// lastWhole says whether a line without newline is all there.
func lastWhole(line []byte) bool { return line[0] == '#' || json.Valid(line) }

func (r *Reader) syntax(err error) error {
	var s *SyntaxError
	if errors.As(err, &s) {
		return err
	}
	r.done = &SyntaxError{r.line, err}
	return r.done
}
