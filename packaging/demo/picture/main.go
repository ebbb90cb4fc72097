// SPDX-License-Identifier: AGPL-3.0-or-later

// Command picture renders what a recording's screen shows at a moment as SVG,
// for documents:
//
//	picture [-at 12s] FILE.cast >picture.svg
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"time"

	"castgate/upload/archive/screen"
	"castgate/wrap/asciicast"
)

func main() {
	log.SetFlags(0)
	log.SetPrefix("picture: ")
	at := flag.Duration("at", time.Hour, "show the screen at this `TIME`")
	flag.Parse()
	if flag.NArg() != 1 {
		log.Fatal("usage: picture [-at TIME] FILE.cast")
	}
	if err := picture(os.Stdout, flag.Arg(0), *at); err != nil {
		log.Fatal(err)
	}
}

func picture(w io.Writer, path string, at time.Duration) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	r, err := asciicast.NewReader(f)
	if err != nil {
		return err
	}
	s := screen.New(r.Header.Term.Cols, r.Header.Term.Rows)
	for {
		e, err := r.Next()
		if err == io.EOF || errors.Is(err, asciicast.ErrTorn) || e.Time > at {
			break
		}
		if err != nil {
			return err
		}
		switch e.Code {
		case asciicast.Output:
			_, _ = s.Write(e.Data)
		case asciicast.Resize:
			var cols, rows int
			if _, err := fmt.Sscanf(string(e.Data), "%dx%d", &cols, &rows); err == nil {
				s.Resize(cols, rows)
			}
		}
	}
	cols, rows := s.Size()
	cells := paint(s.AppendPaint(nil), cols, rows)
	_, err = io.WriteString(w, svg(cells, cols, title(r.Header)))
	return err
}

func title(h asciicast.Header) string {
	if h.Session == nil {
		return "recording"
	}
	return fmt.Sprintf("castgate play: %s on %s, %s", h.Session.User, h.Session.Host, time.Unix(h.Timestamp, 0).UTC().Format("2006-01-02 15:04 MST"))
}
