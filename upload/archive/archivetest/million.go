// SPDX-License-Identifier: AGPL-3.0-or-later

package archivetest

import (
	"bytes"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"strings"
	"time"

	"castgate/upload/manifest"
)

// Fleet is an archive that exists only while it is read: every manifest and
// recording is made anew, the same each time, when it is opened. It is as large
// as one likes and takes no disk.
type Fleet struct {
	Users, Hosts, Days, PerDay int // recordings: their product
	First                      time.Time
}

// Size is the number of recordings.
func (f Fleet) Size() int { return f.Users * f.Hosts * f.Days * f.PerDay }

// UserName and HostName are the names of number n.
func UserName(n int) string { return fmt.Sprintf("user%03d", n) }
func HostName(n int) string { return fmt.Sprintf("host%03d", n) }

// Recording is the i-th of a user on a host on a day.
func (f Fleet) Recording(user, host, day, i int) *Recording {
	r := f.bare(user, host, day, i)
	f.fill(r, ((day*f.PerDay+i)*f.Hosts+host)*f.Users+user)
	return r
}

// bare is a recording with what its id needs.
func (f Fleet) bare(user, host, day, i int) *Recording {
	start := f.First.AddDate(0, 0, day).Add(time.Duration(i)*24*time.Hour/time.Duration(f.PerDay) + time.Duration(user*f.Hosts+host)*time.Second)
	return &Recording{User: UserName(user), Host: HostName(host), Login: UserName(user) + "-gh", Start: start}
}

// fill gives recording n its output.
func (f Fleet) fill(r *Recording, n int) {
	rnd := rand.New(rand.NewPCG(uint64(n), 42))
	r.Exit = rnd.IntN(3)
	for range 10 {
		var b strings.Builder
		fmt.Fprintf(&b, "\x1b[32m%s@%s\x1b[m:~$ command%d\r\n", r.User, r.Host, rnd.IntN(500))
		for range 1 + rnd.IntN(4) {
			for range 8 {
				b.WriteString(vocabulary(rnd))
				b.WriteByte(' ')
			}
			b.WriteString("\r\n")
		}
		r.Output = append(r.Output, b.String())
	}
	r.Output = append(r.Output, fmt.Sprintf("needle%07d\r\n", n))
}

// vocabulary gives common words often and rare ones rarely.
func vocabulary(rnd *rand.Rand) string {
	return fmt.Sprintf("word%x", int(20000*rnd.Float64()*rnd.Float64()*rnd.Float64()))
}

// Open implements fs.FS.
func (f Fleet) Open(name string) (fs.File, error) {
	p := strings.Split(name, "/")
	if len(p) < 6 {
		if name != "." && !f.has(p) {
			return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
		}
		return &made{info: info{p[len(p)-1], 0, true}}, nil
	}
	user, host, day, _ := f.parse(p)
	for i, r := range f.day(p) {
		suffix, ok := strings.CutPrefix(p[5], r.ID())
		if !ok {
			continue
		}
		switch suffix {
		case manifest.JSONSuffix:
			_, text, _ := f.Recording(user, host, day, i).Objects()
			return newMade(p[5], text), nil
		case manifest.CastSuffix:
			return newMade(p[5], packer.EncodeAll(f.Recording(user, host, day, i).Cast(), nil)), nil
		}
	}
	return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
}

// parse reads the numbers in a path.
func (f Fleet) parse(p []string) (user, host, day int, ok bool) {
	if _, err := fmt.Sscanf(p[0]+" "+p[1], "user%d host%d", &user, &host); err != nil || user >= f.Users || host >= f.Hosts {
		return 0, 0, 0, false
	}
	if len(p) < 5 {
		return user, host, 0, true
	}
	date, err := time.Parse("2006/01/02", strings.Join(p[2:5], "/"))
	day = int(date.Sub(f.First) / (24 * time.Hour))
	return user, host, day, err == nil && day >= 0 && day < f.Days
}

func (f Fleet) has(p []string) bool {
	if len(p) == 1 {
		p = append(p, HostName(0))
	}
	_, _, _, ok := f.parse(p)
	return ok
}

func (f Fleet) day(p []string) []*Recording {
	user, host, day, ok := f.parse(p)
	var all []*Recording
	for i := 0; ok && i < f.PerDay; i++ {
		all = append(all, f.bare(user, host, day, i))
	}
	return all
}

// ReadDir implements fs.ReadDirFS.
func (f Fleet) ReadDir(name string) ([]fs.DirEntry, error) {
	p := strings.Split(name, "/")
	var entries []fs.DirEntry
	add := func(name string, dir bool) { entries = append(entries, fs.FileInfoToDirEntry(info{name, 1, dir})) }
	switch {
	case name == ".":
		for u := range f.Users {
			add(UserName(u), true)
		}
	case len(p) == 1:
		for h := range f.Hosts {
			add(HostName(h), true)
		}
	case len(p) == 5:
		for _, r := range f.day(p) {
			add(r.ID()+manifest.JSONSuffix, false)
			add(r.ID()+manifest.CastSuffix, false)
		}
	default:
		last := ""
		for d := range f.Days {
			date := f.First.AddDate(0, 0, d).Format("2006/01/02")
			rest, ok := strings.CutPrefix(date, strings.Join(append(p[2:len(p):len(p)], ""), "/"))
			next, _, _ := strings.Cut(rest, "/")
			if ok && next != last {
				add(next, true)
				last = next
			}
		}
	}
	return entries, nil
}

type info struct {
	name string
	size int64
	dir  bool
}

func (i info) Name() string       { return i.name }
func (i info) Size() int64        { return i.size }
func (i info) ModTime() time.Time { return time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC) }
func (i info) IsDir() bool        { return i.dir }
func (i info) Sys() any           { return nil }
func (i info) Mode() fs.FileMode {
	if i.dir {
		return fs.ModeDir | 0o755
	}
	return 0o644
}

type made struct {
	io.Reader
	info info
}

func newMade(name string, p []byte) *made {
	return &made{bytes.NewReader(p), info{name, int64(len(p)), false}}
}
func (m *made) Stat() (fs.FileInfo, error) { return m.info, nil }
func (m *made) Close() error               { return nil }
