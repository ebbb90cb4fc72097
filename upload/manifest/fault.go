// SPDX-License-Identifier: AGPL-3.0-or-later

package manifest

import "fmt"

// Kinds of fault.
const (
	FaultUnreadable = "unreadable" // can't be read, or is no manifest
	FaultMisfiled   = "misfiled"   // the manifest is another recording's
	FaultUnsigned   = "unsigned"   // there is no signature
	FaultForged     = "forged"     // the signature is not of these bytes, or not by the host
	FaultMissing    = "missing"    // the manifest's recording is not there
	FaultChanged    = "changed"    // the recording has other bytes than the manifest says
	FaultSwapped    = "swapped"    // it has those of another recording
	FaultUntrue     = "untrue"     // it is the one meant, but not what the manifest says of it
	FaultClaimed    = "claimed"    // another recording has the same id
	FaultStray      = "stray"      // a recording or signature without a manifest
	FaultHole       = "hole"       // recordings between two others are gone
	FaultReplaced   = "replaced"   // the manifest is not the one its successor was made after
	FaultGone       = "gone"       // the last one known of a host is not there
	FaultFork       = "fork"       // two manifests claim the same predecessor
	FaultRestart    = "restart"    // a host's chain begins a second time
)

// Fault is one thing that is wrong with an archive.
type Fault struct {
	Kind string `json:"kind"`
	Path string `json:"path"`           // of the object at fault, in the archive
	ID   string `json:"id,omitempty"`   // of the recording
	Host string `json:"host,omitempty"` // whose chain is broken
	Text string `json:"text"`
}

func (f Fault) String() string { return fmt.Sprintf("%s: %s: %s", f.Path, f.Kind, f.Text) }
