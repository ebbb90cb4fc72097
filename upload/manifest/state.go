// SPDX-License-Identifier: AGPL-3.0-or-later

package manifest

// State is where a recording is on its way, and how it came there.
type State string

// The states of a recording. A list of an archive knows those from StateLive to
// StateSealed, the uploader's status also the others.
const (
	StateLive        State = "live"        // being written
	StateWaiting     State = "waiting"     // over, not delivered everywhere yet
	StateDelivered   State = "delivered"   // where it belongs, whole
	StateInterrupted State = "interrupted" // in the archive; its recorder, or the host, died
	StateSealed      State = "sealed"      // in the archive, for its recipients only

	StateOrphan  State = "orphan"  // its recorder died; the next run takes it
	StateBad     State = "bad"     // put aside
	StateRefused State = "refused" // by one target, for good
)

// Arriving says that the recording is in no archive yet.
func (s State) Arriving() bool { return s == StateLive || s == StateWaiting }

// Ended is the state of a recording of the archive that can be read.
func Ended(complete bool) State {
	if complete {
		return StateDelivered
	}
	return StateInterrupted
}

// State is the state of a recording of the archive.
func (m *Manifest) State() State {
	if m.Sealed() {
		return StateSealed
	}
	return Ended(m.Complete)
}
