// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"weir/internal/ipc"
	"weir/internal/master"
)

// zoneOrder is what the command zone is to do.
type zoneOrder struct {
	verb string // list, show, del or check
	name string // of the zone; "" for list
	key  string // of del
	top  string // of show: --top as given; "": the master's choice
}

// parseZone reads the words behind "zone".
func parseZone(words []string, top string) (zoneOrder, error) {
	if len(words) == 0 {
		return zoneOrder{}, errors.New("zone needs a word: list, show, del or check")
	}
	z := zoneOrder{verb: words[0], top: top}
	wanted, ok := map[string][]string{"list": nil, "show": {"NAME"}, "del": {"NAME", "KEY"}, "check": {"NAME"}}[z.verb]
	if !ok {
		return zoneOrder{}, fmt.Errorf("zone %s: must be list, show, del or check", z.verb)
	}
	words = words[1:]
	switch {
	case len(words) < len(wanted):
		return zoneOrder{}, fmt.Errorf("zone %s needs %s", z.verb, strings.Join(wanted[len(words):], " and "))
	case len(words) > len(wanted):
		return zoneOrder{}, fmt.Errorf("zone %s: unexpected argument %q", z.verb, words[len(wanted)])
	}
	for i, what := range []*string{&z.name, &z.key} {
		if i >= len(words) {
			break
		}
		if *what = words[i]; words[i] == "" {
			return zoneOrder{}, fmt.Errorf("zone %s: %s is empty", z.verb, wanted[i])
		}
	}
	if top == "" {
		return z, nil
	}
	if n, err := strconv.Atoi(top); z.verb != "show" || err != nil || n < 0 {
		return zoneOrder{}, errors.New("--top goes with zone show, and needs a number")
	}
	return z, nil
}

// runZone answers the command zone.
func runZone(c command, stdout, stderr io.Writer) int {
	socket, err := controlSocket(c)
	if err != nil {
		writeFaults(stderr, err)
		return 1
	}
	path := "/zones"
	if c.zone.name != "" {
		path += "/" + url.PathEscape(c.zone.name)
	}
	var text json.RawMessage
	show := func() error { return nil }
	sound := true
	switch c.zone.verb {
	case "list":
		var zones master.Zones
		text, err = askZone(socket, http.MethodGet, path, &zones)
		show = func() error { return writeZones(stdout, zones.Zones) }
	case "show":
		if c.zone.top != "" {
			path += "?top=" + c.zone.top
		}
		var details master.ZoneDetails
		text, err = askZone(socket, http.MethodGet, path, &details)
		show = func() error { return writeZone(stdout, &details) }
	case "del":
		var deleted master.ZoneDeleted
		text, err = askZone(socket, http.MethodDelete, path+"/"+url.PathEscape(c.zone.key), &deleted)
		show = func() error {
			_, err := fmt.Fprintf(stdout, "weir: zone %s: key %s cleared; it had %d connections\n", deleted.Zone, deleted.Key, deleted.Connections)
			return err
		}
	case "check":
		var result master.ZoneCheck
		text, err = askZone(socket, http.MethodPost, path+"/check", &result)
		sound = result.OK
		show = func() error { return writeZoneCheck(stdout, &result) }
	}
	if err == nil && c.json {
		_, err = fmt.Fprintf(stdout, "%s\n", strings.TrimSpace(string(text)))
	} else if err == nil && !c.quiet {
		err = show()
	}
	if err != nil {
		fmt.Fprintf(stderr, "weir: %v\n", err)
	}
	if err != nil || !sound {
		return 1
	}
	return 0
}

// askZone asks about zones; the answer is returned as it came, too. A refusal is an error.
func askZone(socket, method, path string, answer any) (text json.RawMessage, err error) {
	if err := ask(socket, method, path, &text); err != nil {
		return nil, err
	}
	var refusal master.Outcome
	if err := json.Unmarshal(text, &refusal); err == nil && refusal.Error != "" {
		return nil, errors.New(refusal.Error)
	}
	return text, json.Unmarshal(text, answer)
}

// writeZones writes a table of zones.
func writeZones(w io.Writer, zones []master.ZoneStatus) error {
	if len(zones) == 0 {
		_, err := fmt.Fprintln(w, "no zones")
		return err
	}
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "ZONE\tKIND\tSTATE\tSIZE\tUSED\tKEYS\tPASSED\tDELAYED\tREJECTED\tDRY RUN\tBYPASSED\tFULL\tKEY")
	for i := range zones {
		z := &zones[i]
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%.0f%%\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%s\n", z.Name, z.Kind, zoneState(z), sizeText(z.SizeBytes), z.UsedPercent,
			z.Keys, z.Passed, z.Delayed, z.Rejected, z.DryRun, z.Bypassed, z.Failures, z.Key)
	}
	err := table.Flush()
	for i := range zones {
		if zones[i].Busy != "" {
			_, busyErr := fmt.Fprintf(w, "busy: %s\n", zones[i].Busy)
			err = errors.Join(err, busyErr)
		}
	}
	return err
}

// zoneState is a zone's state in the table; damage comes before everything else.
func zoneState(z *master.ZoneStatus) string {
	if z.Busy != "" {
		return "busy"
	}
	if !z.Sound {
		return "damaged"
	}
	return z.State
}

// writeZone writes one zone with its top keys.
func writeZone(w io.Writer, z *master.ZoneDetails) error {
	m := z.Mutex
	fmt.Fprintf(w, "zone %s, %s, generation %d, %s\n", z.Name, z.Kind, z.Generation, zoneState(&z.ZoneStatus))
	fmt.Fprintf(w, "key        %s\n", z.Key)
	fmt.Fprintf(w, "size       %s: %d pages used, %d free\n", sizeText(z.SizeBytes), z.UsedPages, z.FreePages)
	for _, s := range z.Slots {
		fmt.Fprintf(w, "slots      of %d bytes: %d used, %d free in %d pages\n", s.SizeBytes, s.Used, s.Free, s.Pages)
	}
	if z.Kind == ipc.KindLimitReq {
		fmt.Fprintf(w, "keys       %d, and %d that had to leave before they were idle\n", z.Keys, z.Evicted)
		fmt.Fprintf(w, "requests   %d passed, %d delayed, %d rejected, %d in a dry run, %d without room\n", z.Passed, z.Delayed, z.Rejected, z.DryRun, z.Failures)
	} else {
		fmt.Fprintf(w, "keys       %d, and %d cleared whose connections have not ended\n", z.Keys, z.DeletedKeys)
		fmt.Fprintf(w, "requests   %d passed, %d rejected, %d in a dry run, %d bypassed, %d without room\n", z.Passed, z.Rejected, z.DryRun, z.Bypassed, z.Failures)
		if z.Waiting+int(z.Waited+z.Late+z.Left+z.Overflow) > 0 {
			fmt.Fprintf(w, "queue      %d waiting; %d had a place after waiting, %d waited too long, %d gave up, %d found it full\n", z.Waiting, z.Waited, z.Late, z.Left, z.Overflow)
		}
	}
	fmt.Fprintf(w, "lock       %s: taken %d times, %d contended, %d waits, held %s at most\n", m.Kind, m.Acquisitions, m.Contended, m.Waits,
		time.Duration(m.LongestHoldNs))
	fmt.Fprintf(w, "recovered  %d times from a dead owner, %d stores undone; %d faults, %d rebuilds, %d stale\n", m.Recoveries, m.RolledBack,
		z.Faults, z.Rebuilds, z.Stale)
	if len(z.Top) > 0 {
		fmt.Fprintln(w)
		if err := writeTop(w, z.Kind, z.Top); err != nil {
			return err
		}
	}
	for i := range z.Older {
		fmt.Fprintln(w)
		if err := writeZone(w, &z.Older[i]); err != nil {
			return err
		}
	}
	return nil
}

// writeTop writes the keys with the most connections, and in which workers these are; of limit_req, the keys that were used last.
func writeTop(w io.Writer, kind string, keys []master.ZoneKey) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	if kind == ipc.KindLimitReq {
		fmt.Fprintln(table, "KEY")
		for _, k := range keys {
			fmt.Fprintln(table, k.Key)
		}
		return table.Flush()
	}
	fmt.Fprintln(table, "KEY\tCONNECTIONS\tWORKERS")
	for _, k := range keys {
		var shares []string
		for _, s := range k.Shares {
			shares = append(shares, fmt.Sprintf("%d in slot %d (process %d)", s.Connections, s.Slot, s.PID))
		}
		fmt.Fprintf(table, "%s\t%d\t%s\n", k.Key, k.Connections, strings.Join(shares, ", "))
	}
	return table.Flush()
}

// writeZoneCheck writes what a check has found.
func writeZoneCheck(w io.Writer, z *master.ZoneCheck) error {
	took := time.Duration(z.TookMs) * time.Millisecond
	if z.OK {
		_, err := fmt.Fprintf(w, "weir: zone %s: sound, %d keys, after %s\n", z.Zone, z.Keys, took)
		return err
	}
	for _, fault := range z.Faults {
		fmt.Fprintf(w, "%s\n", fault)
	}
	outcome := "it could not be rebuilt: see the error log"
	if z.Rebuilt {
		outcome = fmt.Sprintf("it was rebuilt from what the live workers hold, and is sound: %d keys", z.Keys)
	}
	_, err := fmt.Fprintf(w, "weir: zone %s: faults; %s, after %s\n", z.Zone, outcome, took)
	return err
}

// sizeText is a size as it is written in a configuration.
func sizeText(bytes int64) string {
	for _, unit := range []struct {
		bytes int64
		name  string
	}{{1 << 30, "g"}, {1 << 20, "m"}, {1 << 10, "k"}} {
		if bytes >= unit.bytes && bytes%unit.bytes == 0 {
			return strconv.FormatInt(bytes/unit.bytes, 10) + unit.name
		}
	}
	return strconv.FormatInt(bytes, 10)
}
