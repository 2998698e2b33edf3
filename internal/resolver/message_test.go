// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package resolver

import (
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/net/dns/dnsmessage"
)

// Whatever comes is taken for nothing, for what the server said, or for an answer within bounds.
func FuzzParseAnswer(f *testing.F) {
	question, err := appendQuestion(nil, 7, "a.example.", dnsmessage.TypeA)
	require.NoError(f, err)
	name := dnsmessage.MustNewName("a.example.")
	h := dnsmessage.ResourceHeader{Name: name, Class: dnsmessage.ClassINET, TTL: 60}
	for _, m := range []dnsmessage.Message{
		{Answers: []dnsmessage.Resource{{Header: h, Body: &dnsmessage.AResource{A: [4]byte{127, 0, 0, 1}}}}},
		{Answers: []dnsmessage.Resource{{Header: h, Body: &dnsmessage.AAAAResource{AAAA: [16]byte{15: 1}}}}},
		{Answers: []dnsmessage.Resource{{Header: h, Body: &dnsmessage.CNAMEResource{CNAME: dnsmessage.MustNewName("b.example.")}}}},
		{Answers: []dnsmessage.Resource{{Header: h, Body: &dnsmessage.SRVResource{Target: name, Port: 80}}}},
		{Header: dnsmessage.Header{RCode: dnsmessage.RCodeNameError}},
		{Header: dnsmessage.Header{Truncated: true}},
	} {
		for _, kind := range []dnsmessage.Type{dnsmessage.TypeA, dnsmessage.TypeAAAA, dnsmessage.TypeSRV} {
			m.ID, m.Response = 7, true
			m.Questions = []dnsmessage.Question{{Name: name, Type: kind, Class: dnsmessage.ClassINET}}
			b, err := m.Pack()
			require.NoError(f, err)
			f.Add(b, uint16(kind))
		}
	}
	f.Add(question, uint16(dnsmessage.TypeA))
	f.Fuzz(func(t *testing.T, message []byte, kind uint16) {
		a, err := parseAnswer(message, 7, "a.example.", dnsmessage.Type(kind))
		if err != nil {
			require.Zero(t, a)
			return
		}
		require.LessOrEqual(t, len(a.addrs)+len(a.srv), recordsMax)
		require.True(t, a.cut || a.alias != "" || len(a.addrs)+len(a.srv) > 0, "an answer that says nothing")
	})
}

// What is no answer to the question is ignored.
func TestIgnored(t *testing.T) {
	question, err := appendQuestion(nil, 7, "a.example.", dnsmessage.TypeA)
	require.NoError(t, err)
	reply := append([]byte(nil), question...)
	reply[2] |= 0x80
	_, err = parseAnswer(reply, 7, "A.EXAMPLE.", dnsmessage.TypeA)
	require.Equal(t, ErrNotFound, err)
	for what, f := range map[string]func() error{
		"a question":         func() error { _, err := parseAnswer(question, 7, "a.example.", dnsmessage.TypeA); return err },
		"another identifier": func() error { _, err := parseAnswer(reply, 8, "a.example.", dnsmessage.TypeA); return err },
		"another name":       func() error { _, err := parseAnswer(reply, 7, "b.example.", dnsmessage.TypeA); return err },
		"another type":       func() error { _, err := parseAnswer(reply, 7, "a.example.", dnsmessage.TypeAAAA); return err },
		"a part":             func() error { _, err := parseAnswer(reply[:20], 7, "a.example.", dnsmessage.TypeA); return err },
	} {
		require.Equal(t, errIgnored, f(), what)
	}
}
