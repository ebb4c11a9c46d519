// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"fmt"
	"image/color"
	"math"
	"strconv"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/plotutil"
	"gonum.org/v1/plot/vg"
)

func init() {
	plot.DefaultFont = font.Font{Typeface: "Liberation", Variant: "Sans"}
}

// figure is a plot of a row: a benchmark at growing sizes.
type figure struct {
	row   string
	shows string // the description, also for people who do not see the figure
	of    string // the benchmark up to the size, as in Text/sources=
	x, y  string // what the axes say
	// A value is the benchmark's by a factor, and where each is set, by the size.
	factor float64
	each   bool
	lines  []line
	// isLinear has y begin at 0 and grow evenly; else it is logarithmic, as x always is.
	isLinear bool
	// hasNLogN adds what a work of n log n takes that begins where the first line does.
	hasNLogN bool
}

// line is a way at some sizes.
type line struct {
	name, way, unit string
	sizes           []int
}

// draw returns the plot as SVG.
func (f *figure) draw(o *output) ([]byte, error) {
	p := plot.New()
	p.X.Label.Text, p.Y.Label.Text = f.x, f.y
	p.X.Scale, p.X.Tick.Marker = plot.LogScale{}, decades{}
	p.Add(plotter.NewGrid())
	for i, l := range f.lines {
		points, err := f.points(o, l)
		if err != nil {
			return nil, err
		}
		if i == 0 && f.hasNLogN {
			reference, err := plotter.NewLine(nLogNFrom(points))
			if err != nil {
				return nil, err
			}
			reference.Color, reference.Dashes = color.Gray{Y: 128}, []vg.Length{vg.Points(4), vg.Points(4)}
			p.Add(reference)
			p.Legend.Add("n log n", reference)
		}
		drawn, marks, err := plotter.NewLinePoints(points)
		if err != nil {
			return nil, err
		}
		drawn.Color, marks.Color, marks.Shape = plotutil.Color(i), plotutil.Color(i), plotutil.Shape(i)
		p.Add(drawn, marks)
		p.Legend.Add(l.name, drawn, marks)
	}
	p.Legend.Top, p.Legend.Left = true, true
	if f.isLinear {
		p.Y.Min, p.Y.Max = 0, 1.4*p.Y.Max
	} else {
		p.Y.Scale, p.Y.Tick.Marker = plot.LogScale{}, decades{}
		p.Y.Min, p.Y.Max = math.Pow10(int(math.Floor(math.Log10(p.Y.Min)))), 4*p.Y.Max // with room for the legend
	}
	return svgOf(p)
}

func svgOf(p *plot.Plot) ([]byte, error) {
	to, err := p.WriterTo(16*vg.Centimeter, 9*vg.Centimeter, "svg")
	if err != nil {
		return nil, err
	}
	var svg bytes.Buffer
	if _, err := to.WriteTo(&svg); err != nil {
		return nil, err
	}
	// Few machines have the font itself. Those behind it have letters of the same widths.
	return bytes.ReplaceAll(svg.Bytes(), []byte("font-family:Liberation Sans;"), []byte("font-family:Liberation Sans,Arial,Helvetica,sans-serif;")), nil
}

// decades are the ticks of a logarithmic axis, with numbers as people write them.
type decades struct{ plot.LogTicks }

func (d decades) Ticks(low, high float64) []plot.Tick {
	ticks := d.LogTicks.Ticks(low, high)
	for i := range ticks {
		if ticks[i].Label != "" {
			ticks[i].Label = grouped(ticks[i].Value)
		}
	}
	return ticks
}

// grouped writes a number with a comma before each three digits: 1,000.
func grouped(value float64) string {
	text := strconv.FormatFloat(value, 'f', -1, 64)
	for at := len(text) - 3; value >= 1000 && at > 0; at -= 3 {
		text = text[:at] + "," + text[at:]
	}
	return text
}

// points are the medians of a line.
func (f *figure) points(o *output, l line) (plotter.XYs, error) {
	var points plotter.XYs
	for _, size := range l.sizes {
		s, err := o.sample(f.of+strconv.Itoa(size)+"/way="+l.way, l.unit)
		if err != nil {
			return nil, err
		}
		y := f.factor * summarize(s).median
		if f.each {
			y /= float64(size)
		}
		if y <= 0 {
			return nil, fmt.Errorf("its Benchmark%s%d/way=%s has %g %s, which cannot be drawn", f.of, size, l.way, summarize(s).median, l.unit)
		}
		points = append(points, plotter.XY{X: float64(size), Y: y})
	}
	return points, nil
}

// nLogNFrom is what one of each size takes of a work of n log n, beginning at the first of some points.
func nLogNFrom(points plotter.XYs) (line plotter.XYs) {
	for _, point := range points {
		line = append(line, plotter.XY{X: point.X, Y: points[0].Y * math.Log(point.X) / math.Log(points[0].X)})
	}
	return line
}
