// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package master

import (
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"go.uber.org/zap"

	"weir/conf"
	"weir/internal/logfile"
	"weir/internal/slots"
	"weir/internal/zonekey"
)

// loan is the zones in the hands of a goroutine of the control socket: taking their locks may take longer than the loop may wait.
type loan struct {
	status Status // without the zones
	keeper *keeper
	used   []*zone
	own    []zoneView   // of the serving generation
	others []zoneView   // of others
	pids   map[int]int  // by slot: the workers
	config *conf.Config // that serves; nil: none yet
}

// borrow has the loop lend its zones; nil when the asker has been refused, or has gone. The borrower gives them back.
func (m *master) borrow(w http.ResponseWriter, r *http.Request) *loan {
	lent := make(chan *loan, 1)
	select {
	case m.inspect <- func() { lent <- m.lend() }:
	case <-m.left:
		refuse(w, http.StatusServiceUnavailable, errLeaving.Error())
		return nil
	case <-r.Context().Done():
		return nil
	}
	l := <-lent
	if l == nil {
		refuse(w, http.StatusServiceUnavailable, errLeaving.Error())
	}
	return l
}

// lend is the loop's side of borrow; nil when the zones are about to be closed.
func (m *master) lend() *loan {
	if m.keeper == nil || m.keeper.stopping {
		return nil
	}
	m.keeper.work.Add(1)
	l := &loan{keeper: m.keeper, status: m.status(), used: m.zones.use(), pids: make(map[int]int)}
	l.own, l.others = m.zoneViews(l.used)
	if m.current != nil {
		l.config = m.current.config
	}
	for _, s := range m.table.All() { // those of another master too
		if m.table.Alive(s.Index) && s.State != slots.Claimed {
			l.pids[s.Index] = s.PID
		}
	}
	return l
}

func (l *loan) giveBack() {
	l.keeper.zones.done(l.used)
	l.keeper.work.Done()
}

// all lists every zone, those of the serving generation first. Of one whose lock is not to be had it says that, and what is known without the lock.
func (l *loan) all() []ZoneStatus {
	list := []ZoneStatus{}
	deadline := time.Now().Add(lockPatience)
	for _, views := range [][]zoneView{l.own, l.others} {
		for i := range views {
			v := &views[i]
			s, err := v.statusBy(deadline)
			if err != nil {
				list = append(list, ZoneStatus{Name: v.options.name, Kind: v.options.kind, State: v.state.String(), Generation: v.generation,
					Key: v.options.key, SizeBytes: v.SizeBytes(), Sound: true, Busy: err.Error()})
				continue
			}
			list = append(list, v.describe(&s))
		}
	}
	return list
}

// How long the answer to a question about zones waits for their locks, and how often it tries. A worker that was stopped while it held one keeps it
// until it goes on or is killed, and that is when somebody asks.
const (
	lockPatience = time.Second
	lockInterval = time.Millisecond
)

// statusBy is the zone's status, when its lock is to be had in time. The error says who has it.
func (z *zone) statusBy(deadline time.Time) (zoneNumbers, error) {
	var s zoneNumbers
	if tryUntil(deadline, func() (ok bool) { s, ok = z.numbers(true); return ok }) {
		return s, nil
	}
	who := "by a process"
	if holder := z.Mutex().Holder(); holder != 0 {
		who = fmt.Sprintf("by process %d", holder)
	}
	return zoneNumbers{}, fmt.Errorf("zone %q: its lock is held %s and was not to be had within %s: if that process is stopped (SIGSTOP), let it go on or kill it",
		z.options.name, who, lockPatience)
}

// tryUntil tries until it succeeds, or the time is up.
func tryUntil(deadline time.Time, try func() bool) bool {
	for !try() {
		if time.Now().After(deadline) {
			return false
		}
		time.Sleep(lockInterval)
	}
	return true
}

// find returns the zone of a name that the serving generation has, or else any of that name; and the others of that name.
func (l *loan) find(name string) (found *zoneView, others []zoneView) {
	for _, views := range [][]zoneView{l.own, l.others} {
		for i := range views {
			switch {
			case views[i].options.name != name:
			case found == nil:
				found = &views[i]
			default:
				others = append(others, views[i])
			}
		}
	}
	return found, others
}

// Zones is the answer to GET /zones.
type Zones struct {
	Zones []ZoneStatus `json:"zones"`
}

// zonePaths says which paths serveZones knows.
const zonePaths = "GET /zones, GET /zones/NAME?top=20, DELETE /zones/NAME/KEY, POST /zones/NAME/check"

// serveZones answers what is asked about zones. Keys and names come in the path, percent-encoded, with what they contain of slashes.
func (m *master) serveZones(w http.ResponseWriter, r *http.Request) {
	var words []string
	for word := range strings.SplitSeq(strings.Trim(strings.TrimPrefix(r.URL.EscapedPath(), "/zones"), "/"), "/") {
		plain, err := url.PathUnescape(word)
		if err != nil {
			refuse(w, http.StatusBadRequest, err.Error())
			return
		}
		words = append(words, plain)
	}
	isCheck := len(words) == 2 && words[1] == "check" && r.Method == http.MethodPost
	switch {
	case len(words) > 2:
		refuse(w, http.StatusNotFound, fmt.Sprintf("no such path %q; there are %s", r.URL.Path, zonePaths))
		return
	case len(words) == 2 && !isCheck:
		if !allow(w, r, http.MethodDelete) {
			return
		}
	case !isCheck && !allow(w, r, http.MethodGet):
		return
	}
	l := m.borrow(w, r)
	if l == nil {
		return
	}
	defer l.giveBack()
	if words[0] == "" {
		reply(w, http.StatusOK, Zones{l.all()})
		return
	}
	z, others := l.find(words[0])
	if err := available(z, others); err != nil {
		refuse(w, http.StatusServiceUnavailable, err.Error())
		return
	}
	switch {
	case z == nil:
		refuse(w, http.StatusNotFound, fmt.Sprintf("no zone %q", words[0]))
	case isCheck:
		reply(w, http.StatusOK, l.keeper.check(z.zone))
	case len(words) == 2:
		l.serveDelete(w, r, z, others, words[1])
	default:
		l.serveZone(w, r, z, others)
	}
}

// available says why the zones cannot be worked on: the lock of one is kept.
func available(z *zoneView, others []zoneView) error {
	deadline := time.Now().Add(lockPatience)
	for i := range others {
		if _, err := others[i].statusBy(deadline); err != nil {
			return err
		}
	}
	if z == nil {
		return nil
	}
	_, err := z.statusBy(deadline)
	return err
}

// How many keys GET /zones/NAME lists, unless the query says otherwise, and at most.
const (
	topDefault = 20
	topMax     = 10000
)

// serveZone answers with a zone and its top keys.
func (l *loan) serveZone(w http.ResponseWriter, r *http.Request, z *zoneView, others []zoneView) {
	top := topDefault
	if text := r.URL.Query().Get("top"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 0 || n > topMax {
			refuse(w, http.StatusBadRequest, fmt.Sprintf("top=%s: must be a number from 0 to %d", text, topMax))
			return
		}
		top = n
	}
	details, err := z.details(top, l.pids)
	for i := range others {
		older, olderErr := others[i].details(top, l.pids)
		details.Older = append(details.Older, older)
		if err == nil {
			err = olderErr
		}
	}
	if err != nil {
		wake(l.keeper.looks)
		refuse(w, http.StatusInternalServerError, err.Error())
		return
	}
	reply(w, http.StatusOK, details)
}

// ZoneDeleted is the answer to DELETE /zones/NAME/KEY.
type ZoneDeleted struct {
	OK          bool   `json:"ok"`
	Zone        string `json:"zone"`
	Key         string `json:"key"`
	Connections int    `json:"connections"` // that it had
}

// serveDelete clears a key, in the zones of older generations too. There it stands with the connections of all generations, so the
// largest number is the number.
func (l *loan) serveDelete(w http.ResponseWriter, r *http.Request, z *zoneView, others []zoneView, text string) {
	template := z.options.key
	key, err := zonekey.Parse(template, text)
	if err != nil || len(key) == 0 {
		refuse(w, http.StatusBadRequest, fmt.Sprintf("key %s: must be an address, a quoted string, or plain text", text))
		return
	}
	deleted := ZoneDeleted{OK: true, Zone: z.options.name, Key: zonekey.Text(template, key)}
	anywhere := false
	for _, v := range append([]zoneView{*z}, others...) {
		if v.options.key != template {
			continue
		}
		n, found, err := v.clear(key)
		if err != nil {
			wake(l.keeper.looks)
			refuse(w, http.StatusInternalServerError, err.Error())
			return
		}
		anywhere = anywhere || found
		deleted.Connections = max(deleted.Connections, n)
	}
	if !anywhere {
		refuse(w, http.StatusNotFound, fmt.Sprintf("zone %q: no key %s", deleted.Zone, deleted.Key))
		return
	}
	peer, _ := r.Context().Value(peerKey{}).(int)
	l.keeper.log(logfile.LevelNotice, fmt.Sprintf("zone %q: a key is cleared by order", deleted.Zone),
		zap.String("key", deleted.Key), zap.Int("connections", deleted.Connections), zap.Int("uid", peer))
	reply(w, http.StatusOK, deleted)
}
