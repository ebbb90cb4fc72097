// SPDX-License-Identifier: AGPL-3.0-or-later

package asciicast

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
)

// WriteV3 writes a recording as asciicast v3: one that is v3 as it is, to the
// letter, up to its last whole line; of an older version its header and events.
func WriteV3(w io.Writer, in io.Reader) (torn bool, err error) {
	var head bytes.Buffer
	r, err := NewReader(io.TeeReader(in, &head))
	if err != nil {
		return false, err
	}
	out := bufio.NewWriterSize(w, 64<<10)
	if r.Header.Version == Version {
		begin := bytes.TrimPrefix(head.Bytes(), []byte(byteOrderMark))
		torn, err = copyLines(out, io.MultiReader(bytes.NewReader(begin), in), r.Header.Session == nil)
	} else {
		torn, err = convert(out, r)
	}
	return torn, errors.Join(err, out.Flush())
}

// convert writes the events of an older version.
func convert(w io.Writer, r *Reader) (torn bool, err error) {
	var enc Encoder
	line := AppendHeader(nil, r.Header)
	for {
		if _, err := w.Write(line); err != nil {
			return false, err
		}
		ev, err := r.Next()
		switch {
		case errors.Is(err, ErrTorn), errors.Is(err, io.EOF):
			return errors.Is(err, ErrTorn), nil
		case err != nil:
			return false, err
		}
		line = enc.AppendEvent(line[:0], ev.Time, ev.Code, ev.Text)
	}
}

// copyLines copies whole lines. Other recorders may leave out the newline of the
// last one, ours never do.
func copyLines(w io.Writer, in io.Reader, others bool) (torn bool, err error) {
	lines := bufio.NewReaderSize(in, 128<<10)
	var long []byte
	for {
		part, err := lines.ReadSlice('\n')
		if err == nil && len(long) == 0 {
			if _, err := w.Write(part); err != nil {
				return false, err
			}
			continue
		}
		if len(long)+len(part) > MaxLine {
			return false, fmt.Errorf("a line is longer than %d bytes", MaxLine)
		}
		long = append(long, part...)
		switch {
		case err == nil:
		case errors.Is(err, bufio.ErrBufferFull):
			continue
		case !errors.Is(err, io.EOF):
			return false, err
		case len(long) == 0:
			return false, nil
		case !others || !lastWhole(long):
			return true, nil
		default:
			long = append(long, '\n')
		}
		if _, err := w.Write(long); err != nil {
			return false, err
		}
		long = long[:0]
	}
}
