// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"slices"
	"strings"

	"weir/conf"
	"weir/internal/convert/wire"
)

const usage = `usage:
  weir [-c FILE] [-p PREFIX] [-g 'TOML'] [-e FILE] [-q]    start, in the foreground
                           unless the configuration says daemon
  weir -t [-c FILE]        check the configuration: OK, or every fault
  weir -T [-c FILE]        the same, then print what is in effect
  weir -s reload|upgrade|reopen|drain|quit|stop [-c FILE]
                           tell the running weir, and wait for the outcome;
                           --reset-zones: upgrade even if the new version must
                           begin with empty limit zones
  weir status [--json] [-c FILE]
                           what runs
  weir zone list | show NAME [--top N] | del NAME KEY | check NAME  [--json]
                           look into the limit zones, clear a key, check one
  weir upstream list [GROUP] | drain|up|down GROUP PEER  [--json]
                           look at the origins; take one out of service
                           gently, back in, or out at once
  weir -v | -V             the version | and how it was built
  weir -h, -?              this help; letters may stand together, as in -tq

options:
  -c FILE     configuration file; relative to the prefix. One that is not named
              *.toml is an nginx.conf, and converted. Without -c:
              PREFIX/conf/weir.toml, /etc/weir/weir.toml, the embedded default
  -p PREFIX   directory that relative paths start from (the current directory)
  -g 'TOML'   settings that override the file's, such as 'worker_processes = 2';
              for an nginx.conf also nginx's directives, such as 'daemon off;'
  --lenient   leave out what is not possible of an nginx.conf, and say so
  -e FILE     error log, whatever the configuration says; or stderr
  -q          say nothing but faults
`

// errHelp is what parseArgs returns when help is asked for.
var errHelp = errors.New("help")

// action is what a command line asks for.
type action uint8

const (
	actionStart    action = iota // run the master
	actionTest                   // -t
	actionPrint                  // -T
	actionSignal                 // -s
	actionStatus                 // status
	actionZone                   // zone
	actionUpstream               // upstream
	actionVersion                // -v
	actionFeatures               // -V
)

// command is a command line.
type command struct {
	action    action
	signal    string       // of -s: one of signals
	config    string       // -c as given; "": search
	prefix    string       // -p; absolute once main has seen it
	overrides string       // -g
	errorLog  string       // -e as given
	quiet     bool         // -q
	lenient   bool         // --lenient
	json      bool         // --json of status, zone and upstream
	reset     bool         // --reset-zones of -s upgrade
	read      *conf.Source // the configuration, if it has been read already
	sources   *sources     // where the files of an nginx.conf are kept, for -T
	converted *wire.Result // what weir-convert makes of it, if that is known
	zone      zoneOrder
	upstream  upstreamOrder
}

// letters takes words with several of nginx's options apart, as nginx allows them: -tq, -tc FILE, -cFILE.
func letters(args []string) []string {
	const alone, valued = "?hvVtTq", "cpgse"
	var out []string
	for i, arg := range args {
		if i > 0 && len(args[i-1]) > 1 && args[i-1][0] == '-' && strings.Contains(valued, args[i-1][len(args[i-1])-1:]) {
			out = append(out, arg) // the value of an option
			continue
		}
		rest, ok := strings.CutPrefix(arg, "-")
		plain := strings.TrimLeft(rest, alone)
		switch {
		case !ok || len(rest) < 2 && rest != "?" || rest[0] == '-':
			out = append(out, arg)
			continue
		case plain == "" || len(plain) == 1 && strings.Contains(valued, plain):
			for _, letter := range rest {
				out = append(out, "-"+strings.Replace(string(letter), "?", "h", 1))
			}
		case plain == rest && strings.Contains("cpe", rest[:1]) && strings.Contains("/.", rest[1:2]): // -c/etc/nginx/nginx.conf
			out = append(out, "-"+rest[:1], rest[1:])
		default:
			out = append(out, arg)
		}
	}
	return out
}

// signals are the values of -s.
var signals = []string{"reload", "upgrade", "reopen", "drain", "quit", "stop"}

// parseArgs reads the arguments behind the program's name. The error is errHelp, or says what is wrong with them.
func parseArgs(args []string) (command, error) {
	var c command
	var test, dump, short, long bool
	var top string
	fs := flag.NewFlagSet("weir", flag.ContinueOnError)
	fs.SetOutput(io.Discard)
	fs.Usage = func() {}
	fs.StringVar(&c.config, "c", "", "")
	fs.StringVar(&c.prefix, "p", "", "")
	fs.StringVar(&c.overrides, "g", "", "")
	fs.StringVar(&c.errorLog, "e", "", "")
	fs.StringVar(&c.signal, "s", "", "")
	fs.BoolVar(&c.quiet, "q", false, "")
	fs.BoolVar(&c.lenient, "lenient", false, "")
	fs.BoolVar(&c.json, "json", false, "")
	fs.BoolVar(&c.reset, "reset-zones", false, "")
	fs.StringVar(&top, "top", "", "")
	fs.BoolVar(&test, "t", false, "")
	fs.BoolVar(&dump, "T", false, "")
	fs.BoolVar(&short, "v", false, "")
	fs.BoolVar(&long, "V", false, "")

	words, err := parseMixed(fs, letters(args))
	switch {
	case errors.Is(err, flag.ErrHelp) || slices.Equal(words, []string{"help"}):
		return command{}, errHelp
	case err != nil:
		return command{}, plainFlagError(err)
	}
	isZone := len(words) > 0 && words[0] == "zone"
	isUpstream := len(words) > 0 && words[0] == "upstream"
	given := map[string]bool{}
	fs.Visit(func(f *flag.Flag) { given[f.Name] = true })
	for _, choice := range []struct {
		chosen bool
		action action
	}{
		{test, actionTest}, {dump, actionPrint}, {given["s"], actionSignal}, {len(words) > 0 && !isZone && !isUpstream, actionStatus},
		{isZone, actionZone}, {isUpstream, actionUpstream},
		{short, actionVersion}, {long, actionFeatures},
	} {
		if !choice.chosen {
			continue
		}
		if c.action != actionStart && !(c.action == actionTest && choice.action == actionPrint) && !(c.action == actionVersion && choice.action == actionFeatures) {
			return command{}, errors.New("more than one of -t, -T, -s, -v, -V, status, zone and upstream")
		}
		c.action = choice.action
	}
	if isZone {
		if c.zone, err = parseZone(words[1:], top); err != nil {
			return command{}, err
		}
		words = words[:1]
	}
	if isUpstream {
		if c.upstream, err = parseUpstream(words[1:]); err != nil {
			return command{}, err
		}
		words = words[:1]
	}
	return c, c.check(words, given)
}

// parseMixed parses flags that may stand before and behind other words, and returns those.
func parseMixed(fs *flag.FlagSet, args []string) (words []string, err error) {
	for {
		if err := fs.Parse(args); err != nil {
			return words, err
		}
		if args = fs.Args(); len(args) == 0 {
			return words, nil
		}
		words = append(words, args[0])
		args = args[1:]
	}
}

// check says what does not go together.
func (c *command) check(words []string, given map[string]bool) error {
	switch {
	case len(words) > 0 && !slices.Contains([]string{"status", "zone", "upstream"}, words[0]):
		return fmt.Errorf("unknown command %q", words[0])
	case len(words) > 1:
		return fmt.Errorf("unexpected argument %q", words[1])
	case given["json"] && !slices.Contains([]action{actionStatus, actionZone, actionUpstream}, c.action):
		return errors.New("--json goes with status, zone and upstream")
	case given["top"] && c.zone.top == "":
		return errors.New("--top goes with zone show, and needs a number")
	case c.reset && c.signal != "upgrade":
		return errors.New("--reset-zones goes with -s upgrade")
	case given["c"] && c.config == "":
		return errors.New("-c needs the name of a file")
	case c.lenient && !c.converts():
		return errors.New("--lenient goes with -c and an nginx.conf")
	case given["e"] && c.errorLog == "":
		return errors.New("-e needs the name of a file")
	case c.action == actionSignal && !slices.Contains(signals, c.signal):
		return fmt.Errorf("-s %q: must be one of %s", c.signal, strings.Join(signals, ", "))
	}
	return nil
}

// plainFlagError is an error of package flag in the words of this program.
func plainFlagError(err error) error {
	text := err.Error()
	if name, ok := strings.CutPrefix(text, "flag provided but not defined: "); ok {
		return fmt.Errorf("unknown flag %s", name)
	}
	if name, ok := strings.CutPrefix(text, "flag needs an argument: "); ok {
		return fmt.Errorf("%s needs an argument", name)
	}
	return err
}
