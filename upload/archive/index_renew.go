// SPDX-License-Identifier: AGPL-3.0-or-later

package archive

import (
	"bytes"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"syscall"

	"castgate/wrap/hint"
)

// OpenIndex opens the index. When create is set it makes one where there is
// none, and makes that of another version anew; Update then fills it. A missing
// index is fs.ErrNotExist.
func OpenIndex(path string, create bool) (*Index, error) {
	if create {
		if err := createFile(path); err != nil {
			return nil, err
		}
	} else if _, err := os.Stat(path); err != nil {
		return nil, fmt.Errorf("open the index: %w", err)
	}
	ix, err := openIndex(path)
	if errors.Is(err, errOldSchema) && create {
		return renewOld(path)
	}
	if err != nil {
		return nil, hint.Add(fmt.Errorf("open the index %q: %w", path, err), "the index is derived: delete it, and \"castgate index\" makes it anew")
	}
	return ix, nil
}

// RenewIndex makes the index anew, with what the old one, of whatever version,
// remembers of the ends of the chains, which is not derived. The new one is made
// beside it and takes its place when it has them: whatever fails before then
// leaves the old one as it is.
func RenewIndex(path string) (*Index, error) {
	return renew(path, func() bool { return false })
}

// renewOld is RenewIndex, unless another program was quicker.
func renewOld(path string) (*Index, error) {
	return renew(path, func() bool {
		ix, err := openIndex(path)
		if err == nil {
			ix.Close()
		}
		return err == nil
	})
}

func renew(path string, done func() bool) (*Index, error) {
	lock, err := lockIndex(path)
	if err != nil {
		return nil, err
	}
	defer lock.Close()
	if !done() {
		if err := replaceIndex(path); err != nil {
			return nil, fmt.Errorf("make the index %q anew: %w", path, err)
		}
	}
	return openIndex(path)
}

// lockIndex waits until nobody else makes the index anew.
func lockIndex(path string) (*os.File, error) {
	path += ".lock"
	if err := createFile(path); err != nil {
		return nil, err
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != nil {
		f.Close()
		return nil, fmt.Errorf("lock %q: %w", path, err)
	}
	return f, nil
}

func replaceIndex(path string) error {
	ends, err := oldHeads(path)
	if err != nil {
		return hint.Add(
			fmt.Errorf("what it remembers of the hosts' chains can't be read: %w", err),
			"where it is damaged, delete it: verify then misses what was removed at the end of a chain",
		)
	}
	beside := path + ".new"
	if err := errors.Join(RemoveIndex(beside), createFile(beside)); err != nil {
		return err
	}
	ix, err := openIndex(beside)
	if err != nil {
		return err
	}
	if err := errors.Join(putHeads(ix.db, ends), settle(ix.db), ix.Close()); err != nil {
		return errors.Join(err, RemoveIndex(beside))
	}
	// The old one has all that its log had (settle). Left behind, the log would be
	// taken for the new one's.
	if err := removeAll(path+"-wal", path+"-shm"); err != nil {
		return err
	}
	return os.Rename(beside, path)
}

// oldHeads reads the ends that the index at path remembers. What is no database
// remembers none, nor does one from before there were any.
func oldHeads(path string) ([]head, error) {
	if is, err := isDatabase(path); err != nil || !is {
		return nil, err
	}
	db, err := connect(path)
	if err != nil {
		return nil, err
	}
	defer db.Close()
	has := false
	if err := db.QueryRow("SELECT EXISTS(SELECT 1 FROM sqlite_master WHERE name = 'heads')").Scan(&has); err != nil || !has {
		return nil, err
	}
	if err := settle(db); err != nil {
		return nil, err
	}
	return heads(db)
}

// isDatabase goes by the first bytes (https://sqlite.org/fileformat.html).
func isDatabase(path string) (bool, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer f.Close()
	magic := []byte("SQLite format 3\x00")
	start := make([]byte, len(magic))
	if _, err := io.ReadFull(f, start); err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return false, err
	}
	return bytes.Equal(start, magic), nil
}

// settle writes the log of a database into the database.
func settle(db *sql.DB) error {
	var busy, log, moved int
	if err := db.QueryRow("PRAGMA wal_checkpoint(TRUNCATE)").Scan(&busy, &log, &moved); err != nil {
		return err
	}
	if busy != 0 {
		return errors.New("another program uses it")
	}
	return nil
}

func putHeads(db *sql.DB, ends []head) error {
	tx, err := db.Begin()
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }()
	for _, h := range ends {
		if _, err := tx.Exec("INSERT INTO heads(sha256, host, sequence, id, path, start) VALUES(?,?,?,?,?,?)",
			h.SHA256, h.Host, h.sequence, h.ID, h.Path, h.At.Unix()); err != nil {
			return err
		}
	}
	return tx.Commit()
}

// RemoveIndex deletes an index; a missing one is no error.
func RemoveIndex(path string) error { return removeAll(path, path+"-wal", path+"-shm") }

func removeAll(paths ...string) error {
	var errs []error
	for _, p := range paths {
		if err := os.Remove(p); !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// Claims returns the ids that several recordings have in the index at path; none
// when there is no index.
func Claims(path string) ([]*ClaimedError, error) {
	ix, err := OpenIndex(path, false)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer ix.Close()
	return ix.Claims()
}
