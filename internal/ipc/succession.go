// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package ipc

import "fmt"

// UpgradeEnv is the environment variable that tells a new master that a manifest lies at ManifestFD. Its value is SuccessionFormat.
const UpgradeEnv = "WEIR_UPGRADE"

// SuccessionFormat is the version of what masters say to each other: the manifest with a Succession, and the messages below. A new master refuses another one. Fields
// may be added under the same number when those who do not know them can do without.
const SuccessionFormat = 1

// ProbeAnswer is how a worker's answer to what comes in on Manifest.Probe begins.
const ProbeAnswer = "weir-worker "

// Messages between two masters. The new one says Ready (Build, Generation, Workers) when its workers serve and one of them has answered it, or Failed; the old one
// decides, and says TakeOver; the new one takes the pid file and the control socket and says Serving, with the Listeners it has, and again when they have changed.
const (
	TakeOver  Kind = "take-over" // from the old master: you are the one now
	Serving   Kind = "serving"   // from the new master: I have taken over; Listeners are its addresses
	HandedOn  Kind = "handed-on" // from the new master: a newer one serves in my place, at Listeners; my end is not the end of the service
	Withdrawn Kind = "withdrawn" // from the new master: none of my workers takes connections from yours, until I say Serving again
	Reload    Kind = "reload"    // from the old master: somebody has asked me to reload; answer Reloaded with the same Serial
	Reloaded  Kind = "reloaded"  // from the new master: Text says what failed, TookMs how long it took
	Retiring  Kind = "retiring"  // from the old master: my workers drain, and I leave after them; TakeOver may have said so already
)

// Succession is the part of a Manifest that only a new master gets: what the old one has beyond what workers need.
type Succession struct {
	Format int `json:"format"`

	Control     int    `json:"control,omitempty"` // the control socket, listening; 0: there is none
	ControlPath string `json:"control_path,omitempty"`
	PidPath     string `json:"pid_path,omitempty"` // the old master's pid file; "": none

	Generations []Forebear `json:"generations"` // all that live, the oldest first; the last one serves, or served last

	// ResetZones lets the new master make zones of its own in place of those whose layout it does not know; their counts start at 0.
	ResetZones bool `json:"reset_zones,omitempty"`
}

// Forebear is a generation of an older master, as far as zones are concerned.
type Forebear struct {
	Number int   `json:"number"`
	Zones  []int `json:"zones"` // the serials, in Manifest.Zones, of those that it has as its own
	Older  []int `json:"older"` // and of those in which it counts besides
}

// Check returns the first fault.
func (s *Succession) Check() error {
	if s.Format != SuccessionFormat {
		return fmt.Errorf("the running weir hands itself over in format %d, this one knows format %d: it takes a restart (weir -s quit, and start the new one)",
			s.Format, SuccessionFormat)
	}
	if len(s.Generations) == 0 {
		return fmt.Errorf("manifest: no generation")
	}
	return nil
}
