// SPDX-License-Identifier: AGPL-3.0-or-later

package hot

import (
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Reply is what is to be printed and logged.
type Reply struct {
	Lines       []byte
	Account     string
	Login       string
	ID          int64
	Fingerprint string
	Age         time.Duration
}

// Answer looks for a finished answer to the command line that sshd gave. False
// means no more than that the rest of the program has to find one.
func Answer(args []string, defaultConfig, defaultDir string, now time.Time) (Reply, bool) {
	q, ok := parse(args, defaultConfig)
	if !ok {
		return Reply{}, false
	}
	id, err := ConfigID(q.config)
	if err != nil {
		return Reply{}, false
	}
	for _, dir := range cacheDirs(q.config, defaultDir) {
		if f, ok := open(dir, q.account, id, now); ok {
			defer f.close()
			return f.reply(q, now)
		}
	}
	return Reply{}, false
}

func (f *file) reply(q question, now time.Time) (Reply, bool) {
	r := Reply{Account: q.account, Age: time.Duration(now.Unix()-f.head.from) * time.Second}
	if q.typ == "" {
		lines, _, ok := f.all()
		r.Lines = lines
		return r, ok
	}
	e, ok := f.find(q.base64)
	if !ok || !strings.Contains(" "+e.Line, " "+q.typ+" "+q.base64+" ") {
		return r, false
	}
	r.Lines, r.Login, r.ID, r.Fingerprint = []byte(e.Line+"\n"), e.Login, e.ID, e.Fingerprint
	return r, true
}

// question is a command line of the form [-config FILE] USER [TYPE KEY].
type question struct{ config, account, typ, base64 string }

func parse(args []string, defaultConfig string) (question, bool) {
	q := question{config: defaultConfig}
	if len(args) > 0 && strings.HasPrefix(args[0], "-") {
		flag := strings.TrimPrefix(strings.TrimPrefix(args[0], "-"), "-")
		value, given := strings.CutPrefix(flag, "config=")
		switch {
		case given:
			q.config, args = value, args[1:]
		case flag == "config" && len(args) > 1:
			q.config, args = args[1], args[2:]
		default:
			return q, false
		}
	}
	if len(args) == 3 {
		q.typ, q.base64 = args[1], args[2]
	}
	ok := len(args) == 3 && q.typ != "" && q.base64 != "" || len(args) == 1 && !subcommand(args[0])
	if !ok || !plain(args[0]) {
		return q, false
	}
	q.account = args[0]
	return q, true
}

func subcommand(s string) bool { return s == "refresh" || s == "explain" || s == "pin" }

// plain takes the names of accounts that are also names of files.
func plain(s string) bool {
	if s == "" || len(s) > 64 || s[0] == '.' || s[0] == '-' {
		return false
	}
	for i := range len(s) {
		c := s[i]
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && !strings.ContainsRune("-_.@+$", rune(c)) {
			return false
		}
	}
	return true
}

// cacheDirs guesses the directory of the cache without reading YAML: whatever
// stands after a "dir:" in the file, and the default. A wrong guess finds no
// file that fits: the file must be ours and name this configuration.
func cacheDirs(config, defaultDir string) []string {
	text, ok := readAll(config)
	if !ok {
		return nil
	}
	var dirs []string
	for rest := string(text); len(dirs) < 8; {
		_, after, found := strings.Cut(rest, "dir:")
		if !found {
			break
		}
		rest = after
		word := strings.TrimLeft(after, " \t\"'")
		if end := strings.IndexAny(word, " \t\r\n,}\"'"); end >= 0 {
			word = word[:end]
		}
		if strings.HasPrefix(word, "/") {
			dirs = append(dirs, word)
		}
	}
	return append(dirs, defaultDir)
}

// maxConfig is more than any keys.yaml has.
const maxConfig = 256 << 10

func readAll(path string) (string, bool) {
	fd, err := syscall.Open(path, syscall.O_RDONLY|syscall.O_CLOEXEC, 0)
	if err != nil {
		return "", false
	}
	f := file{fd: fd}
	defer f.close()
	var st syscall.Stat_t
	if syscall.Fstat(fd, &st) != nil || st.Size > maxConfig {
		return "", false
	}
	text, ok := f.read(0, st.Size)
	return string(text), ok
}

// LogLine is the line that the rest of the program would write for it.
func (r Reply) LogLine(program string, pid int, now time.Time) string {
	const info = 10<<3 | 6 // AUTHPRIV, as in package cli
	var b strings.Builder
	b.WriteString("<" + strconv.Itoa(info) + ">" + now.Format(time.Stamp) + " " + program + "[" + strconv.Itoa(pid) + "]: ")
	b.WriteString("msg=allowed account=" + r.Account + " login=" + value(r.Login) + " id=" + strconv.FormatInt(r.ID, 10))
	b.WriteString(" key=" + value(r.Fingerprint) + " source=cache age=" + r.Age.String() + " why=member")
	return b.String()
}

func value(s string) string {
	if s == "" {
		return `""`
	}
	return s
}
