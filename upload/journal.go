// SPDX-License-Identifier: AGPL-3.0-or-later

package upload

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"castgate/upload/manifest"
	"castgate/upload/store"
	"castgate/upload/target"
	"castgate/wrap/hint"
)

// The journal is what the uploader knows and can't see in the spool: the
// manifests it made, in the order of their chain, and the receipts it got. It
// is a file of JSON lines that only grows; each line is on disk before what it
// says is relied on. A line without newline at the end was never relied on.
//
//	sealed   the recording has this manifest; it is the head of the chain now
//	receipt  a target has the recording
//	refused  a target will never take it
//	done     the spool no longer has it
//	head     the chain's head when the lines before were dropped
type entry struct {
	Op       string                    `json:"op"`
	ID       string                    `json:"id,omitempty"`
	At       time.Time                 `json:"at,omitzero"`
	Manifest string                    `json:"manifest,omitempty"`
	Sig      string                    `json:"sig,omitempty"`
	Target   string                    `json:"target,omitempty"`
	Receipt  *target.Receipt           `json:"receipt,omitempty"`
	Why      string                    `json:"why,omitempty"`
	Receipts map[string]target.Receipt `json:"receipts,omitempty"`
	Sequence int64                     `json:"sequence,omitempty"`
	Head     string                    `json:"head,omitempty"`

	parsed *manifest.Manifest // what Manifest says, where that is known
}

const (
	opSealed  = "sealed"
	opReceipt = "receipt"
	opRefused = "refused"
	opDone    = "done"
	opHead    = "head"
)

// parcel is a recording that was sealed and is not done.
type parcel struct {
	manifest *manifest.Manifest
	json     []byte
	sig      []byte
	receipts map[string]target.Receipt
	refused  map[string]string
}

// delivered is a recording that is done.
type delivered struct {
	ID       string                    `json:"id"`
	At       time.Time                 `json:"at"`
	Receipts map[string]target.Receipt `json:"receipts,omitempty"`
	Refused  string                    `json:"refused,omitempty"`
}

const (
	// maxRecent is how many done recordings `status` can still tell about.
	maxRecent = 100
	// compactAt is the size at which the journal is written anew: some
	// thousand recordings, so that this costs little for each.
	compactAt = 8 << 20
)

// ledger is the state that the lines of a journal add up to.
type ledger struct {
	sequence int64  // of the last manifest
	head     string // its SHA-256
	parcels  map[string]*parcel
	recent   []delivered
}

// apply adds a line to the ledger.
func (l *ledger) apply(e entry) error {
	p := l.parcels[e.ID]
	switch e.Op {
	case opHead:
		l.sequence, l.head = e.Sequence, e.Head
		return nil
	case opSealed:
		m := e.parsed
		if m == nil {
			var err error
			if m, err = manifest.Parse([]byte(e.Manifest)); err != nil {
				return err
			}
		}
		p = &parcel{m, []byte(e.Manifest), nil, map[string]target.Receipt{}, map[string]string{}}
		if e.Sig != "" {
			p.sig = []byte(e.Sig)
		}
		l.parcels[e.ID] = p
		// Lines written anew come after a later head.
		if m.Sequence > l.sequence {
			l.sequence, l.head = m.Sequence, manifest.Hash(p.json)
		}
		return nil
	case opDone:
		delete(l.parcels, e.ID)
		l.recent = append(l.recent, delivered{e.ID, e.At, e.Receipts, e.Why})
		l.recent = l.recent[max(0, len(l.recent)-maxRecent):]
		return nil
	}
	switch {
	case p == nil:
		return fmt.Errorf("%s for %q, which was not sealed", e.Op, e.ID)
	case e.Op == opReceipt && e.Receipt != nil:
		p.receipts[e.Target] = *e.Receipt
	case e.Op == opRefused:
		p.refused[e.Target] = e.Why
	default:
		return fmt.Errorf("op %q is not known", e.Op)
	}
	return nil
}

// entries returns lines that add up to l.
func (l *ledger) entries() []entry {
	out := []entry{{Op: opHead, Sequence: l.sequence, Head: l.head}}
	for _, d := range l.recent {
		out = append(out, entry{Op: opDone, ID: d.ID, At: d.At, Receipts: d.Receipts, Why: d.Refused})
	}
	for id, p := range l.parcels {
		out = append(out, entry{Op: opSealed, ID: id, Manifest: string(p.json), Sig: string(p.sig)})
		for t, r := range p.receipts {
			out = append(out, entry{Op: opReceipt, ID: id, Target: t, Receipt: &r})
		}
		for t, why := range p.refused {
			out = append(out, entry{Op: opRefused, ID: id, Target: t, Why: why})
		}
	}
	return out
}

// readLedger adds up the lines of a journal and returns where the last whole
// line ends.
func readLedger(r io.Reader) (*ledger, int64, error) {
	l := &ledger{parcels: map[string]*parcel{}}
	in := bufio.NewReaderSize(r, 64<<10)
	var size int64
	for {
		line, err := in.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			return l, size, nil
		}
		if err != nil {
			return nil, 0, err
		}
		var e entry
		if err := json.Unmarshal(line, &e); err != nil {
			return nil, 0, fmt.Errorf("byte %d: %w", size, err)
		}
		if err := l.apply(e); err != nil {
			return nil, 0, fmt.Errorf("byte %d: %w", size, err)
		}
		size += int64(len(line))
	}
}

const journalName = "journal"

// journal is an open journal. Its methods may be called from any goroutine.
type journal struct {
	root *os.Root

	mu      sync.Mutex // the ledger, the file's end
	ledger  *ledger
	file    *os.File
	size    int64
	base    int64 // size after it was last written anew
	written int64 // lines
	broken  error

	syncing sync.Mutex // one fsync for all who wait
	synced  int64
}

// openJournal opens the journal of the state directory, or begins one.
func openJournal(root *os.Root) (*journal, error) {
	f, err := root.OpenFile(journalName, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open the journal: %w", err)
	}
	l, size, err := readLedger(f)
	if err == nil {
		err = f.Truncate(size)
	}
	if err == nil {
		_, err = f.Seek(size, io.SeekStart)
	}
	if err == nil {
		err = store.SyncDir(root, ".")
	}
	if err != nil {
		f.Close()
		return nil, hint.Add(
			fmt.Errorf("read the journal: %w", err),
			fmt.Sprintf("when its disk has damaged it, move %s away: the chain then begins anew, and castgate verify says so", f.Name()),
		)
	}
	return &journal{root: root, ledger: l, file: f, size: size, base: size}, nil
}

func (j *journal) close() error { return j.file.Close() }

// add makes a line durable and applies it.
func (j *journal) add(e entry) error {
	j.mu.Lock()
	n, err := j.append(e)
	j.mu.Unlock()
	if err != nil {
		return err
	}
	return j.sync(n)
}

// seal lets build make the next manifest of the chain, and makes it durable.
func (j *journal) seal(id string, build func(sequence int64, previous string) (m *manifest.Manifest, json, sig []byte, err error)) error {
	j.mu.Lock()
	m, text, sig, err := build(j.ledger.sequence+1, j.ledger.head)
	if err != nil {
		j.mu.Unlock()
		return err
	}
	n, err := j.append(entry{Op: opSealed, ID: id, Manifest: string(text), Sig: string(sig), parsed: m})
	j.mu.Unlock()
	if err != nil {
		return err
	}
	return j.sync(n)
}

// append writes a line and applies it. The caller holds mu.
func (j *journal) append(e entry) (int64, error) {
	if j.broken != nil {
		return 0, j.broken
	}
	line, err := json.Marshal(e)
	if err != nil {
		return 0, err
	}
	line = append(line, '\n')
	if _, err := j.file.WriteAt(line, j.size); err != nil {
		// Half a line must not be followed by another.
		if cut := j.file.Truncate(j.size); cut != nil {
			j.broken = fmt.Errorf("the journal can't be written: %w", cut)
		}
		return 0, fmt.Errorf("write the journal: %w", err)
	}
	j.size += int64(len(line))
	j.written++
	if err := j.ledger.apply(e); err != nil {
		return 0, err
	}
	return j.written, nil
}

// sync returns when line n is on disk.
func (j *journal) sync(n int64) error {
	j.syncing.Lock()
	defer j.syncing.Unlock()
	j.mu.Lock()
	done, broken, upto := j.synced >= n, j.broken, j.written
	j.mu.Unlock()
	if done || broken != nil {
		return broken
	}
	err := j.file.Sync()
	j.mu.Lock()
	defer j.mu.Unlock()
	if err != nil {
		// What the kernel dropped can't be known: only a fresh reading helps.
		j.broken = fmt.Errorf("sync the journal: %w", err)
		return j.broken
	}
	j.synced = upto
	return nil
}

// parcel returns a copy of what is known of a recording, or nil.
func (j *journal) parcel(id string) *parcel {
	j.mu.Lock()
	defer j.mu.Unlock()
	p := j.ledger.parcels[id]
	if p == nil {
		return nil
	}
	c := *p
	c.receipts, c.refused = map[string]target.Receipt{}, map[string]string{}
	for t, r := range p.receipts {
		c.receipts[t] = r
	}
	for t, why := range p.refused {
		c.refused[t] = why
	}
	return &c
}

// ids returns the recordings that are sealed and not done.
func (j *journal) ids() []string {
	j.mu.Lock()
	defer j.mu.Unlock()
	out := make([]string, 0, len(j.ledger.parcels))
	for id := range j.ledger.parcels {
		out = append(out, id)
	}
	return out
}

// compact writes the journal anew, when it has grown enough to be worth it.
func (j *journal) compact() error {
	j.syncing.Lock()
	defer j.syncing.Unlock()
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.broken != nil || j.size < j.base+compactAt {
		return j.broken
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	for _, e := range j.ledger.entries() {
		if err := enc.Encode(e); err != nil {
			return err
		}
	}
	err := store.Replace(j.root, journalName, 0o600, b.Bytes(), store.Lasting)
	var f *os.File
	if err == nil {
		f, err = j.root.OpenFile(journalName, os.O_RDWR, 0)
	}
	if err != nil {
		j.broken = err // which of the two files has the name may be unknown
		return fmt.Errorf("write the journal anew: %w", err)
	}
	j.file.Close()
	j.file, j.size, j.base, j.synced = f, int64(b.Len()), int64(b.Len()), j.written
	return nil
}
