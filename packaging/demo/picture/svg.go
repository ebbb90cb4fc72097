// SPDX-License-Identifier: AGPL-3.0-or-later

package main

import (
	"fmt"
	"html"
	"strings"
)

// The metrics of a monospaced font at 14px; the text is stretched to them, so
// that a picture looks the same whatever font is there.
const (
	cellWidth  = 8.4
	cellHeight = 18.0
	margin     = 14.0
	bar        = 30.0
	ink        = "#d7dae0"
	paper      = "#1d2026"
)

// svg draws the cells with a title bar above. Empty rows at the end are cut.
func svg(grid [][]cell, cols int, title string) string {
	for len(grid) > 1 && blank(grid[len(grid)-1]) {
		grid = grid[:len(grid)-1]
	}
	w := 2*margin + cellWidth*float64(cols)
	h := bar + 2*margin + cellHeight*float64(len(grid))
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %.0f %.0f" width="%.0f" role="img" aria-label="%s">`+"\n", w, h, w, html.EscapeString(title))
	fmt.Fprintf(&b, `<rect width="%.0f" height="%.0f" rx="8" fill="%s"/>`+"\n", w, h, paper)
	for i, colour := range []string{"#e05561", "#d1a84b", "#8cc265"} {
		fmt.Fprintf(&b, `<circle cx="%d" cy="16" r="5" fill="%s"/>`+"\n", 20+i*17, colour)
	}
	fmt.Fprintf(&b, `<text x="%.0f" y="20" text-anchor="middle" font-family="sans-serif" font-size="12" fill="#8b92a0">%s</text>`+"\n", w/2, html.EscapeString(title))
	b.WriteString(`<g font-family="ui-monospace,'DejaVu Sans Mono',Menlo,Consolas,monospace" font-size="14" xml:space="preserve">` + "\n")
	for y, row := range grid {
		for x := 0; x < len(row); {
			n := run(row[x:])
			span(&b, row[x:x+n], x, y)
			x += n
		}
	}
	b.WriteString("</g>\n</svg>\n")
	return b.String()
}

func blank(row []cell) bool {
	for _, c := range row {
		if c.r != 0 && c.r != ' ' || c.bg != "" {
			return false
		}
	}
	return true
}

// run is how many cells look alike.
func run(row []cell) int {
	n := 1
	for n < len(row) && row[n].style == row[0].style {
		n++
	}
	return n
}

func span(b *strings.Builder, cells []cell, x, y int) {
	var text strings.Builder
	for _, c := range cells {
		if c.r == 0 {
			c.r = ' '
		}
		text.WriteRune(c.r)
	}
	st := cells[0].style
	fg, bg := st.fg, st.bg
	if st.reversed {
		fg, bg = or(bg, paper), or(fg, ink)
	}
	left, top := margin+cellWidth*float64(x), bar+margin+cellHeight*float64(y)
	if bg != "" {
		fmt.Fprintf(b, `<rect x="%.1f" y="%.1f" width="%.1f" height="%.1f" fill="%s"/>`+"\n", left, top, cellWidth*float64(len(cells)), cellHeight, bg)
	}
	shown := strings.TrimRight(text.String(), " ")
	if shown == "" {
		return
	}
	attr := ""
	if st.bold {
		attr += ` font-weight="bold"`
	}
	if st.dim {
		attr += ` opacity="0.6"`
	}
	if st.italic {
		attr += ` font-style="italic"`
	}
	if st.under {
		attr += ` text-decoration="underline"`
	}
	fmt.Fprintf(b, `<text x="%.1f" y="%.1f" textLength="%.1f" fill="%s"%s>%s</text>`+"\n",
		left, top+cellHeight-4.5, cellWidth*float64(len([]rune(shown))), or(fg, ink), attr, html.EscapeString(shown))
}

func or(colour, instead string) string {
	if colour == "" {
		return instead
	}
	return colour
}
