// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package master

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	"go.uber.org/zap"

	"weir/internal/ipc"
	"weir/internal/sys"
)

// proof is the connection by which a new master asks one of its workers something, as a client would. Nobody else can be at its other end, so
// the answer is a new worker's.
type proof struct {
	ours   int
	theirs int // -1: the worker has it
}

// proofLimit is how long a worker that is ready may take to answer.
const proofLimit = 10 * time.Second

// openProofs makes a connection to each worker of a generation.
func (g *generation) openProofs() error {
	for range g.places {
		ours, theirs, err := sys.StreamPair()
		if err != nil {
			return err
		}
		g.proofs = append(g.proofs, proof{ours, theirs})
	}
	return nil
}

// probeFor is the worker's end of its connection, 0 when there is none.
func (g *generation) probeFor(index int, inherit func(fd int) int) int {
	if g.proofs == nil || g.proofs[index].theirs < 0 {
		return 0
	}
	return inherit(g.proofs[index].theirs)
}

// passProofs closes the ends that the workers have by now, so that the end of a worker is the end of its connection.
func (g *generation) passProofs() {
	for i := range g.proofs {
		if g.proofs[i].theirs >= 0 {
			sys.Close(g.proofs[i].theirs)
			g.proofs[i].theirs = -1
		}
	}
}

// closeProofs closes what is left.
func (g *generation) closeProofs() {
	g.passProofs()
	for _, p := range g.proofs {
		sys.Close(p.ours)
	}
	g.proofs = nil
}

// beginProof asks every new worker for an answer, in another goroutine.
func (m *master) beginProof() {
	c := m.change
	proofs := c.gen.proofs
	c.gen.proofs = nil
	m.atChange("ready")
	go func() {
		var faults []error
		for _, p := range proofs {
			faults = append(faults, p.ask())
		}
		select {
		case m.inspect <- func() { m.onProof(c, errors.Join(faults...)) }:
		case <-m.left:
		}
	}()
}

// ask sends a request and reads the answer. It closes the connection.
func (p proof) ask() error {
	file := os.NewFile(uintptr(p.ours), "probe")
	connection, err := net.FileConn(file)
	file.Close()
	if err != nil {
		return err
	}
	defer connection.Close()
	connection.SetDeadline(time.Now().Add(proofLimit))
	if _, err := io.WriteString(connection, "GET / HTTP/1.1\r\nHost: weir\r\nConnection: close\r\n\r\n"); err != nil {
		return fmt.Errorf("request to a new worker: %w", err)
	}
	response, err := http.ReadResponse(bufio.NewReader(connection), nil)
	if err != nil {
		return fmt.Errorf("answer of a new worker: %w", err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(io.LimitReader(response.Body, 1<<10))
	if err == nil && (response.StatusCode != http.StatusOK || !strings.HasPrefix(string(text), ipc.ProbeAnswer)) {
		err = fmt.Errorf("%s, %.40q", response.Status, text)
	}
	if err != nil {
		return fmt.Errorf("answer of a new worker: %w", err)
	}
	return nil
}

// onProof tells the old master how that went; the decision is its.
func (m *master) onProof(c *change, err error) {
	if m.change != c || c.failed != nil {
		return
	}
	if err != nil {
		m.abort(err)
		return
	}
	p := m.predecessor
	p.proved = true
	c.deadline = time.Time{}
	if p.gone {
		m.commit()
		return
	}
	m.atChange("proved")
	err = p.channel.Send(ipc.Message{Kind: ipc.Ready, Build: m.opts.Build, Generation: c.gen.number, Workers: c.gen.ready()})
	if err != nil && !errors.Is(err, io.EOF) { // at the end of file it has died, and its end is on its way here
		m.abort(err)
	}
}

// withdraw ends a new master whose upgrade has failed. Its workers that are ready may have clients, and finish what is in flight.
func (m *master) withdraw(reason error) {
	m.log.Error("upgrade failed: the old master goes on", zap.Error(reason))
	m.predecessor.tellFailure(reason)
	m.failure = reason
	m.ending, m.endBegan = quitting, time.Now()
	m.closeSockets()
}
