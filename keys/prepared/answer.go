// SPDX-License-Identifier: AGPL-3.0-or-later

// Package prepared is the finished answer for one account, as package keys writes
// it down for the next question: sshd asks at least twice for each login. Whoever
// reads it need know nothing of GitHub, teams or policy, and what is unusual (no
// file, one that is too old or of another configuration, a key that isn't in it)
// is not answered by it. Its file accounts/<account> in the cache is
//
//	castgate-answer 2 ACCOUNT CONFIG FROM UNTIL SIZE
//	TYPE BASE64 LOGIN ID OPTIONS
//
// with CONFIG the identity of the configuration file (ConfigID), FROM and UNTIL in
// Unix seconds, SIZE the bytes after the first line; then a line for each key that
// opens the account: the key, whose it is, and its options, if any.
package prepared

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Dir is where the files are in the cache.
const Dir = "accounts"

// Name is the file of an account.
func Name(account string) string { return Dir + "/" + account }

const (
	magic   = "castgate-answer 2"
	maxLine = 32 << 10 // a key of 4 KiB in base64 and its options
)

// Answer is what opens an account.
type Answer struct {
	Account string
	Config  string // the ConfigID under which it was made
	From    time.Time
	Until   time.Time
	Lines   []Line
}

// Line is a key that opens the account.
type Line struct {
	Key     string // TYPE BASE64
	Login   string // whose it is
	ID      int64
	Options string // of the line that lets it in
}

// String is the line for authorized_keys (sshd(8), AUTHORIZED_KEYS FILE FORMAT).
func (l Line) String() string {
	text := l.Key + " github:" + l.Login
	if l.Options != "" {
		text = l.Options + " " + text
	}
	return text + "\n"
}

// Format returns the text of the answer's file.
func (a Answer) Format() []byte {
	var body strings.Builder
	for _, l := range a.Lines {
		fmt.Fprintf(&body, "%s %s %d %s\n", l.Key, l.Login, l.ID, l.Options)
	}
	head := fmt.Sprintf("%s %s %s %d %d %d\n", magic, a.Account, a.Config, a.From.Unix(), a.Until.Unix(), body.Len())
	return []byte(head + body.String())
}

// Find returns the answer for an account from the cache in dir, if there is one
// that was made under this configuration and is fresh now. With a key ("TYPE
// BASE64") it has that key's line alone, and is not found without it.
func Find(dir, account, config, key string, now time.Time) (Answer, bool) {
	f, err := os.OpenFile(filepath.Join(dir, Name(account)), os.O_RDONLY|syscall.O_NOFOLLOW, 0)
	if err != nil {
		return Answer{}, false
	}
	defer f.Close()
	size, ok := ours(f)
	if !ok {
		return Answer{}, false
	}
	r := bufio.NewReaderSize(f, maxLine)
	a, rest, ok := readHead(r)
	if !ok || a.Account != account || a.Config != config || now.Before(a.From) || !now.Before(a.Until) || rest != size {
		return Answer{}, false
	}
	a.Lines, ok = readLines(r, key)
	return a, ok
}

// ours reports whether nobody else than root and the caller can have written the
// file, and how long it is.
func ours(f *os.File) (size int64, ok bool) {
	info, err := f.Stat()
	if err != nil {
		return 0, false
	}
	uid := int(info.Sys().(*syscall.Stat_t).Uid)
	return info.Size(), info.Mode().IsRegular() && info.Mode().Perm()&0o022 == 0 && (uid == 0 || uid == os.Geteuid())
}

// readHead reads the first line, and returns how long the file has to be.
func readHead(r *bufio.Reader) (a Answer, size int64, ok bool) {
	line, err := r.ReadString('\n')
	if err != nil {
		return a, 0, false
	}
	var from, until int64
	_, err = fmt.Sscanf(line, magic+" %s %s %d %d %d\n", &a.Account, &a.Config, &from, &until, &size)
	a.From, a.Until = time.Unix(from, 0), time.Unix(until, 0)
	return a, size + int64(len(line)), err == nil
}

// readLines reads the lines to the end, or to the one of the key.
func readLines(r *bufio.Reader, key string) (all []Line, ok bool) {
	if key != "" {
		key += " "
	}
	for {
		text, err := r.ReadSlice('\n')
		if err == io.EOF && len(text) == 0 {
			return all, len(all) > 0
		}
		if err != nil {
			return nil, false
		}
		if !bytes.HasPrefix(text, []byte(key)) {
			continue
		}
		l, ok := parseLine(string(text[:len(text)-1]))
		if !ok {
			return nil, false
		}
		if all = append(all, l); key != "" {
			return all, true
		}
	}
}

func parseLine(text string) (Line, bool) {
	f := strings.SplitN(text, " ", 5)
	if len(f) != 5 {
		return Line{}, false
	}
	id, err := strconv.ParseInt(f[3], 10, 64)
	return Line{f[0] + " " + f[1], f[2], id, f[4]}, err == nil
}
