// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package resolver

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"golang.org/x/net/dns/dnsmessage"
)

// Why a name has no addresses. The numbers are those that nginx prints: RFC 1035 section 4.1.1, and ETIMEDOUT.
var (
	ErrFormat         = errors.New("1: Format error")
	ErrServerFailure  = errors.New("2: Server failure")
	ErrNotFound       = errors.New("3: Host not found") // also when there is no record of the types asked for
	ErrNotImplemented = errors.New("4: Unimplemented")
	ErrRefused        = errors.New("5: Operation refused")
	ErrTimeout        = errors.New("110: Operation timed out")
	ErrCrowded        = errors.New("too many names are being looked up")
)

// errIgnored is why a message is taken for none: it is malformed, or the answer to something else.
var errIgnored = errors.New("not an answer to the question")

// Bounds of what is taken from one answer.
const (
	recordsMax = 256 // resource records looked at
	chainMax   = 16  // aliases followed
)

// answer is what a name server has said to a question.
type answer struct {
	cut   bool         // there is more, which TCP carries
	addrs []netip.Addr // of the name at the end of the aliases
	srv   []service
	alias string // where the aliases lead to, when there is no record for that name
	ttl   uint32 // the least of all records used, in seconds
}

// service is one SRV record. RFC 2782.
type service struct {
	target                 string
	port, weight, priority uint16
}

// appendQuestion appends a message that asks for the records of a name, which ends with a dot.
func appendQuestion(dst []byte, id uint16, name string, kind dnsmessage.Type) ([]byte, error) {
	n, err := dnsmessage.NewName(name)
	if err != nil {
		return nil, fmt.Errorf("question(%s): %w", name, err)
	}
	b := dnsmessage.NewBuilder(dst, dnsmessage.Header{ID: id, RecursionDesired: true})
	if err := b.StartQuestions(); err != nil {
		return nil, err
	}
	if err := b.Question(dnsmessage.Question{Name: n, Type: kind, Class: dnsmessage.ClassINET}); err != nil {
		return nil, fmt.Errorf("question(%s): %w", name, err)
	}
	return b.Finish()
}

// parseAnswer reads the answer to a question. errIgnored: it is none; another error: what the server said.
func parseAnswer(message []byte, id uint16, name string, kind dnsmessage.Type) (answer, error) {
	var p dnsmessage.Parser
	h, err := p.Start(message)
	if err != nil || !h.Response || h.ID != id {
		return answer{}, errIgnored
	}
	q, err := p.Question()
	if err != nil || q.Type != kind || q.Class != dnsmessage.ClassINET || !strings.EqualFold(q.Name.String(), name) {
		return answer{}, errIgnored
	}
	if _, err := p.Question(); err != dnsmessage.ErrSectionDone {
		return answer{}, errIgnored
	}
	switch h.RCode {
	case dnsmessage.RCodeSuccess:
	case dnsmessage.RCodeFormatError:
		return answer{}, ErrFormat
	case dnsmessage.RCodeServerFailure:
		return answer{}, ErrServerFailure
	case dnsmessage.RCodeNameError:
		return answer{}, ErrNotFound
	case dnsmessage.RCodeNotImplemented:
		return answer{}, ErrNotImplemented
	default:
		return answer{}, ErrRefused
	}
	if h.Truncated {
		return answer{cut: true}, nil
	}
	var r records
	if err := r.read(&p, kind); err != nil {
		return answer{}, errIgnored
	}
	return r.of(strings.ToLower(name))
}

// records are those of an answer, by the name that they are about.
type records struct {
	aliases map[string]record
	found   map[string][]record
}

type record struct {
	ttl   uint32
	addr  netip.Addr
	srv   service
	alias string
}

func (r *records) read(p *dnsmessage.Parser, kind dnsmessage.Type) error {
	r.aliases, r.found = map[string]record{}, map[string][]record{}
	for range recordsMax {
		h, err := p.AnswerHeader()
		if err == dnsmessage.ErrSectionDone {
			return nil
		}
		if err != nil {
			return err
		}
		owner := strings.ToLower(h.Name.String())
		switch {
		case h.Class == dnsmessage.ClassINET && h.Type == dnsmessage.TypeCNAME:
			x, err := p.CNAMEResource()
			if err != nil {
				return err
			}
			r.aliases[owner] = record{ttl: h.TTL, alias: strings.ToLower(x.CNAME.String())}
		case h.Class == dnsmessage.ClassINET && h.Type == kind:
			x, err := readRecord(p, kind)
			if err != nil {
				return err
			}
			x.ttl = h.TTL
			r.found[owner] = append(r.found[owner], x)
		default:
			if err := p.SkipAnswer(); err != nil {
				return err
			}
		}
	}
	return nil
}

func readRecord(p *dnsmessage.Parser, kind dnsmessage.Type) (x record, err error) {
	switch kind {
	case dnsmessage.TypeA:
		var a dnsmessage.AResource
		a, err = p.AResource()
		x.addr = netip.AddrFrom4(a.A)
	case dnsmessage.TypeAAAA:
		var a dnsmessage.AAAAResource
		a, err = p.AAAAResource()
		x.addr = netip.AddrFrom16(a.AAAA)
	default:
		var s dnsmessage.SRVResource
		s, err = p.SRVResource()
		x.srv = service{target: strings.ToLower(s.Target.String()), port: s.Port, weight: s.Weight, priority: s.Priority}
	}
	return x, err
}

// of follows the aliases from a name, and gives what is there.
func (r *records) of(name string) (answer, error) {
	out := answer{ttl: 1<<31 - 1} // RFC 2181 section 8
	for range chainMax {
		if list := r.found[name]; list != nil {
			for _, x := range list {
				out.ttl = min(out.ttl, x.ttl)
				if x.addr.IsValid() {
					out.addrs = append(out.addrs, x.addr)
				} else {
					out.srv = append(out.srv, x.srv)
				}
			}
			return out, nil
		}
		next, ok := r.aliases[name]
		if !ok {
			if out.alias == "" {
				return answer{}, ErrNotFound
			}
			return out, nil
		}
		out.ttl = min(out.ttl, next.ttl)
		name, out.alias = next.alias, next.alias
	}
	return answer{}, ErrServerFailure
}
