// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package convert

import (
	"errors"
	"fmt"
	"slices"

	"weir/conf"
	"weir/internal/convert/wire"
)

// Options say how a configuration is converted.
type Options struct {
	// Lenient leaves out what is not possible, and says so, in place of refusing the whole.
	Lenient bool

	// Main are directives of the main block that come before the file's: those of nginx -g.
	Main string

	// Check has the result checked as weir does, so that the faults of values are among the notes. What is refused or left out for another
	// reason is checked in any case.
	Check bool
}

// Converted is a configuration that has been converted.
type Converted struct {
	wire.Result
	root *block // nil when the text is not nginx's syntax
}

// Text is the configuration as TOML, with comments that say where each table comes from. It is not to be used when something was refused.
func (c *Converted) Text() []byte {
	if c.root == nil {
		return nil
	}
	return writeText(c.root)
}

// Convert converts the configuration whose main file is name. What is wrong with it is in the notes of the result.
func Convert(files wire.Files, name string, o Options) *Converted {
	tree, err := read(files, name, o.Main)
	if err != nil {
		var bad *syntaxError
		if !errors.As(err, &bad) {
			panic("convert: a reader's error without a place: " + err.Error())
		}
		return &Converted{Result: wire.Result{Notes: []wire.Note{bad.note}}}
	}
	left := map[*directive]string{}
	for {
		c := newConverter(files, name, o, left)
		c.convert(tree)
		v := &values{}
		packed := v.block(c.root).Pack()
		again := false
		if o.Check || o.Lenient || c.refused() {
			again = c.check(packed, v.by, name)
		}
		if !again {
			daemon := c.root.byKey["daemon"].items[0].value == true
			return &Converted{wire.Result{Packed: packed, Lines: v.places(), Daemon: daemon, Notes: c.notes}, c.root}
		}
	}
}

// converter is one conversion of a tree. It ends after one walk; what a check finds is left out in the next.
type converter struct {
	files     wire.Files
	name      string // of the main file
	options   Options
	left      map[*directive]string // faulty values that are left out, with the fault
	notes     []wire.Note
	refusals  int
	lacking   map[*directive]bool // blocks in which something was refused
	said      map[string]bool     // notes on directives without effect: one for each file and name
	keys      map[context]map[string]conf.Key
	listens   map[string]conf.Key // keys of a listen address
	origins   map[string]conf.Key // keys of an origin
	rules     map[string]rule
	ofGroup   map[string]rule // rules in an upstream
	root      *block
	http      *block
	errorLogs *block // [error_log], when there are several
	buffers   *block // [buffers], when something stands in it
	checks    healthChecks

	unknown []string // hosts that were not looked up

	groupZones map[string]int64 // sizes of the zones of upstreams
	sizeless   []*directive     // zone in upstreams

	oneWorker *directive // master_process off
	blockOf   *directive // the largest buffer for a head
	block     int64      // its size
}

// level is a block of nginx's that is being converted.
type level struct {
	in    context
	table *block
	keys  map[string]conf.Key
	by    *directive

	types     map[string][]string // of the blocks types of this level: the extensions of each
	typeOf    map[string]string   // the type of each extension
	typeOrder []string
	listens   int             // listen directives of a server
	otherwise *directive      // stub_status of a server: what answers where no location does
	once      map[string]bool // directives without effect that have stood here
}

func newConverter(files wire.Files, name string, o Options, left map[*directive]string) *converter {
	main := conf.Keys[conf.Config]()
	return &converter{
		files: files, name: name, options: o, left: left, lacking: map[*directive]bool{}, said: map[string]bool{},
		keys: map[context]map[string]conf.Key{
			inMain: main, inEvents: main, inHTTP: conf.Keys[conf.HTTP](), inServer: conf.Keys[conf.Server](),
			inLocation: conf.Keys[conf.Location](), inUpstream: conf.Keys[conf.Upstream](),
			inServerIf: {}, inLocationIf: conf.Keys[conf.If](), inLimitExcept: conf.Keys[conf.LimitExcept](),
		},
		listens: conf.Keys[conf.Listen](), origins: conf.Keys[conf.UpstreamServer](),
		rules: rules(), ofGroup: upstreamRules(),
	}
}

// convert walks the tree and makes c.root of it.
func (c *converter) convert(tree []*directive) {
	c.root = newBlock("", nil)
	main := &level{in: inMain, table: c.root, keys: c.keys[inMain]}
	c.walk(main, tree)
	if c.refusals > maxRefusals && !c.options.Lenient {
		c.notes = append(c.notes, wire.Note{Kind: wire.Refused, Text: fmt.Sprintf("and %d more", c.refusals-maxRefusals)})
	}
	if !main.once["events"] {
		c.notes = append(c.notes, wire.Note{Kind: c.refusal(), Text: `no "events" section in configuration`})
	}
	c.placeChecks()
	c.checkGroupZones()
	c.lead()
	c.fitBlocks()
}

// lead writes nginx's defaults where weir's differ.
func (c *converter) lead() {
	if c.oneWorker != nil {
		c.root.replace("worker_processes", item{by: c.oneWorker, value: int64(1)})
	}
	for _, d := range []struct {
		key   string
		value any
	}{
		{"daemon", true},
		{"error_log", table{{"path", "logs/error.log"}, {"level", "error"}, {"format", "nginx"}}},
		{"worker_shutdown_timeout", int64(0)},
		{"worker_connections", int64(512)},
		{"worker_processes", int64(1)},
	} {
		if c.root.byKey[d.key] == nil {
			c.root.lead(&entry{key: d.key, items: []item{{value: d.value}}, comment: "nginx's default"})
		}
	}
}

// walk converts the directives of a level.
func (c *converter) walk(l *level, all []*directive) {
	for _, d := range all {
		c.directive(l, d)
	}
}

// directive converts one directive by the first of these that knows it: a rule of its own, the schema, the tables of what changes nothing.
func (c *converter) directive(l *level, d *directive) {
	if _, ok := c.left[d]; ok {
		c.noteLeft(d)
		return
	}
	if len(masks(d.name)) > 0 {
		if what := d.misuse(l.in); what != "" {
			c.refuse(l, d, "%s", what)
			return
		}
	}
	own, ok := c.rules[d.name]
	if l.in == inUpstream {
		own, ok = c.ofGroup[d.name]
		c.rebalance(l, d)
	}
	if ok && own.convert != nil {
		own.convert(c, l, d)
		return
	}
	if k, ok := l.keys[d.name]; ok && k.Form != conf.FormOther && isNginx(d.name) {
		c.plain(l, d, k)
		return
	}
	if changesNothing(d) {
		return
	}
	if why := effectless(d.name); why != "" {
		if l.repeats(d) {
			c.duplicate(l, d)
			return
		}
		if bad := c.inertValue(d); bad != "" {
			c.refuseValue(l, d, bad)
			return
		}
		c.without(d, why)
		return
	}
	c.refuse(l, d, "%s", c.whyRefused(l, d))
}

// noteLeft notes a directive that is left out for a fault of its value, and those in its block that were before it.
func (c *converter) noteLeft(d *directive) {
	if why, ok := c.left[d]; ok {
		c.note(wire.LeftOut, d, "%s", why)
	}
	for _, inner := range d.block {
		c.noteLeft(inner)
	}
}

// whyRefused says why weir does not take a directive.
func (c *converter) whyRefused(l *level, d *directive) string {
	if why := refusals[d.name]; why != "" {
		return why
	}
	for _, other := range []context{inHTTP, inServer, inLocation} {
		if _, ok := c.keys[other][d.name]; ok && isNginx(d.name) && l.in&inHTTPBlocks != 0 {
			return fmt.Sprintf("not possible in %s: weir takes it in %s", l.in, other)
		}
	}
	return why(d.name, c.refusals < maxRefusals)
}

// note adds a note about a directive.
func (c *converter) note(kind wire.Kind, d *directive, format string, args ...any) {
	c.notes = append(c.notes, wire.Note{Kind: kind, File: d.file, Line: d.line, Directive: d.name, Text: fmt.Sprintf(format, args...)})
}

// without notes that a directive has no effect; once for each name in a file.
func (c *converter) without(d *directive, why string) {
	if id := d.file + "\x00" + d.name; !c.said[id] {
		c.said[id] = true
		c.note(wire.WithoutEffect, d, "%s", why)
	}
}

// refuse notes that a directive is not possible, or that it is left out.
func (c *converter) refuse(l *level, d *directive, format string, args ...any) {
	c.lacking[l.by] = true
	c.refusals++
	text := fmt.Sprintf(format, args...)
	if !c.options.Lenient {
		if c.refusals <= maxRefusals {
			c.note(wire.Refused, d, "%s", text)
		}
		return
	}
	if guards[d.name] {
		text += "; whom it keeps out is let in"
	}
	c.note(wire.LeftOut, d, "%s", text)
}

// maxRefusals is how many refusals are said. Whoever has more has another file than an nginx.conf.
const maxRefusals = 200

// refusal is what becomes of what is not possible.
func (c *converter) refusal() wire.Kind {
	if c.options.Lenient {
		return wire.LeftOut
	}
	return wire.Refused
}

func (c *converter) refused() bool {
	return slices.ContainsFunc(c.notes, func(n wire.Note) bool { return n.Kind == wire.Refused })
}

// plain converts a directive whose key in the schema has the same name and meaning.
func (c *converter) plain(l *level, d *directive, k conf.Key) {
	n := len(d.args)
	switch k.Form {
	case conf.FormTexts:
		if n == 1 && d.args[0] == "off" {
			c.set(l, d, "off")
			return
		}
		if d.name == "try_files" && l.table.byKey[d.name] != nil {
			c.duplicate(l, d)
			return
		}
		for _, arg := range d.args {
			c.add(l, d, d.name, list, item{value: arg})
		}
		return
	case conf.FormNames:
		if n != 2 {
			c.refuse(l, d, "%s", invalidNumber(d))
			return
		}
		c.add(l, d, d.name, names, item{name: d.args[0], value: d.args[1]})
		return
	case conf.FormNumberSize:
		c.numberSize(l, d)
		return
	}
	if n != 1 && (n > 0 || k.Form != conf.FormFlag) {
		c.refuse(l, d, "%s", invalidNumber(d))
		return
	}
	value, why := any(true), ""
	if n == 1 {
		value, why = c.value(d, k, d.args[0])
	}
	if why != "" {
		c.refuseValue(l, d, why)
		return
	}
	c.set(l, d, value)
}

// numberSize converts a number of buffers and the size of each.
func (c *converter) numberSize(l *level, d *directive) {
	if len(d.args) != 2 {
		c.refuse(l, d, "%s", invalidNumber(d))
		return
	}
	switch {
	case !isBuffers(d.args):
		c.refuseValue(l, d, badValue)
	case d.name == "proxy_buffers" && d.args[0] == "1":
		c.refuse(l, d, "there must be at least 2 \"proxy_buffers\"")
	default:
		size, _ := parseSize(d.args[1], false)
		c.needBlock(d, size)
		c.set(l, d, table{{"number", number(d.args[0])}, {"size", number(d.args[1])}})
	}
}

// set gives a key its value; a second one is a fault, as in nginx.
func (c *converter) set(l *level, d *directive, value any) {
	c.setKey(l, d, d.name, value)
}

func (c *converter) setKey(l *level, d *directive, key string, value any) {
	if !l.table.set(key, item{by: d, value: value}) {
		c.duplicate(l, d)
	}
}

// add gives a key one value more.
func (c *converter) add(l *level, d *directive, key string, s shape, it item) {
	it.by = d
	if !l.table.add(key, s, it) {
		c.duplicate(l, d)
	}
}
