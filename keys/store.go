// SPDX-License-Identifier: AGPL-3.0-or-later

package keys

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strconv"
	"syscall"
	"time"
)

// Cache is the directory of what GitHub said:
//
//	people/<login>   one GitHub user: id, state per team, keys, when asked
//	teams/<slug>     the ids and logins of a team's members
//	accounts/<name>  the answer for one account, ready to print (hot.go)
//	etags/           answers to revalidate
//	locks/           empty files to lock
//	bulk, state      when all was last asked; what GitHub asked us to wait for
//	logins           which key belongs to whom (logins.go)
//	recipients/      the keys of the teams in seal_teams (recipients.go)
//
// Only the last two are for others to read: who is in which team is not theirs to know.
// All of it may be deleted at any time. Whatever can't be read, or doesn't
// parse, or claims to be from the future, counts as not there.
type Cache struct {
	dir  string
	root *os.Root
	uid  int // who owns the files: the owner of the directory
	gid  int

	origin  origin // whose answers these are
	durable bool   // what is written survives a crash

	// What could not be written counts in this process all the same: what GitHub
	// said decides, stored or not.
	unwritten map[string][]byte
	overruled *overruled
}

// origin is where an answer comes from. What was said of another organisation
// counts as not there. What another URL said of this one is never fresh: the
// logins and ids there may be other people's. It may still be stale, so that a
// slip of the pen in "url" locks nobody out.
type origin struct {
	URL string `json:"url"`
	Org string `json:"org"`
}

// OpenCache opens the cache, and makes the directory when it may. A directory
// that others may write is refused: they could open every account.
func OpenCache(dir string) (*Cache, error) { return openDir(dir, 0o755, owner) }

// owner is the user that sshd runs castgate-keys as. A directory that root has
// to make, because somebody removed it, is made for that user.
const owner = "castgate-keys"

func openDir(dir string, mode fs.FileMode, owner string) (*Cache, error) {
	err := os.Mkdir(dir, mode)
	if uid, lerr := localUID(passwdFile, owner); err == nil && lerr == nil && uid > 0 && os.Geteuid() == 0 {
		err = os.Lchown(dir, uid, -1)
	}
	if err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, advise(fmt.Errorf("make the cache: %w", err), "systemd-tmpfiles --create makes it, or: install -d -o castgate-keys %s", dir)
	}
	c, err := openExisting(dir)
	if err != nil {
		return nil, fmt.Errorf("open the cache: %w", err)
	}
	return c, nil
}

// openExisting opens a directory that nobody else may write.
func openExisting(dir string) (*Cache, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	c := &Cache{dir: dir, root: root}
	if err := c.trusted(); err != nil {
		_ = root.Close()
		return nil, err
	}
	return c, nil
}

func (c *Cache) trusted() error {
	info, err := c.root.Stat(".")
	if err != nil {
		return err
	}
	st := info.Sys().(*syscall.Stat_t)
	c.uid, c.gid = int(st.Uid), int(st.Gid)
	if c.uid != os.Geteuid() && c.uid != 0 && os.Geteuid() != 0 {
		return advise(fmt.Errorf("%q belongs to uid %d", c.dir, c.uid), "run it as root or as castgate-keys")
	}
	if info.Mode().Perm()&0o022 != 0 {
		return advise(fmt.Errorf("%q may be written by others (mode %04o)", c.dir, info.Mode().Perm()), "chmod 0755 %s", c.dir)
	}
	return nil
}

// maxFile bounds what is read back: a team of 10,000 is 600 KB.
const maxFile = 64 << 20

// load reads a JSON file into v. Anything wrong with it makes it absent.
func (c *Cache) load(name string, v any) bool {
	if c == nil {
		return false
	}
	body, err := c.read(name)
	return err == nil && json.Unmarshal(body, v) == nil
}

func (c *Cache) read(name string) ([]byte, error) {
	if body, ok := c.unwritten[name]; ok {
		return body, nil
	}
	f, err := c.root.OpenFile(name, os.O_RDONLY|syscall.O_NOFOLLOW, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, maxFile))
}

// save writes a JSON file. A cache that can't be written costs speed, never a
// login: the error is for those who want to say so, and for those who have to
// see to it that nothing older counts (remember).
func (c *Cache) save(name string, mode fs.FileMode, v any) error {
	if c == nil {
		return nil
	}
	body, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return c.write(name, mode, append(body, '\n'))
}

// write replaces a file whole. What can't be written is kept for as long as
// the process lives.
func (c *Cache) write(name string, mode fs.FileMode, body []byte) error {
	err := c.replace(name, mode, body)
	if delete(c.unwritten, name); err != nil {
		c.hold(name, body)
		return fmt.Errorf("write the cache: %w", err)
	}
	return nil
}

func (c *Cache) hold(name string, body []byte) {
	if c.unwritten == nil {
		c.unwritten = map[string][]byte{}
	}
	c.unwritten[name] = body
}

// keep is save for as long as the process lives.
func (c *Cache) keep(name string, v any) error {
	body, err := json.Marshal(v)
	if err == nil && c != nil {
		c.hold(name, body)
	}
	return err
}

// replace writes a temporary file, then renames it. The data of a cache is not
// synced: after a crash a file may be empty, which load takes for absent.
func (c *Cache) replace(name string, mode fs.FileMode, body []byte) error {
	// The time as well: pids are not unique across containers.
	tmp := name + "." + strconv.Itoa(os.Getpid()) + "." + strconv.FormatInt(time.Now().UnixNano(), 36) + tmpSuffix
	f, err := c.create(tmp, mode)
	if err != nil {
		return err
	}
	_, err = f.Write(body)
	if err == nil {
		err = c.own(f, mode)
	}
	if err == nil && c.durable {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = c.root.Rename(tmp, name)
	}
	if err != nil {
		_ = c.root.Remove(tmp)
	}
	if err == nil && c.durable {
		err = c.syncDir(path.Dir(name))
	}
	return err
}

func (c *Cache) syncDir(dir string) error {
	d, err := c.root.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

const tmpSuffix = ".tmp"

func (c *Cache) create(name string, mode fs.FileMode) (*os.File, error) {
	const flags = os.O_WRONLY | os.O_CREATE | os.O_EXCL | syscall.O_NOFOLLOW
	f, err := c.root.OpenFile(name, flags, mode)
	switch {
	case errors.Is(err, fs.ErrExist): // left by a process that died with our pid
		_ = c.root.Remove(name)
	case errors.Is(err, fs.ErrNotExist):
		if err := c.mkdir(path.Dir(name)); err != nil {
			return nil, err
		}
	default:
		return f, err
	}
	return c.root.OpenFile(name, flags, mode)
}

func (c *Cache) mkdir(dir string) error {
	if err := c.root.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	if os.Geteuid() == 0 {
		return c.root.Lchown(dir, c.uid, c.gid)
	}
	return nil
}

// own gives a file that root wrote to the owner of the cache, and sets the
// mode whatever the umask said.
func (c *Cache) own(f *os.File, mode fs.FileMode) error {
	if err := f.Chmod(mode); err != nil {
		return err
	}
	if os.Geteuid() == 0 {
		return f.Chown(c.uid, c.gid)
	}
	return nil
}

// age is how long ago at was; false when at lies in the future, which means
// that the clock was set back and nothing is known about the age.
func age(now, at time.Time) (time.Duration, bool) {
	d := now.Sub(at)
	return max(d, 0), d >= -clockSkew && !at.IsZero()
}
