package report

import (
	"fmt"
	"image"
	"math"
	"strings"

	"github.com/loupeml/loupe/lib/stats"
	"github.com/loupeml/loupe/lib/table"
)

// Finding is one thing that was found, or that was looked for and not found.
type Finding struct {
	// Check is the name of the check that found it, one of [Checks].
	Check string
	// Sentence says it in plain English.
	Sentence string
	// Value is the number that it is about, in Unit, and Low and High are its 95% interval; NaN where there is none.
	Value, Low, High float64
	// Unit is "share", in 0..1, "points", percentage points in -100..100, or "area", under a curve, in 0..1 and 0.5 by
	// chance; "" where there is no number.
	Unit string
	// Sure says how sure it is: what the interval is over, and what it rests on.
	Sure string
	// Weight is what findings are ordered by: the share of the images that it touches at least, by the end of the interval
	// that is nearer to nothing, and less where it is about how far other figures can be trusted. 0 of what was not found.
	Weight float64
	// Evidence shows it.
	Evidence []Evidence
	// Cell is Go that shows the same again, with the network as net and the images as photos; see [Report.Begin].
	Cell string
}

// Evidence is a plot, pictures or a small table.
type Evidence struct {
	Title    string
	Plot     image.Image // at twice the size of the screen's pixels; nil for none
	Pictures []Picture
	Header   []string // of the table
	Rows     [][]string
	Note     string
}

// Picture is a picture with what is to be said of it.
type Picture struct {
	Image   image.Image
	Caption []string // lines
}

// LeftOut is a check that has said nothing.
type LeftOut struct {
	Check string `json:"check"`
	Why   string `json:"why"`
}

// Measure is a number that a threshold can be compared with: the larger, the better.
type Measure struct {
	Name      string
	Value     float64
	Low, High float64 // its 95% interval; NaN where there is none
	What      string
}

// percent writes a share: with one decimal, and small ones with two digits, so that few of very many are not none.
func percent(share float64) string {
	switch v := 100 * share; {
	case v == 0 || v == 100:
		return fmt.Sprintf("%.0f%%", v)
	case math.Abs(v) < 0.95:
		return fmt.Sprintf("%.2g%%", v)
	default:
		return fmt.Sprintf("%.1f%%", v)
	}
}

// number writes percentage points of a share.
func number(share float64) string {
	if s := fmt.Sprintf("%.1f", 100*share); s != "-0.0" {
		return s
	}
	return "0.0"
}

// between writes the interval of shares in percent.
func between(iv stats.Interval) string {
	return fmt.Sprintf("95%% interval %s to %s", number(iv.Low), percent(iv.High))
}

// betweenPoints writes the interval of a difference of shares in points.
func betweenPoints(iv stats.Interval) string {
	return fmt.Sprintf("95%% interval %s to %s", number(iv.Low), number(iv.High))
}

// sentence is an error in the words of a page: one line, without the package's name, with a full stop.
func sentence(err error) string {
	text := err.Error()
	if name, rest, found := strings.Cut(text, ": "); found && !strings.Contains(name, " ") {
		text = rest
	}
	text, _, _ = strings.Cut(text, "\n")
	return strings.TrimRight(text, ".") + "."
}

// written is a table's cell in words.
func written(cell any) string {
	switch v := cell.(type) {
	case string:
		return v
	case table.Percent:
		return percent(float64(v))
	case float64:
		return fmt.Sprintf("%.3g", v)
	}
	return fmt.Sprint(cell)
}
