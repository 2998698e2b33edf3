// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package dnstest

import (
	"encoding/binary"
	"io"
	"net"
	"net/netip"
	"strings"
	"sync"

	"golang.org/x/net/dns/dnsmessage"
)

// Record is one record: exactly one of Addr, Alias and Target is set.
type Record struct {
	Addr   netip.Addr // A or AAAA
	Alias  string     // CNAME
	Target string     // SRV, with the numbers below
	TTL    uint32

	Port     uint16 // of an SRV record, as the two that follow
	Weight   uint16
	Priority uint16 // the least number comes first
}

// Behaviour is what a server does beside answering.
type Behaviour struct {
	Silent    bool              // it answers nothing
	Cut       bool              // over UDP it says that the answer is too long
	RCode     dnsmessage.RCode  // it answers with this to everything
	Forged    bool              // before each answer it sends some with other identifiers, names and garbage
	Bare      bool              // it does not follow aliases
	SilentFor []dnsmessage.Type // it answers no questions of these types
}

// Tester is what the server needs of a test.
type Tester interface {
	Helper()
	Fatal(args ...any)
	Cleanup(f func())
}

// Server is a name server.
type Server struct {
	Addr netip.AddrPort

	mu      sync.Mutex
	records map[string][]Record
	how     Behaviour
	asked   map[string]int
	streams int
	udp     *net.UDPConn
	tcp     net.Listener
}

// New starts a server, which ends with the test.
func New(t Tester) *Server {
	t.Helper()
	s := &Server{records: map[string][]Record{}, asked: map[string]int{}}
	for range 100 { // the port has to be free for both
		udp, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
		if err != nil {
			t.Fatal(err)
		}
		if s.tcp, err = net.Listen("tcp4", udp.LocalAddr().String()); err == nil {
			s.udp = udp
			break
		}
		udp.Close()
	}
	if s.udp == nil {
		t.Fatal("no port is free for UDP and TCP")
	}
	s.Addr = s.udp.LocalAddr().(*net.UDPAddr).AddrPort()
	go s.serveUDP()
	go s.serveTCP()
	t.Cleanup(func() {
		s.udp.Close()
		s.tcp.Close()
	})
	return s
}

// Set replaces the records of a name; without any, the name does not exist.
func (s *Server) Set(name string, list ...Record) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.records[key(name)] = list
}

// SetAddrs is Set for addresses.
func (s *Server) SetAddrs(name string, ttl uint32, addrs ...string) {
	var list []Record
	for _, a := range addrs {
		list = append(list, Record{Addr: netip.MustParseAddr(a), TTL: ttl})
	}
	s.Set(name, list...)
}

// Behave changes what the server does.
func (s *Server) Behave(how Behaviour) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.how = how
}

// Asked is how often it was asked about a name, over UDP and TCP, and how often over TCP at all.
func (s *Server) Asked(name string) (questions, streams int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.asked[key(name)], s.streams
}

func key(name string) string { return strings.ToLower(strings.TrimSuffix(name, ".")) + "." }

func (s *Server) serveUDP() {
	buf := make([]byte, 1<<16)
	for {
		n, from, err := s.udp.ReadFromUDPAddrPort(buf)
		if err != nil {
			return
		}
		for _, message := range s.answers(buf[:n], false) {
			_, _ = s.udp.WriteToUDPAddrPort(message, from)
		}
	}
}

func (s *Server) serveTCP() {
	for {
		c, err := s.tcp.Accept()
		if err != nil {
			return
		}
		go func() {
			defer c.Close()
			var length [2]byte
			if _, err := io.ReadFull(c, length[:]); err != nil {
				return
			}
			message := make([]byte, binary.BigEndian.Uint16(length[:]))
			if _, err := io.ReadFull(c, message); err != nil {
				return
			}
			for _, message := range s.answers(message, true) {
				out := append(binary.BigEndian.AppendUint16(nil, uint16(len(message))), message...)
				for len(out) > 0 { // in pieces
					n := min(len(out), 100)
					if _, err := c.Write(out[:n]); err != nil {
						return
					}
					out = out[n:]
				}
			}
		}()
	}
}

// answers makes the messages that answer a question, the true one last.
func (s *Server) answers(message []byte, stream bool) [][]byte {
	var p dnsmessage.Parser
	h, err := p.Start(message)
	if err != nil {
		return nil
	}
	q, err := p.Question()
	if err != nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked[key(q.Name.String())]++
	if stream {
		s.streams++
	}
	silent := s.how.Silent
	for _, kind := range s.how.SilentFor {
		silent = silent || kind == q.Type
	}
	if silent {
		return nil
	}
	out := s.answer(h.ID, q, stream)
	if !s.how.Forged || stream {
		return [][]byte{out}
	}
	other := q
	other.Name = dnsmessage.MustNewName("other.example.")
	return [][]byte{{}, []byte("garbage"), out[:len(out)-3], s.answer(h.ID+1, q, stream), s.answer(h.ID, other, stream), out}
}

func (s *Server) answer(id uint16, q dnsmessage.Question, stream bool) []byte {
	m := dnsmessage.Message{
		Header:    dnsmessage.Header{ID: id, Response: true, RecursionAvailable: true, RCode: s.how.RCode, Truncated: s.how.Cut && !stream},
		Questions: []dnsmessage.Question{q},
	}
	name, found := q.Name.String(), false
	for range 20 {
		list := s.records[key(name)]
		found = found || len(list) > 0
		next := ""
		for _, r := range list {
			h := dnsmessage.ResourceHeader{Name: dnsmessage.MustNewName(key(name)), Class: dnsmessage.ClassINET, TTL: r.TTL}
			switch {
			case r.Alias != "":
				next = key(r.Alias)
				m.Answers = append(m.Answers, dnsmessage.Resource{Header: h, Body: &dnsmessage.CNAMEResource{CNAME: dnsmessage.MustNewName(next)}})
			case r.Target != "" && q.Type == dnsmessage.TypeSRV:
				m.Answers = append(m.Answers, dnsmessage.Resource{Header: h, Body: &dnsmessage.SRVResource{
					Priority: r.Priority, Weight: r.Weight, Port: r.Port, Target: dnsmessage.MustNewName(key(r.Target))}})
			case r.Addr.Is4() && q.Type == dnsmessage.TypeA:
				m.Answers = append(m.Answers, dnsmessage.Resource{Header: h, Body: &dnsmessage.AResource{A: r.Addr.As4()}})
			case r.Addr.Is6() && q.Type == dnsmessage.TypeAAAA:
				m.Answers = append(m.Answers, dnsmessage.Resource{Header: h, Body: &dnsmessage.AAAAResource{AAAA: r.Addr.As16()}})
			}
		}
		if name = next; name == "" || s.how.Bare {
			break
		}
	}
	switch {
	case m.RCode != dnsmessage.RCodeSuccess || m.Truncated:
		m.Answers = nil
	case !found:
		m.RCode = dnsmessage.RCodeNameError
	}
	out, err := m.Pack()
	if err != nil {
		panic(err)
	}
	return out
}
