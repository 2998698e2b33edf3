// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package request

import (
	"bytes"
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"
	"github.com/stretchr/testify/require"

	"weir/internal/event"
	"weir/internal/logfile"
	"weir/internal/route"
	"weir/internal/sys"
	"weir/internal/upstream"
	"weir/internal/vars"
)

// TestTranscripts plays the conversations in testdata: one engine, any number of clients and origin connections, on one
// goroutine. Rewrite the files with -rewrite, and read what has changed.
//
//	new [blocks=N] [keepalive=N] [maxbody=N] ...   another engine (see newScript); the one before has to be settled
//	client NAME           a client connects
//	send NAME             bytes to the engine. A line ends with CR LF, unless its last character is a backslash. \r \n \xNN are
//	                      bytes, and {a*100} is a hundred letters; the line "(empty)" is an empty one
//	recv NAME             what has arrived. A line's CR LF is not shown, all other ends of line are
//	origin NAME [other]   the origin (or the second one) accepts a connection
//	close NAME, shutdown NAME
//	wait NAME             turns the loop until something arrives: a time-out's work
//	pass ms=N             time passes, and the loop turns
//	drain                 the engine stops
//	log                   the access log since the last time
//	settled               nothing is in flight, and every block is back
func TestTranscripts(t *testing.T) {
	datadriven.Walk(t, "testdata", func(t *testing.T, path string) {
		var s *script
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			if d.Cmd == "new" {
				if s != nil {
					s.end(t)
				}
				s = newScript(t, d)
				return "ok\n"
			}
			s.h.t = t
			return s.command(t, d)
		})
		if s != nil {
			s.end(t)
		}
	})
}

// script is a conversation on its way.
type script struct {
	h     *harness
	ends  map[string]int // descriptors by name
	other int            // the second origin's socket
	file  *os.File
	log   *logfile.Writer
	read  int64 // of the log
}

const transcriptLog = `"$request" $status $body_bytes_sent upstream "$upstream_addr" "$upstream_status" pipe $pipe`

func newScript(t *testing.T, d *datadriven.TestData) *script {
	s := &script{ends: map[string]int{}}
	var err error
	s.file, err = os.CreateTemp("", "weir-transcript")
	require.NoError(t, err)
	require.NoError(t, os.Remove(s.file.Name()))
	s.log, err = logfile.NewWriter(logfile.Options{Path: "access.log", FD: int(s.file.Fd())})
	require.NoError(t, err)
	number := func(name string, otherwise int) int {
		if d.HasArg(name) {
			d.ScanArgs(t, name, &otherwise)
		}
		return otherwise
	}
	o := harnessOptions{Unix: true, Log: s.log, Blocks: number("blocks", 0), Reserve: number("reserve", 0), Conns: number("conns", 0)}
	o.Location = func(l *Location) {
		l.MaxBody = int64(number("maxbody", 1<<20))
		l.KeepaliveRequests = uint32(number("requests", 1<<30))
		l.KeepaliveTimeoutMs = int64(number("keepalive_timeout", 75_000))
		l.BodyTimeoutMs = int64(number("body_timeout", 60_000))
		l.SendTimeoutMs = int64(number("send_timeout", 60_000))
		l.Proxy.RequestBuffering = !d.HasArg("stream")
		l.Proxy.HTTP10 = d.HasArg("http10")
		l.Proxy.ConnectTimeoutMs = int64(number("connect_timeout", 60_000))
		l.Proxy.ReadTimeoutMs = int64(number("read_timeout", 60_000))
		format, err := vars.CompileLog(transcriptLog, vars.EscapeDefault)
		require.NoError(t, err)
		l.Logs[0].Template = Prepare(format)
		if d.HasArg("nolinger") {
			l.Linger = LingerOff
		}
	}
	s.h = newHarness(t, o)
	s.h.group.Keepalive = number("keepalive", 8)
	s.h.bind.Default.HeaderTimeoutMs = int64(number("header_timeout", 60_000))
	s.site(t)
	return s
}

// site adds locations to the one that passes everything to the origin.
func (s *script) site(t *testing.T) {
	var at sys.Sockaddr
	s.other, at = listenUnix(t)
	first := s.h.group.Peers[0]
	second := first
	second.Name, second.Addr = "second", at
	pair := s.h.group.Options
	pair.Name, pair.Peers = "pair", []upstream.PeerOptions{first, second}
	root := s.h.bind.Default.List[0]
	text := func(s string) *vars.Template { return vars.MustCompile(s) }
	paths := []route.Location{{Path: "/", AutoRedirect: true}}
	list := []*Location{root}
	add := func(path string, change func(*Location)) {
		l, p := *root, *root.Proxy
		l.Path, l.Proxy = path, &p
		change(&l)
		paths = append(paths, route.Location{Path: path, AutoRedirect: l.Proxy != nil})
		list = append(list, &l)
	}
	add("/pair/", func(l *Location) { l.Proxy.Group = upstream.NewGroup(pair) })
	add("/pair503/", func(l *Location) {
		l.Proxy.Group = upstream.NewGroup(pair)
		l.Proxy.Next |= NextHTTP503
	})
	add("= /text", func(l *Location) {
		l.Proxy, l.Rules = nil, ReturnRules(&Return{Code: 200, Text: text("hello $remote_addr\n")})
	})
	add("= /old", func(l *Location) { l.Proxy, l.Rules = nil, ReturnRules(&Return{Code: 301, URL: text("/new?$args")}) })
	add("= /gone", func(l *Location) { l.Proxy, l.Rules = nil, ReturnRules(&Return{Code: 410}) })
	add("= /silent", func(l *Location) { l.Proxy, l.Rules = nil, ReturnRules(&Return{Code: 444}) })
	add("/sorry/", func(l *Location) {
		l.ErrorPages = []ErrorPage{{Codes: []int{502, 504}, Text: text("sorry: $status\n"), Response: -1}}
	})
	add("/intercept/", func(l *Location) {
		l.Proxy.InterceptErrors = true
		l.ErrorPages = []ErrorPage{{Codes: []int{404}, URI: text("/not-found?of=$uri"), Response: -1}, {Codes: []int{500}, URI: text("http://example.org/"), Response: -1}}
	})
	add("/named/", func(l *Location) {
		l.Proxy, l.Rules = nil, ReturnRules(&Return{Code: 404})
		l.ErrorPages = []ErrorPage{{Codes: []int{404}, URI: text("@fallback")}}
	})
	add("@fallback", func(*Location) {})
	add("/uri/", func(l *Location) { l.Prefix, l.Proxy.HasURI, l.Proxy.URI = true, true, "/changed/" })
	add("/long/", func(l *Location) {
		for i := range 4 {
			l.AddHeaders = append(l.AddHeaders, AddHeader{SetHeader: NewSetHeader(fmt.Sprintf("X-Long-%d", i), text("$args"))})
		}
	})
	locations, err := route.NewLocations(paths)
	require.NoError(t, err)
	server := s.h.bind.Default
	server.Locations, server.List = locations, list
}

// end checks that the last conversation has left nothing behind.
func (s *script) end(t *testing.T) {
	s.h.t = t
	for name, fd := range s.ends {
		sys.Close(fd)
		delete(s.ends, name)
	}
	s.quiet()
	s.h.settled()
	sys.Close(s.other)
	require.NoError(t, s.file.Close())
}

// quiet turns the loop until everything that could be done has been done.
func (s *script) quiet() {
	for range 10 {
		s.h.poll()
	}
}

func (s *script) command(t *testing.T, d *datadriven.TestData) string {
	name := ""
	if len(d.CmdArgs) > 0 {
		name = d.CmdArgs[0].Key
	}
	switch d.Cmd {
	case "client":
		s.ends[name] = s.h.pairClient()
		return "ok\n"
	case "origin":
		return s.accept(name, d.HasArg("other"))
	case "send":
		return s.send(s.endOf(t, name), unescape(t, d.Input))
	case "recv":
		return s.recv(s.endOf(t, name))
	case "wait":
		s.wait(t, s.endOf(t, name))
		return s.recv(s.ends[name])
	case "shutdown":
		sys.ShutdownWrite(s.endOf(t, name))
	case "close":
		sys.Close(s.endOf(t, name))
		delete(s.ends, name)
	case "pass":
		s.pass(t, d)
	case "drain":
		s.h.engine.StartDrain(nil, 0, func() {})
	case "log":
		return s.logLines(t)
	case "settled":
		s.quiet()
		if n, used, faults := s.h.engine.InFlight(), s.h.pool.Stats().Used, s.h.pool.Check(); n != 0 || used != 0 || len(faults) != 0 {
			return fmt.Sprintf("requests in flight %d, blocks in use %d %v\n", n, used, faults)
		}
		return fmt.Sprintf("clients waiting %d, origin connections kept %d\n", s.h.table.Waiting.Len(), s.h.group.Idle())
	default:
		t.Fatalf("unknown command %q", d.Cmd)
	}
	s.quiet()
	return "ok\n"
}

func (s *script) endOf(t *testing.T, name string) int {
	fd, ok := s.ends[name]
	if !ok {
		t.Fatalf("nobody is called %q", name)
	}
	return fd
}

func (s *script) accept(name string, other bool) string {
	s.quiet()
	listening := s.h.listening
	if other {
		listening = s.other
	}
	var from sys.Sockaddr
	fd, errno := sys.Accept(listening, &from)
	if errno != 0 {
		return "no connection\n"
	}
	s.ends[name] = fd
	return "connected\n"
}

func (s *script) send(fd int, data []byte) string {
	for tries := 0; len(data) > 0; {
		n, errno := sys.Write(fd, data)
		if errno != 0 && errno != sys.EAGAIN {
			s.quiet()
			return errno.Error() + "\n"
		}
		if data = data[n:]; n == 0 {
			if tries++; tries > 3 {
				return fmt.Sprintf("%d bytes are not taken\n", len(data))
			}
		}
		s.quiet()
	}
	return "ok\n"
}

var dateField = regexp.MustCompile(`(?m)^Date: .*?\r$`)

// recv gives what has arrived in a form to read.
func (s *script) recv(fd int) string {
	var all []byte
	end := ""
	buf := make([]byte, 64<<10)
	for end == "" {
		s.quiet()
		n, errno := sys.Read(fd, buf)
		switch {
		case errno == sys.EAGAIN:
			end = "\n"
		case errno != 0:
			end = "(" + errno.Error() + ")\n"
		case n == 0:
			end = "(closed)\n"
		}
		all = append(all, buf[:n]...)
	}
	if len(all) == 0 && end == "\n" {
		return "(nothing)\n"
	}
	var out strings.Builder
	for _, line := range bytes.SplitAfter(dateField.ReplaceAll(all, []byte("Date: now\r")), []byte("\n")) {
		line, whole := bytes.CutSuffix(line, []byte("\r\n"))
		if whole || len(line) > 0 {
			out.WriteString(shorten(line))
			if !whole {
				out.WriteString(`\`)
			}
			out.WriteString("\n")
		}
	}
	return out.String() + strings.TrimPrefix(end, "\n")
}

// shorten shows a line; a run of one letter becomes {a*100}.
func shorten(line []byte) string {
	quoted := strconv.Quote(string(line))
	quoted = strings.ReplaceAll(quoted[1:len(quoted)-1], `\"`, `"`)
	var out strings.Builder
	for i := 0; i < len(quoted); {
		n := 1
		for i+n < len(quoted) && quoted[i+n] == quoted[i] {
			n++
		}
		if n >= 16 {
			fmt.Fprintf(&out, "{%c*%d}", quoted[i], n)
		} else {
			out.WriteString(quoted[i : i+n])
		}
		i += n
	}
	return out.String()
}

var repeated = regexp.MustCompile(`\{(.+?)\*(\d+)\}`)

// unescape makes bytes of a transcript's lines.
func unescape(t *testing.T, input string) []byte {
	var out []byte
	for _, line := range strings.Split(input, "\n") {
		if line == "(empty)" { // datadriven drops empty lines at the end
			line = ""
		}
		line, open := strings.CutSuffix(line, `\`)
		line = repeated.ReplaceAllStringFunc(line, func(m string) string {
			parts := repeated.FindStringSubmatch(m)
			n, err := strconv.Atoi(parts[2])
			require.NoError(t, err)
			return strings.Repeat(parts[1], n)
		})
		text, err := strconv.Unquote(`"` + strings.ReplaceAll(line, `"`, `\"`) + `"`)
		require.NoError(t, err, "line %q", line)
		out = append(out, text...)
		if !open {
			out = append(out, "\r\n"...)
		}
	}
	return out
}

// deadline is how long a transcript waits for something to arrive.
const deadlineMs = 5000

type alarm struct{ rung bool }

// OnTimer notes that the time is over. See event.Expirer.
func (a *alarm) OnTimer(*event.Timer) { a.rung = true }

// wait turns the loop, which sleeps until the next time-out, until fd has something to read.
func (s *script) wait(t *testing.T, fd int) {
	var a alarm
	var timer event.Timer
	timer.Init(&a)
	s.h.timers.Arm(&timer, s.h.clock.Ms()+deadlineMs)
	defer s.h.timers.Unlink(&timer)
	for !a.rung {
		if _, errno := sys.Peek(fd); errno != sys.EAGAIN {
			return
		}
		s.h.turn()
	}
	t.Fatal("nothing arrives")
}

// pass lets time pass.
func (s *script) pass(t *testing.T, d *datadriven.TestData) {
	var ms int
	d.ScanArgs(t, "ms", &ms)
	var a alarm
	var timer event.Timer
	timer.Init(&a)
	s.h.timers.Arm(&timer, s.h.clock.Ms()+int64(ms))
	for !a.rung {
		s.h.turn()
	}
}

func (s *script) logLines(t *testing.T) string {
	s.quiet()
	buf := make([]byte, 64<<10)
	n, _ := s.file.ReadAt(buf, s.read)
	s.read += int64(n)
	if n == 0 {
		return "(nothing)\n"
	}
	var out strings.Builder
	for line := range strings.Lines(string(buf[:n])) {
		out.WriteString(shorten([]byte(strings.TrimSuffix(line, "\n"))) + "\n")
	}
	return out.String()
}
