// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"
	"text/tabwriter"
	"time"

	"weir/conf"
	"weir/internal/master"
)

// runSignal answers -s: it gives the running weir an order, waits for the outcome and prints it. Where nobody listens on a control
// socket the order is a signal.
func runSignal(c command, stdout, stderr io.Writer) int {
	at, err := findEndpoint(c)
	if err != nil {
		writeFaults(stderr, err)
		return 1
	}
	var outcome master.Outcome
	if at.control == "" {
		err = fmt.Errorf("%w: control is empty", errNobody)
	} else {
		err = give(at.control, orderPath(c), patience, &outcome)
	}
	if errors.Is(err, errNobody) {
		if err = signalByPid(c, at, err, stdout); err == nil {
			return 0
		}
	}
	if err == nil && !outcome.OK {
		err = fmt.Errorf("%s failed: %s", c.signal, outcome.Error)
	}
	if err != nil {
		writeFaults(stderr, err)
		return 1
	}
	if !c.quiet {
		fmt.Fprintln(stdout, outcomeText(c.signal, outcome))
	}
	return 0
}

// orderPath is what to post for -s.
func orderPath(c command) string {
	if c.reset {
		return "/" + c.signal + "?reset_zones=true"
	}
	return "/" + c.signal
}

// outcomeText says what an order has led to.
func outcomeText(signal string, o master.Outcome) string {
	took := time.Duration(o.TookMs) * time.Millisecond
	switch signal {
	case "reload":
		return fmt.Sprintf("weir: reloaded: generation %d with %d workers serves, after %s", o.Generation, o.Workers, took)
	case "upgrade":
		return fmt.Sprintf("weir: upgraded: process %d serves, generation %d with %d workers, after %s", o.Master, o.Generation, o.Workers, took)
	case "reopen":
		return fmt.Sprintf("weir: log files reopened by all workers, after %s", took)
	case "drain":
		return fmt.Sprintf("weir: workers of generation %d have drained, after %s; weir -s reload starts new ones", o.Generation, took)
	}
	return fmt.Sprintf("weir: stopped, after %s", took)
}

// runStatus answers the command status.
func runStatus(c command, stdout, stderr io.Writer) int {
	socket, err := controlSocket(c)
	if err != nil {
		writeFaults(stderr, err)
		return 1
	}
	var text json.RawMessage
	var status master.Status
	err = ask(socket, http.MethodGet, "/status", &text)
	if err == nil {
		err = json.Unmarshal(text, &status)
	}
	if err != nil {
		fmt.Fprintf(stderr, "weir: %v\n", err)
		return 1
	}
	if c.json {
		fmt.Fprintf(stdout, "%s\n", strings.TrimSpace(string(text)))
		return 0
	}
	writeStatus(stdout, status)
	return 0
}

// writeStatus writes a status for people.
func writeStatus(w io.Writer, s master.Status) {
	age := func(ms int64) string { return (time.Duration(ms) * time.Millisecond).Truncate(time.Second).String() }
	n := s.Connections
	fmt.Fprintf(w, "weir %s, process %d, %s for %s\n", s.Version, s.PID, s.State, age(s.UptimeMs))
	fmt.Fprintf(w, "config       %s, generation %d\n", s.Config, s.Generation)
	fmt.Fprintf(w, "connections  %d active: %d reading, %d writing, %d waiting\n", n.Active, n.Reading, n.Writing, n.Waiting)
	fmt.Fprintf(w, "since start  %d accepted, %d handled, %d requests\n", n.Accepted, n.Handled, n.Requests)
	if t := s.Temp; t != nil {
		fmt.Fprintf(w, "temp files   %s of %s, at most %s so far, refused %d times\n",
			sizeText(t.UsedBytes), sizeText(t.LimitBytes), sizeText(t.PeakBytes), t.Refused+t.Denied)
	}
	fmt.Fprintln(w)
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "GENERATION\tSTATE\tMASTER\tWORKERS\tAGE\tMEMORY\tCONNECTIONS")
	for _, g := range s.Generations {
		fmt.Fprintf(table, "%d\t%s\t%d\t%d\t%s\t%s\t%d\n", g.Number, g.State, g.Master, g.Workers, age(g.AgeMs), memoryText(g.MemoryBytes), g.Active)
	}
	table.Flush()
	writeHeld(w, s.Generations)
	fmt.Fprintln(w)
	fmt.Fprintln(table, "WORKER\tGENERATION\tSLOT\tSTATE\tAGE\tMEMORY\tRESTARTS\tCONNECTIONS\tREQUESTS")
	for _, p := range s.Workers {
		fmt.Fprintf(table, "%d\t%d\t%d\t%s\t%s\t%s\t%d\t%d\t%d\n",
			p.PID, p.Generation, p.Slot, p.State, age(p.AgeMs), memoryText(p.MemoryBytes), p.Restarts, p.Active, p.Requests)
	}
	table.Flush()
	writeUpstreamStates(w, s.Upstreams)
	writePools(w, s.Workers)
	switch {
	case s.ZonesBusy:
		fmt.Fprintln(w, "\nzones: the lock of one is not to be had; is the worker that has it stopped?")
	case len(s.Zones) > 0:
		fmt.Fprintln(w)
		writeZones(w, s.Zones)
	}
}

// writeHeld writes what still holds generations that drain.
func writeHeld(w io.Writer, generations []master.GenerationStatus) {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, g := range generations {
		for i, h := range g.Held {
			if i == 0 {
				fmt.Fprintf(table, "\nGENERATION %d IS HELD BY\tSERVER\tLOCATION\tCOUNT\tOLDEST\n", g.Number)
			}
			fmt.Fprintf(table, "%s\t%s\t%s\t%d\t%s\n", h.What, h.Server, h.Location, h.Count, (time.Duration(h.OldestMs) * time.Millisecond).Truncate(time.Second))
		}
	}
	table.Flush()
}

// memoryText is a size for people.
func memoryText(bytes int64) string { return fmt.Sprintf("%.1fM", float64(bytes)/(1<<20)) }

// endpoint is where the weir is found that was started with the same options.
type endpoint struct {
	control string // its control socket; "": none
	pid     string // its pid file; "": none
	faults  error  // of the config: weir may be running with an older one
}

// findEndpoint reads the config for where weir is found.
func findEndpoint(c command) (endpoint, error) {
	c.lenient = true // what is wrong with an nginx.conf is for the one who is told to reload
	src, err := c.source()
	if err != nil && !c.converts() {
		return endpoint{}, err
	}
	unread := err
	if err != nil { // where it is without pid and control
		if src = (conf.Source{Name: c.config, Prefix: c.prefix}); c.directives() == "" {
			src.Overrides = c.overrides
		}
	}
	config, _, err := conf.Load(src)
	if err != nil {
		// A reload with a faulty file must reach weir, which has the old config and answers with the faults.
		if config = endpointOnly(src); config == nil {
			return endpoint{}, err
		}
	}
	if unread != nil {
		err = unread
	}
	return endpoint{config.Control, config.Pid, err}, nil
}

// controlSocket finds the control socket, for questions that only it answers.
func controlSocket(c command) (string, error) {
	at, err := findEndpoint(c)
	if err == nil && at.control == "" {
		err = errors.New("control is empty: this weir takes signals only (weir -s reload ...)")
	}
	return at.control, err
}

// patience is how long a master that is well may take to answer a question.
const patience = 10 * time.Second

// errSilent: whoever listens on the control socket does not answer.
var errSilent = errors.New("weir does not answer; is its master process stopped?")

// ask sends one request over the control socket and reads the JSON of its answer, for which it waits as long as a question may take.
func ask(socket, method, path string, answer any) error {
	return askFor(context.Background(), patience, socket, method, path, answer)
}

// give gives an order and waits for its outcome, which may take as long as the slowest client. Meanwhile it asks again and again how the master is: one that does not
// answer that either is not waited for. It may still obey.
func give(socket, path string, patience time.Duration, outcome *master.Outcome) error {
	ctx, cancel := context.WithCancelCause(context.Background())
	defer cancel(nil)
	go func() {
		for {
			select {
			case <-ctx.Done():
				return
			case <-time.After(patience / 10):
			}
			var status json.RawMessage
			if err := askFor(ctx, patience, socket, http.MethodGet, "/status", &status); errors.Is(err, errSilent) {
				cancel(errSilent) // the loop ends with it
			}
		}
	}()
	return askFor(ctx, 0, socket, http.MethodPost, path, outcome)
}

// askFor is ask that waits as long as it is told; 0: as long as ctx lasts.
func askFor(ctx context.Context, patience time.Duration, socket, method, path string, answer any) error {
	if patience > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, patience, errSilent)
		defer cancel()
	}
	err := exchange(ctx, socket, method, path, answer)
	if err != nil && ctx.Err() != nil && errors.Is(context.Cause(ctx), errSilent) {
		return fmt.Errorf("control socket %s: %w", socket, errSilent)
	}
	return err
}

// exchange sends one request over the control socket and reads the JSON of its answer.
func exchange(ctx context.Context, socket, method, path string, answer any) error {
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", socket)
	}
	client := &http.Client{Transport: &http.Transport{DialContext: dial, DisableKeepAlives: true}}
	request, err := http.NewRequestWithContext(ctx, method, "http://weir"+path, nil)
	if err != nil {
		return err
	}
	response, err := client.Do(request)
	if err != nil {
		return explainAsk(socket, err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(io.LimitReader(response.Body, 16<<20))
	if err != nil {
		return explainAsk(socket, err)
	}
	if response.StatusCode == http.StatusForbidden || response.StatusCode == http.StatusNotFound {
		var refusal master.Outcome
		if json.Unmarshal(text, &refusal) == nil && refusal.Error != "" {
			return errors.New(refusal.Error)
		}
		return fmt.Errorf("control socket %s: %s", socket, response.Status)
	}
	if err := json.Unmarshal(text, answer); err != nil {
		return fmt.Errorf("control socket %s: %s: %w", socket, response.Status, err)
	}
	return nil
}

// errNobody: there is no control socket, or nobody listens on it.
var errNobody = errors.New("no weir is running with this configuration")

// explainAsk says what a failed request means.
func explainAsk(socket string, err error) error {
	switch {
	case errors.Is(err, syscall.ENOENT), errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Errorf("%w: nobody listens on its control socket %s", errNobody, socket)
	case errors.Is(err, syscall.EACCES):
		return fmt.Errorf("control socket %s: permission denied: only root and the user that runs weir may use it", socket)
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, syscall.ECONNRESET):
		return fmt.Errorf("control socket %s: weir has ended before it answered", socket)
	}
	return fmt.Errorf("control socket %s: %w", socket, err)
}

// endpointOnly is a configuration with nothing but the control socket and the pid file of one that has faults elsewhere; nil when these
// cannot be read either.
func endpointOnly(src conf.Source) *conf.Config {
	only, err := readTop(src)
	if err != nil {
		return nil
	}
	src.Text, src.Overrides = nil, ""
	if only.Control != nil {
		src.Text = fmt.Appendf(src.Text, "control = %q\n", *only.Control)
	}
	if only.Pid != nil {
		src.Text = fmt.Appendf(src.Text, "pid = %q\n", *only.Pid)
	}
	config, _, err := conf.Load(src)
	if err != nil {
		return nil
	}
	return config
}
