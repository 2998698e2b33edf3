// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package main

import (
	"fmt"
	"html"
	"strings"
)

// Geometry of the picture, in its own units.
const (
	plotWidth   = 860
	plotLeft    = 262 // where the bars begin
	plotRight   = 70  // room for the figure behind the longest bar
	plotTop     = 56
	barHeight   = 14
	barGap      = 3
	groupGap    = 16
	plotCaption = 30
)

// barColours by the place of a proxy in allProxies. Read-only.
var barColours = map[string]string{"weir": "#1f6f8b", "nginx": "#5b9a54", "haproxy": "#c98a2b"}

// bar is one bar of the picture.
type bar struct {
	proxy string
	value float64 // relative to nginx
	text  string  // the figure itself
}

// plot draws, for each workload, what a request costs in each proxy relative to nginx (or to the first proxy when nginx was not run).
func (r *report) plot() string {
	base := "nginx"
	if len(r.results.idle["nginx"]) == 0 {
		base = r.proxies[0]
	}
	groups := make([][]bar, 0, len(workloads)+1)
	names := make([]string, 0, len(workloads)+1)
	for _, w := range workloads {
		reference, ok := r.results.median(base, w.name)
		if !ok {
			continue
		}
		var group []bar
		for _, name := range r.proxies {
			if s, ok := r.results.median(name, w.name); ok {
				group = append(group, bar{name, s.total() / reference.total(), r.figure(s)})
			}
		}
		groups, names = append(groups, group), append(names, w.name)
	}
	if reference := r.results.idleBytes(base); reference > 0 {
		var group []bar
		for _, name := range r.proxies {
			bytes := r.results.idleBytes(name)
			group = append(group, bar{name, max(0, bytes/reference), thousands(bytes) + " bytes"})
		}
		groups, names = append(groups, group), append(names, "memory of an idle connection")
	}
	return r.draw(base, names, groups)
}

// figure is a cost with its unit, short.
func (r *report) figure(s sample) string {
	if r.noHardware == "" {
		return thousands(s.total()) + " instructions"
	}
	return significant(s.total()) + " us"
}

func (r *report) draw(base string, names []string, groups [][]bar) string {
	var longest float64
	height := plotTop
	for _, group := range groups {
		for _, b := range group {
			longest = max(longest, b.value)
		}
		height += len(group)*(barHeight+barGap) + groupGap
	}
	height += plotCaption
	unit := "instructions, user and kernel"
	if r.noHardware != "" {
		unit = "processor time"
	}
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="sans-serif" font-size="12">`+"\n", plotWidth, height)
	fmt.Fprintf(&b, `<rect width="%d" height="%d" fill="#ffffff"/>`+"\n", plotWidth, height)
	text(&b, 16, 24, `font-size="15" font-weight="bold"`, fmt.Sprintf("What a request costs (%s), relative to %s: shorter is better", unit, title(base)))
	for i, name := range r.proxies {
		x := plotLeft + i*110
		fmt.Fprintf(&b, `<rect x="%d" y="34" width="12" height="12" fill="%s"/>`+"\n", x, barColours[name])
		text(&b, x+18, 44, "", title(name))
	}
	scale := float64(plotWidth-plotLeft-plotRight-90) / max(longest, 1)
	one := plotLeft + int(scale)
	fmt.Fprintf(&b, `<line x1="%d" y1="%d" x2="%d" y2="%d" stroke="#bbbbbb" stroke-dasharray="3 3"/>`+"\n", one, plotTop, one, height-plotCaption-groupGap/2)
	y := plotTop + groupGap/2
	for i, group := range groups {
		text(&b, plotLeft-10, y+len(group)*(barHeight+barGap)/2+3, `text-anchor="end"`, names[i])
		for _, bar := range group {
			width := bar.value * scale
			fmt.Fprintf(&b, `<rect x="%d" y="%d" width="%.1f" height="%d" fill="%s"/>`+"\n", plotLeft, y, width, barHeight, barColours[bar.proxy])
			text(&b, plotLeft+int(width)+6, y+barHeight-3, `font-size="11" fill="#333333"`, fmt.Sprintf("%.2f (%s)", bar.value, bar.text))
			y += barHeight + barGap
		}
		y += groupGap
	}
	text(&b, 16, height-12, `fill="#555555"`, r.when.Format("2006-01-02")+"; "+strings.Join(r.versions, ", "))
	b.WriteString("</svg>\n")
	return b.String()
}

func text(b *strings.Builder, x, y int, attributes, s string) {
	fmt.Fprintf(b, `<text x="%d" y="%d" %s>%s</text>`+"\n", x, y, attributes, html.EscapeString(s))
}
