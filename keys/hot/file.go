// SPDX-License-Identifier: AGPL-3.0-or-later

// Package hot answers sshd's question from one small file, before anything else
// of castgate-keys has been set up. sshd asks at least twice for each login and
// waits two to four times as long as the answer takes; a program with go-github
// and viper in it spends more time on initialising those than on answering.
//
// So it imports next to nothing and knows nothing of GitHub, teams or policy:
// package keys wrote down, for one account and for as long as its facts are
// fresh, the finished lines. Whatever is unusual (no file, an expired one,
// another configuration, a key that isn't in it) is not answered here.
//
// The file accounts/<account> in the cache is
//
//	castgate-hot 1 ACCOUNT CONFIG FROM UNTIL SIZE
//	BASE64 LOGIN ID FINGERPRINT LINE...
//
// with CONFIG the identity of the configuration file, FROM and UNTIL in Unix
// seconds, SIZE the bytes after the first line; then, sorted, a line for each
// key, found by binary search, so that its cost does not grow with a team.
package hot

import (
	"strconv"
	"strings"
	"syscall"
	"time"
)

const (
	magic   = "castgate-hot 1"
	maxHead = 512
	maxLine = 32 << 10 // a key of 4 KiB in base64 and its options
)

// Entry is one key that opens the account.
type Entry struct {
	Base64      string // of the key's blob
	Login       string
	ID          int64
	Fingerprint string
	Line        string // for authorized_keys, without the newline
}

func (e Entry) text() string {
	return e.Base64 + " " + e.Login + " " + strconv.FormatInt(e.ID, 10) + " " + e.Fingerprint + " " + e.Line + "\n"
}

func parseEntry(line string) (Entry, bool) {
	f := strings.SplitN(line, " ", 5)
	if len(f) != 5 || f[4] == "" {
		return Entry{}, false
	}
	id, err := strconv.ParseInt(f[2], 10, 64)
	return Entry{f[0], f[1], id, f[3], f[4]}, err == nil
}

// head is the first line of a file.
type head struct {
	account, config string
	from, until     int64
	size            int64
}

// Format returns the file of an account. The entries must be sorted by Base64
// and none twice.
func Format(account, config string, from, until time.Time, entries []Entry) []byte {
	var body strings.Builder
	for _, e := range entries {
		body.WriteString(e.text())
	}
	first := strings.Join([]string{
		magic, account, config,
		strconv.FormatInt(from.Unix(), 10), strconv.FormatInt(until.Unix(), 10), strconv.Itoa(body.Len()),
	}, " ")
	return []byte(first + "\n" + body.String())
}

func parseHead(line string) (head, bool) {
	rest, ok := strings.CutPrefix(line, magic+" ")
	f := strings.Split(rest, " ")
	if !ok || len(f) != 5 {
		return head{}, false
	}
	h := head{account: f[0], config: f[1]}
	for i, n := range []*int64{&h.from, &h.until, &h.size} {
		v, err := strconv.ParseInt(f[2+i], 10, 64)
		if err != nil || v < 0 {
			return head{}, false
		}
		*n = v
	}
	return h, true
}

// groupFile says which accounts open to their namesakes (package keys).
const groupFile = "/etc/group"

// ConfigID identifies a state of the configuration file: any change to it, to
// its mode or owner, or to those of its directory, makes another. So does a
// change to group(5): who was taken out of a group is out at once.
func ConfigID(path string) (string, error) {
	var file, dir, group syscall.Stat_t
	if err := syscall.Stat(path, &file); err != nil {
		return "", err
	}
	_ = syscall.Stat(groupFile, &group) // where there is none, nobody is in a group
	parent := "."
	if i := strings.LastIndexByte(path, '/'); i >= 0 {
		parent = path[:i+1]
	}
	if err := syscall.Stat(parent, &dir); err != nil {
		return "", err
	}
	var id []byte
	for _, n := range []int64{
		int64(file.Dev), int64(file.Ino), file.Size, int64(file.Mode), int64(file.Uid),
		file.Mtim.Nano(), file.Ctim.Nano(), int64(dir.Mode), int64(dir.Uid),
		int64(group.Ino), group.Size, group.Mtim.Nano(), group.Ctim.Nano(),
	} {
		id = append(strconv.AppendInt(id, n, 36), '.')
	}
	return string(id), nil
}

// file is an open account file whose head was checked. It is read with bare
// system calls: package os would set up its poller for it.
type file struct {
	fd    int
	head  head
	start int64 // of the entries
}

// open opens the file of an account if it belongs to us or to root, was made
// under this configuration and is fresh now.
func open(dir, account, config string, now time.Time) (*file, bool) {
	fd, err := syscall.Open(dir+"/accounts/"+account, syscall.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_CLOEXEC, 0)
	if err != nil {
		return nil, false
	}
	f := &file{fd: fd}
	if !f.check(account, config, now) {
		f.close()
		return nil, false
	}
	return f, true
}

func (f *file) close() { _ = syscall.Close(f.fd) }

func (f *file) check(account, config string, now time.Time) bool {
	var st syscall.Stat_t
	if err := syscall.Fstat(f.fd, &st); err != nil || !ours(st) {
		return false
	}
	buf, ok := f.read(0, min(maxHead, st.Size))
	line, _, whole := strings.Cut(string(buf), "\n")
	h, good := parseHead(line)
	if !ok || !whole || !good {
		return false
	}
	f.head, f.start = h, int64(len(line))+1
	fresh := now.Unix() >= h.from && now.Unix() < h.until
	return fresh && h.account == account && h.config == config && f.start+h.size == st.Size
}

// read returns exactly n bytes, or false.
func (f *file) read(at, n int64) ([]byte, bool) {
	buf := make([]byte, n)
	for got := 0; got < len(buf); {
		m, err := syscall.Pread(f.fd, buf[got:], at+int64(got))
		if err == syscall.EINTR {
			continue
		}
		if err != nil || m <= 0 {
			return nil, false
		}
		got += m
	}
	return buf, true
}

func ours(st syscall.Stat_t) bool {
	mine := st.Uid == 0 || int(st.Uid) == syscall.Geteuid()
	return mine && st.Mode&syscall.S_IFMT == syscall.S_IFREG && st.Mode&0o022 == 0
}

// Current reports whether the cache has this very answer already.
func Current(dir, account, config string, until, now time.Time) bool {
	f, ok := open(dir, account, config, now)
	if !ok {
		return false
	}
	defer f.close()
	return f.head.until == until.Unix()
}
