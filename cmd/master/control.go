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

	"github.com/BurntSushi/toml"

	"weir/conf"
	"weir/internal/master"
)

// runSignal answers -s: it gives the running weir an order, waits for the outcome and prints it.
func runSignal(c command, stdout, stderr io.Writer) int {
	socket, err := controlSocket(c)
	if err != nil {
		writeFaults(stderr, err)
		return 1
	}
	var outcome master.Outcome
	err = ask(socket, http.MethodPost, "/"+c.signal, &outcome)
	if err == nil && !outcome.OK {
		err = fmt.Errorf("%s failed: %s", c.signal, outcome.Error)
	}
	if err != nil {
		fmt.Fprintf(stderr, "weir: %v\n", err)
		return 1
	}
	if !c.quiet {
		fmt.Fprintln(stdout, outcomeText(c.signal, outcome))
	}
	return 0
}

// outcomeText says what an order has led to.
func outcomeText(signal string, o master.Outcome) string {
	took := time.Duration(o.TookMs) * time.Millisecond
	switch signal {
	case "reload":
		return fmt.Sprintf("weir: reloaded: generation %d with %d workers serves, after %s", o.Generation, o.Workers, took)
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
	fmt.Fprintf(w, "since start  %d accepted, %d handled, %d requests\n\n", n.Accepted, n.Handled, n.Requests)
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "WORKER\tGENERATION\tSLOT\tSTATE\tAGE\tRESTARTS\tCONNECTIONS\tREQUESTS")
	for _, p := range s.Workers {
		fmt.Fprintf(table, "%d\t%d\t%d\t%s\t%s\t%d\t%d\t%d\n",
			p.PID, p.Generation, p.Slot, p.State, age(p.AgeMs), p.Restarts, p.Active, p.Requests)
	}
	table.Flush()
	if len(s.Zones) > 0 {
		fmt.Fprintln(w)
		writeZones(w, s.Zones)
	}
}

// controlSocket finds the control socket of the weir that was started with the same options.
func controlSocket(c command) (string, error) {
	src, err := c.source()
	if err != nil {
		return "", err
	}
	config, _, err := conf.Load(src)
	if err != nil {
		// A reload with a faulty file must reach weir, which has the old config and answers with the faults.
		if config = controlOnly(src); config == nil {
			return "", err
		}
	}
	if config.Control == "" {
		return "", fmt.Errorf("%s: control is empty: this weir takes signals only (kill -HUP ...)", src.Name)
	}
	return config.Control, nil
}

// ask sends one request over the control socket and reads the JSON of its answer.
func ask(socket, method, path string, answer any) error {
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", socket)
	}
	client := &http.Client{Transport: &http.Transport{DialContext: dial, DisableKeepAlives: true}}
	request, err := http.NewRequest(method, "http://weir"+path, nil)
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

// explainAsk says what a failed request means.
func explainAsk(socket string, err error) error {
	switch {
	case errors.Is(err, syscall.ENOENT), errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Errorf("no weir is running with this configuration: nobody listens on its control socket %s", socket)
	case errors.Is(err, syscall.EACCES):
		return fmt.Errorf("control socket %s: permission denied: only root and the user that runs weir may use it", socket)
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, syscall.ECONNRESET):
		return fmt.Errorf("control socket %s: weir has ended before it answered", socket)
	}
	return fmt.Errorf("control socket %s: %w", socket, err)
}

// controlOnly is a configuration with nothing but the control socket of one that has faults elsewhere; nil when the text
// is not TOML.
func controlOnly(src conf.Source) *conf.Config {
	var only struct {
		Control *string `toml:"control"`
	}
	for _, text := range []string{string(src.Text), src.Overrides} { // the later one wins
		if _, err := toml.Decode(text, &only); err != nil {
			return nil
		}
	}
	src.Text, src.Overrides = nil, ""
	if only.Control != nil {
		src.Text = fmt.Appendf(nil, "control = %q\n", *only.Control)
	}
	config, _, err := conf.Load(src)
	if err != nil {
		return nil
	}
	return config
}
