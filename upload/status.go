// SPDX-License-Identifier: AGPL-3.0-or-later

package upload

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"castgate/upload/manifest"
	"castgate/wrap/spool"
)

// Status is what `castgate-upload status` shows.
type Status struct {
	Recordings []RecordingStatus      `json:"recordings"`
	Counts     map[manifest.State]int `json:"counts"` // by state; delivered ones only while they are remembered
	Oldest     *time.Time             `json:"oldest_waiting,omitempty"`
	Late       bool                   `json:"late"` // something waits longer than alert_after
}

// RecordingStatus is one recording.
type RecordingStatus struct {
	ID      string         `json:"id"`
	State   manifest.State `json:"state"`
	Account string         `json:"account,omitempty"`
	Since   time.Time      `json:"since"` // of its last byte; of its delivery
	Bytes   int64          `json:"bytes,omitempty"`
	Why     string         `json:"why,omitempty"` // it is bad, or can't be taken from the spool
	Targets []TargetStatus `json:"targets,omitempty"`
}

// TargetStatus is how far a recording is with one target.
type TargetStatus struct {
	Target string         `json:"target"`
	State  manifest.State `json:"state"` // delivered, waiting, refused
	Where  string         `json:"where,omitempty"`
	Why    string         `json:"why,omitempty"`
	Tries  int            `json:"tries,omitempty"`
	Until  *time.Time     `json:"until,omitempty"` // not tried again before
}

// ReadStatus looks at the spool and the uploader's notes. It changes nothing
// and needs no lock: an uploader may be at work.
func ReadStatus(c Config, now time.Time) (*Status, error) {
	dir, err := spool.Open(c.Spool)
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	r := statusReader{c: c, dir: dir, out: &Status{Recordings: []RecordingStatus{}, Counts: map[manifest.State]int{}}}
	if r.ledger, r.failing, err = readNotes(c.State); err != nil {
		return nil, err
	}
	for _, read := range []func() error{r.live, r.waiting, r.bad} {
		if err := read(); err != nil {
			return nil, err
		}
	}
	r.delivered()
	r.sum(now)
	return r.out, nil
}

// readNotes reads the journal and the failures. Without a state directory
// nothing was ever done.
func readNotes(state string) (*ledger, failures, error) {
	root, err := os.OpenRoot(state)
	if errors.Is(err, fs.ErrNotExist) {
		return &ledger{}, failures{}, nil
	}
	if err != nil {
		return nil, failures{}, fmt.Errorf("open the state directory: %w", err)
	}
	defer root.Close()
	fail, err := readFailures(root)
	if err != nil {
		return nil, failures{}, err
	}
	f, err := root.Open(journalName)
	if errors.Is(err, fs.ErrNotExist) {
		return &ledger{}, fail, nil
	}
	if err != nil {
		return nil, failures{}, fmt.Errorf("open the journal: %w", err)
	}
	defer f.Close()
	l, _, err := readLedger(f)
	if err != nil {
		return nil, failures{}, fmt.Errorf("read the journal: %w", err)
	}
	return l, fail, nil
}

type statusReader struct {
	c       Config
	dir     *spool.Dir
	ledger  *ledger
	failing failures
	out     *Status
}

func (r *statusReader) add(s RecordingStatus) { r.out.Recordings = append(r.out.Recordings, s) }

func (r *statusReader) live() error {
	return r.dir.Names(spoolLive, func(id string) error {
		info, err := r.dir.Stat(spoolLive, id)
		if err != nil {
			return nil // it has just ended
		}
		state := manifest.StateLive
		if alive, err := r.dir.Alive(id); err == nil && !alive {
			state = manifest.StateOrphan
		}
		r.add(RecordingStatus{ID: id, State: state, Since: info.ModTime(), Bytes: info.Size()})
		return nil
	}, nil)
}

func (r *statusReader) waiting() error {
	return r.dir.Names(spoolIncoming, func(id string) error {
		info, err := r.dir.Stat(spoolIncoming, id)
		if err != nil {
			return nil // it has just been delivered
		}
		s := RecordingStatus{ID: id, State: manifest.StateWaiting, Since: info.ModTime(), Bytes: info.Size()}
		p := r.ledger.parcels[id]
		if p != nil {
			s.Account = p.manifest.Session.User
		}
		if f, ok := r.failing.of(id, packing); ok {
			s.Why = f.Why
		}
		s.Targets = r.targets(id, p)
		r.add(s)
		return nil
	}, nil)
}

func (r *statusReader) targets(id string, p *parcel) []TargetStatus {
	var out []TargetStatus
	for _, name := range r.c.targetNames() {
		t := TargetStatus{Target: name, State: manifest.StateWaiting}
		if f, ok := r.failing.of(id, name); ok {
			t.Why, t.Tries, t.Until = f.Why, f.Tries, &f.Until
		}
		if p != nil {
			if receipt, ok := p.receipts[name]; ok {
				t = TargetStatus{Target: name, State: manifest.StateDelivered, Where: receipt.Where}
			} else if why, ok := p.refused[name]; ok {
				t = TargetStatus{Target: name, State: manifest.StateRefused, Why: why}
			}
		}
		out = append(out, t)
	}
	return out
}

func (r *statusReader) bad() error {
	return r.dir.Names(spoolBad, func(id string) error {
		info, err := r.dir.Stat(spoolBad, id)
		if err != nil {
			return nil
		}
		why, _ := r.dir.Reason(id + spool.Suffix)
		r.add(RecordingStatus{ID: id, State: manifest.StateBad, Since: info.ModTime(), Bytes: info.Size(), Why: why})
		return nil
	}, nil)
}

func (r *statusReader) delivered() {
	for _, d := range r.ledger.recent {
		if d.Refused != "" {
			continue // it is in bad/
		}
		s := RecordingStatus{ID: d.ID, State: manifest.StateDelivered, Since: d.At}
		for name, receipt := range d.Receipts {
			s.Targets = append(s.Targets, TargetStatus{Target: name, State: manifest.StateDelivered, Where: receipt.Where})
		}
		slices.SortFunc(s.Targets, func(a, b TargetStatus) int { return strings.Compare(a.Target, b.Target) })
		r.add(s)
	}
}

// sum counts, sorts (ids are times) and looks for what is late.
func (r *statusReader) sum(now time.Time) {
	slices.SortFunc(r.out.Recordings, func(a, b RecordingStatus) int { return strings.Compare(a.ID, b.ID) })
	for _, s := range r.out.Recordings {
		r.out.Counts[s.State]++
		if s.State != manifest.StateWaiting && s.State != manifest.StateOrphan {
			continue
		}
		if r.out.Oldest == nil || s.Since.Before(*r.out.Oldest) {
			r.out.Oldest = &s.Since
		}
	}
	r.out.Late = r.out.Oldest != nil && now.Sub(*r.out.Oldest) > r.c.AlertAfter
}

// WriteJSON writes the status for programs.
func (s *Status) WriteJSON(w io.Writer) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	return enc.Encode(s)
}

// WriteText writes the status for people: one line for each recording and
// target. What comes from a recording is quoted where it could do harm.
func (s *Status) WriteText(w io.Writer, now time.Time) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "RECORDING\tSTATE\tSINCE\tBYTES\tTARGET\tWHAT")
	for _, r := range s.Recordings {
		line := fmt.Sprintf("%s\t%s\t%s\t%d", r.ID, r.State, ago(now, r.Since), r.Bytes)
		if len(r.Targets) == 0 || r.Why != "" {
			fmt.Fprintf(t, "%s\t-\t%s\n", line, oneLine(r.Why))
		}
		for _, target := range r.Targets {
			fmt.Fprintf(t, "%s\t%s\t%s\n", line, target.Target, target.what(now))
		}
	}
	if err := t.Flush(); err != nil {
		return err
	}
	c := s.Counts
	_, err := fmt.Fprintf(w, "%d live, %d waiting, %d orphaned, %d put aside\n", c[manifest.StateLive], c[manifest.StateWaiting], c[manifest.StateOrphan], c[manifest.StateBad])
	return err
}

func (t TargetStatus) what(now time.Time) string {
	switch {
	case t.Where != "":
		return string(t.State) + ": " + oneLine(t.Where)
	case t.Until != nil:
		return fmt.Sprintf("%s: try %d in %v: %s", t.State, t.Tries+1, max(0, t.Until.Sub(now).Round(time.Second)), oneLine(t.Why))
	case t.Why != "":
		return string(t.State) + ": " + oneLine(t.Why)
	}
	return string(t.State)
}

func oneLine(s string) string {
	q := fmt.Sprintf("%q", strings.TrimSpace(s))
	return strings.ReplaceAll(q[1:len(q)-1], `\"`, `"`)
}

func ago(now, t time.Time) string {
	d := now.Sub(t)
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%ds", max(0, int(d.Seconds())))
	case d < time.Hour:
		return fmt.Sprintf("%dm", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%dh", int(d.Hours()))
	}
	return fmt.Sprintf("%dd", int(d.Hours()/24))
}
