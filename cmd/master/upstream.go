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
	"slices"
	"strings"
	"text/tabwriter"

	"weir/internal/master"
	"weir/internal/sight"
)

// upstreamOrder is what the command upstream is to do.
type upstreamOrder struct {
	verb  string // list, up, drain or down
	group string // "": all, of list
	peer  string // of the others
}

// parseUpstream reads the words behind "upstream".
func parseUpstream(words []string) (upstreamOrder, error) {
	verbs := []string{"list", "drain", "up", "down"}
	switch {
	case len(words) == 0:
		return upstreamOrder{}, errors.New("upstream needs a word: list, drain, up or down")
	case !slices.Contains(verbs, words[0]):
		return upstreamOrder{}, fmt.Errorf("upstream %s: must be list, drain, up or down", words[0])
	}
	u, most := upstreamOrder{verb: words[0]}, 3
	if u.verb == "list" {
		most = 2
	}
	switch {
	case u.verb != "list" && len(words) < most:
		return upstreamOrder{}, fmt.Errorf("upstream %s needs %s", u.verb, strings.Join([]string{"GROUP", "PEER"}[len(words)-1:], " and "))
	case len(words) > most:
		return upstreamOrder{}, fmt.Errorf("upstream %s: unexpected argument %q", u.verb, words[most])
	case slices.Contains(words, ""):
		return upstreamOrder{}, fmt.Errorf("upstream %s: an argument is empty", u.verb)
	}
	words = append(words, "", "")
	u.group, u.peer = words[1], words[2]
	return u, nil
}

// runUpstream answers the command upstream.
func runUpstream(c command, stdout, stderr io.Writer) int {
	socket, err := controlSocket(c)
	if err != nil {
		writeFaults(stderr, err)
		return 1
	}
	path := "/upstreams"
	if c.upstream.group != "" {
		path += "/" + url.PathEscape(c.upstream.group)
	}
	var text json.RawMessage
	var show func() error
	if c.upstream.verb == "list" {
		var list master.Upstreams
		text, err = askZone(socket, http.MethodGet, path, &list)
		show = func() error { return writeUpstreams(stdout, list.Upstreams) }
	} else {
		var done master.PeerOrdered
		text, err = askZone(socket, http.MethodPost, path+"/"+url.PathEscape(c.upstream.peer)+"?state="+c.upstream.verb, &done)
		show = func() error {
			_, err := fmt.Fprintf(stdout, "weir: upstream %s: %s is %s, and was %s; it has %d requests in progress\n", done.Upstream, done.Peer, done.State, done.Before, done.Active)
			if done.Warning != "" {
				fmt.Fprintf(stderr, "weir: warning: %s\n", done.Warning)
			}
			return err
		}
	}
	if err == nil && c.json {
		_, err = fmt.Fprintf(stdout, "%s\n", strings.TrimSpace(string(text)))
	} else if err == nil && !c.quiet {
		err = show()
	}
	if err != nil {
		fmt.Fprintf(stderr, "weir: %v\n", err)
		return 1
	}
	return 0
}

// writeUpstreams writes a table of origins.
func writeUpstreams(w io.Writer, list []sight.Upstream) error {
	if len(list) == 0 {
		_, err := fmt.Fprintln(w, "no upstreams")
		return err
	}
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "UPSTREAM\tPEER\tSTATE\tORDERED\tHEALTH\tWEIGHT\tIN WORK\tREQUESTS\tFAILS\tMETHOD")
	for _, u := range list {
		for _, p := range u.Peers {
			weight := fmt.Sprint(p.Weight)
			if p.Backup {
				weight += " backup"
			}
			fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\t%d\t%d\t%d\t%s\n", u.Name, p.Address, p.State, or(p.Admin, "-"), or(p.Health, "-"), weight, p.Active, p.Requests, p.Fails, u.Method)
		}
	}
	return table.Flush()
}

func or(text, otherwise string) string {
	if text == "" {
		return otherwise
	}
	return text
}

// statusUpstreamsMax is how many groups the status shows, as those who look at it are to see the rest of it too.
const statusUpstreamsMax = 32

// writeUpstreamStates writes how many origins of each group are in which state.
func writeUpstreamStates(w io.Writer, list []sight.Upstream) {
	if len(list) == 0 {
		return
	}
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "\nUPSTREAM\tMETHOD\tORIGINS\tIN WORK\tREQUESTS")
	for _, u := range list[:min(len(list), statusUpstreamsMax)] {
		active, requests := 0, uint64(0)
		count := map[string]int{}
		for _, p := range u.Peers {
			active += p.Active
			requests += p.Requests
			count[p.State]++
		}
		var states []string
		for _, s := range sight.PeerStates() {
			if count[s] > 0 {
				states = append(states, fmt.Sprintf("%d %s", count[s], s))
			}
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%d\t%d\n", u.Name, u.Method, or(strings.Join(states, ", "), "none"), active, requests)
	}
	table.Flush()
	if more := len(list) - statusUpstreamsMax; more > 0 {
		fmt.Fprintf(w, "and %d more: weir upstream list\n", more)
	}
}
