package report

import (
	"fmt"
	"slices"

	"github.com/loupeml/loupe/internal/plural"
	"github.com/loupeml/loupe/lib/display"
	"github.com/loupeml/loupe/lib/mask"
	"github.com/loupeml/loupe/lib/missing"
	"github.com/loupeml/loupe/lib/model"
	"github.com/loupeml/loupe/lib/stats"
)

// missingParts is what the network says where more and more of an image is black, and how much of that is the black:
// the control has the image's own mean colour in its place.
func missingParts(r *run) error {
	if err := r.needAnswers(); err != nil {
		return err
	}
	n, err := r.afford(24, 0.3, 8, 100)
	if err != nil {
		return err
	}
	ds, which := r.sample(n)
	images, err := ds.All()
	if err != nil {
		return err
	}
	defer model.Free(images)
	patches, counts, err := missing.Tenths(images)
	if err != nil {
		return err
	}
	half := slices.Index(counts, 5*patches.Most()/10)
	orders := patches.RandomOrders(r.seed + 1)
	black, err := missing.Ablation{Counts: counts}.Run(r.m, images, patches, orders)
	if err != nil {
		return err
	}
	grey, err := missing.Ablation{Counts: counts, How: missing.Fill{With: mask.Mean()}}.Run(r.m, images, patches, orders)
	if err != nil {
		return err
	}
	keep := func(c *missing.Curve) []bool {
		same := make([]bool, c.Len())
		for i := range same {
			same[i] = c.Predicted[i][half] == c.Whole[i]
		}
		return same
	}
	pair, err := stats.PairedOf(keep(black), keep(grey))
	if err != nil {
		return err
	}
	agreement, iv, err := black.Agreement(half)
	if err != nil {
		return err
	}
	control, _, err := grey.Agreement(half)
	if err != nil {
		return err
	}
	r.measure("missing_agreement", agreement, iv.Low, iv.High)
	lines := display.Lines{Title: "The same class as for the whole image", X: "percent of the image that is missing",
		Y: "percent of the images", YMax: 100}
	for _, of := range []struct {
		c    *missing.Curve
		name string
	}{{black, "black in its place"}, {grey, "the image's mean colour"}} {
		series, err := of.c.Series(of.name)
		if err != nil {
			return err
		}
		lines.Series = append(lines.Series, series)
	}
	plot, err := display.Picture(lines)
	if err != nil {
		return err
	}
	evidence := []Evidence{{Plot: plot}}
	flips, err := black.Flips(half)
	if err != nil {
		return err
	}
	if len(flips) > 0 {
		table := Evidence{Title: "What images with half of them black are taken for instead", Header: []string{"class",
			"images", "of all"}}
		for _, f := range flips[:min(5, len(flips))] {
			table.Rows = append(table.Rows, []string{f.Name, plural.Thousands(f.Images), percent(f.Share)})
		}
		evidence = append(evidence, table)
	}
	d, between := pair.Difference(), pair.Interval()
	f := Finding{
		Value: 100 * d, Low: 100 * between.Low, High: 100 * between.High, Unit: "points", Evidence: evidence,
		Cell: fmt.Sprintf("loupe.Show(\n\tloupe.Missing(net, %s, %d),\n\tloupe.Missing(net, %s, %d, missing.Fill{With: "+
			"mask.Mean()}))", which, r.seed+1, which, r.seed+1),
		Sure: fmt.Sprintf("The same %s lose the same parts in the same order, once to black and once to their mean "+
			"colour; the interval is of the difference, image by image.", plural.Grouped(n, "image")),
	}
	both := fmt.Sprintf("with half of it black %s of the images are taken for the same, with half in their mean "+
		"colour %s", percent(agreement), percent(control))
	switch {
	case between.Low > 0:
		f.Sentence = fmt.Sprintf("Missing parts: black misleads it, beyond what it hides: %s (%s points more, %s).", both,
			number(d), betweenPoints(between))
		f.Weight = missingWeight * between.Low
	case between.High < 0:
		f.Sentence = fmt.Sprintf("Missing parts: a plain colour misleads it more than black does: %s (%s points fewer, "+
			"%s).", both, number(-d), betweenPoints(stats.Interval{Low: -between.High, High: -between.Low}))
		f.Weight = -missingWeight * between.High
	default:
		f.Sentence = fmt.Sprintf("Missing parts: what is put in their place makes no difference that is shown: %s (%s "+
			"points, %s).", both, number(d), betweenPoints(between))
		r.nothing(f)
		return nil
	}
	r.found(f)
	return nil
}

// missingWeight is what images weigh that nobody has yet, with parts missing.
const missingWeight = 0.2
