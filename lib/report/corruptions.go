package report

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/loupeml/loupe/internal/plural"
	"github.com/loupeml/loupe/lib/display"
	"github.com/loupeml/loupe/lib/perturb"
	"github.com/loupeml/loupe/lib/shift"
	"github.com/loupeml/loupe/lib/stats"
)

// corruptionNames are one of each family: what a camera, a hand, light and a network do to a picture.
var corruptionNames = []string{"gaussian_noise", "defocus_blur", "brightness", "jpeg_compression"}

const (
	middle           = 3   // the severity that findings are about
	corruptionWeight = 0.5 // what images weigh that are not so now, but often will be
)

// corruptions is by how much the accuracy falls on a sample where the pictures are worse.
func corruptions(r *run) error {
	if err := r.needLabels(); err != nil {
		return err
	}
	list, err := perturb.CorruptionsNamed(corruptionNames...)
	if err != nil {
		return err
	}
	passes := float64(1 + len(list)*perturb.Severities)
	n, err := r.afford(2*passes, 0.5, 10, 200) // to corrupt an image takes about as long as a pass
	if err != nil {
		return err
	}
	ds, which := r.sample(n)
	sweep, err := shift.SweepDataset(r.m, ds, 0, list...)
	if err != nil {
		return err
	}
	clean := sweep.Accuracy[0][0]
	type fall struct {
		name string
		to   stats.Accuracy
		d    float64
		iv   stats.Interval
	}
	var falls []fall
	var mean float64
	table := Evidence{Title: fmt.Sprintf("Right at severity %d of %d", middle, perturb.Severities),
		Header: []string{"corruption", "right", "fewer than without, points", "interval"}}
	for c, name := range sweep.Corruptions {
		to := sweep.Accuracy[c][middle]
		d, iv, err := fewer(clean, to, 0.05/float64(len(sweep.Corruptions)))
		if err != nil {
			return err
		}
		falls = append(falls, fall{strings.ReplaceAll(name, "_", " "), to, d, iv})
		mean += to.Share() / float64(len(sweep.Corruptions))
	}
	slices.SortStableFunc(falls, func(a, b fall) int { return cmp.Compare(b.iv.Low, a.iv.Low) })
	for _, f := range falls {
		table.Rows = append(table.Rows, []string{f.name, percent(f.to.Share()), number(f.d),
			number(f.iv.Low) + " to " + number(f.iv.High)})
	}
	r.measure("corrupted_accuracy", mean, nan, nan)
	lines, err := sweep.Plot()
	if err != nil {
		return err
	}
	plot, err := display.Picture(lines)
	if err != nil {
		return err
	}
	quoted := make([]string, len(corruptionNames))
	for i, name := range corruptionNames {
		quoted[i] = fmt.Sprintf("%q", name)
	}
	worst := falls[0]
	f := Finding{
		Value: 100 * worst.d, Low: 100 * worst.iv.Low, High: 100 * worst.iv.High, Unit: "points",
		Evidence: []Evidence{{Plot: plot}, table},
		Cell:     fmt.Sprintf("loupe.CorruptionSweep(net, %s, %s)", which, strings.Join(quoted, ", ")),
		Sure: fmt.Sprintf("The same %s with and without; the intervals take them for different ones, so they are wider "+
			"than they need be, and hold for all %d corruptions together with 95%%.",
			plural.Grouped(clean.Total, "labelled image"), len(falls)),
	}
	if worst.iv.Low <= 0 {
		f.Sentence = fmt.Sprintf("Corruptions: none of %d is shown to cost accuracy at severity %d of %d; with %s it is "+
			"right about %s, and about %s without.",
			len(falls), middle, perturb.Severities, worst.name, percent(worst.to.Share()), percent(clean.Share()))
		r.nothing(f)
		return nil
	}
	harmful := 0
	for _, f := range falls {
		if f.iv.Low > 0 {
			harmful++
		}
	}
	f.Sentence = fmt.Sprintf("Corruptions: with %s of severity %d of %d it is right about %s of the images instead "+
		"of %s, %s points fewer (%s, for all corruptions together)",
		worst.name, middle, perturb.Severities, percent(worst.to.Share()), percent(clean.Share()), number(worst.d),
		betweenPoints(worst.iv))
	if harmful > 1 {
		f.Sentence += fmt.Sprintf("; %d of %d corruptions cost accuracy", harmful, len(falls))
	}
	f.Sentence += "."
	f.Weight = corruptionWeight * math.Max(worst.iv.Low, 0)
	r.found(f)
	return nil
}
