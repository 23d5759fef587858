package report

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/loupeml/loupe/internal/plural"
	"github.com/loupeml/loupe/lib/attrib/spray"
	"github.com/loupeml/loupe/lib/data"
	"github.com/loupeml/loupe/lib/display"
	"github.com/loupeml/loupe/lib/model"
	"github.com/loupeml/loupe/lib/stats"
)

const (
	trickClass  = 40      // images that a class is to have: a group of a fourth is more than an image's ten neighbours
	trickPixels = 1 << 27 // of heatmaps, which are all held at once
	mostGroups  = 8       // that are tried, the one first that stands most apart
	trickImages = 100     // that a part is put onto
	trickWeight = 0.3     // it takes an image with that part
)

// tried is a group with what its part does.
type tried struct {
	*spray.Transplanted
	place    int // of its class's analysis
	pair     stats.Paired
	interval stats.Interval // for all groups together
}

// tricks is whether a group of a class's images, found by its heatmaps, goes by a small part that makes other images be
// taken for the class too: a tag, a watermark, a border.
func tricks(r *run) error {
	labels, _, _, err := r.answered()
	if err != nil {
		return err
	}
	of := map[int]int{}
	for _, label := range labels {
		of[label]++
	}
	if len(of) < 2 {
		return errors.New("all labels are of one class: there are no other images to put a part onto")
	}
	if most := largest(of); most < trickClass {
		return fmt.Errorf("it takes a class with %d images, and the largest has %d", trickClass, most)
	}
	// A heatmap takes about four passes, and to try a group as many for each image: with two parts, after a look at twice
	// as many images.
	const passes, part = 4, 0.6
	spec := r.m.Spec()
	most := min(len(r.e.Answers.Labels), trickPixels/(spec.Height*spec.Width))
	n, err := r.affordOf(passes, part, trickClass+trickImages, math.MaxInt)
	if err != nil {
		return err
	}
	try := min(mostGroups, max(1, n/4/trickImages)) // a fourth of the time
	ds, which, classes, err := r.classesOf(min(most, n-try*trickImages), of)
	if err != nil {
		return err
	}
	analyses, err := spray.SpRAy{}.Classes(r.m, ds, classes...)
	if err != nil {
		return err
	}
	prefix := fmt.Sprintf("sample := loupe.Prepare(net, %s)\nall := spray.SpRAy{}.Classes(net, sample%s)\n", which,
		arguments(classes))
	var groups []tried
	for place, a := range analyses {
		if len(groups) == try || len(a.Strategies) == 0 {
			break // those without a group come last
		}
		t, err := spray.Transplant{Images: trickImages, Seed: r.seed}.Of(r.m, ds, a, 0)
		if err != nil {
			return err
		}
		pair, err := t.Paired()
		if err != nil {
			return err
		}
		groups = append(groups, tried{Transplanted: t, place: place, pair: pair})
	}
	cell := fmt.Sprintf("loupe.Show(spray.Transplant{Images: %d, Seed: %d}.Of(net, sample, all[%%d], 0), all[%%[1]d]."+
		"Sheet(sample, 6))", trickImages, r.seed)
	if len(groups) == 0 {
		r.nothing(Finding{
			Sentence: fmt.Sprintf("Tricks: in %s no group of images stands apart by what the network goes by.",
				plural.Grouped(len(analyses), "class")),
			Value: nan, Low: nan, High: nan, Cell: prefix + "all",
			Sure: "Groups of more than ten images, and of no more than half of a class, are looked for in its heatmaps.",
		})
		return nil
	}
	for i := range groups {
		if groups[i].interval, err = groups[i].pair.IntervalAt(0.05 / float64(len(groups))); err != nil {
			return err
		}
	}
	slices.SortStableFunc(groups, func(a, b tried) int { return cmp.Compare(b.interval.Low, a.interval.Low) })
	table := Evidence{Title: "The groups that stand most apart", Header: []string{"class", "images", "in the group",
		"ties that lead out", "taken for it with the group's part", "with the others'"}}
	for _, g := range groups {
		a := analyses[g.place]
		table.Rows = append(table.Rows, []string{g.ClassName, plural.Thousands(len(a.Images)), plural.Thousands(g.Size),
			percent(a.Conductance()), percent(g.WithPart().Share()), percent(g.WithControl().Share())})
	}
	first := groups[0]
	d := first.pair.Difference()
	f := Finding{
		Value: 100 * d, Low: 100 * first.interval.Low, High: 100 * first.interval.High, Unit: "points",
		Cell: prefix + fmt.Sprintf(cell, first.place),
		Sure: fmt.Sprintf("Spectral relevance analysis groups the heatmaps of a class; one half of a group says which "+
			"part it goes by, and the part is cut out of the other half. Each of %s of other classes is seen with it and, as a "+
			"control, with the same part of the class's other images. The interval is over these images, and so wide that "+
			"those of all %s hold together. Tricks that lie at no fixed place are not found.",
			plural.Grouped(len(first.Onto), "image"), plural.Grouped(len(groups), "group")),
	}
	if first.interval.Low <= 0 {
		f.Sentence = fmt.Sprintf("Tricks: of %s of images that stand apart by what the network goes by, none is shown to "+
			"have a part that makes other images be taken for its class; most does that of %q, %s against %s without "+
			"it (%s points, %s).", plural.Grouped(len(groups), "group"), first.ClassName, percent(first.WithPart().Share()),
			percent(first.WithControl().Share()), number(d), betweenPoints(first.interval))
		f.Evidence = []Evidence{table}
		r.nothing(f)
		return nil
	}
	if f.Evidence, err = r.trickEvidence(ds, analyses[first.place], first); err != nil {
		return err
	}
	f.Evidence = append(f.Evidence, table)
	f.Sentence = fmt.Sprintf("Tricks: %s of the %s of %q stand apart by what the network goes by. A part of theirs, %s, "+
		"put onto images of other classes, makes %s of them be taken for %q, the same part of the class's other images %s "+
		"(%s points more, %s). If the part does not belong to %q, the network has learnt a trick",
		plural.Thousands(first.Size), plural.Grouped(len(analyses[first.place].Images), "image"), first.ClassName,
		first.Where(), percent(first.WithPart().Share()), first.ClassName, percent(first.WithControl().Share()), number(d),
		betweenPoints(first.interval), first.ClassName)
	var more []string
	for _, g := range groups[1:] {
		if g.interval.Low > 0 {
			more = append(more, fmt.Sprintf("%q", g.ClassName))
		}
	}
	if len(more) > 0 {
		f.Sentence += "; so it may be of " + strings.Join(more, ", ")
	}
	f.Sentence += "."
	f.Weight = trickWeight * first.interval.Low
	r.found(f)
	return nil
}

// classesOf are so many images at most, the Go that makes them, and those of their classes that have enough: of all
// images where there is time, else of a sample, else of the largest classes.
func (r *run) classesOf(n int, of map[int]int) (*data.Dataset, string, []int, error) {
	enough := func(of map[int]int) (classes []int) {
		for c, images := range of {
			if c >= 0 && images >= trickClass {
				classes = append(classes, c)
			}
		}
		slices.SortFunc(classes, func(a, b int) int { return cmp.Or(cmp.Compare(of[b], of[a]), cmp.Compare(a, b)) })
		return classes
	}
	ds, code := r.sample(n)
	labels, err := r.m.LabelsOf(ds)
	if err != nil {
		return nil, "", nil, err
	}
	within := map[int]int{}
	for _, label := range labels {
		within[label]++
	}
	if classes := enough(within); len(classes) > 0 {
		slices.Sort(classes)
		return ds, code, classes, nil
	}
	var classes []int
	for _, c := range enough(of) {
		if n -= of[c]; n < 0 {
			break
		}
		classes = append(classes, c)
	}
	if len(classes) == 0 {
		return nil, "", nil, fmt.Errorf("out of time: it takes a class of images, and the largest has %s",
			plural.Thousands(largest(of)))
	}
	slices.Sort(classes)
	return r.photos, "photos", classes, nil
}

func largest(of map[int]int) int {
	most := 0
	for _, n := range of {
		most = max(most, n)
	}
	return most
}

// arguments are numbers as the last ones of a call.
func arguments(numbers []int) string {
	var b strings.Builder
	for _, n := range numbers {
		fmt.Fprintf(&b, ", %d", n)
	}
	return b.String()
}

// trickEvidence are images of the group with their heatmaps, others of the class, and images that the part turns.
func (r *run) trickEvidence(ds *data.Dataset, a *spray.Analysis, t tried) ([]Evidence, error) {
	const shown = 4
	var group, rest []int // places in the analysis
	for i, member := range a.Strategies[t.Group].Members {
		switch {
		case member && len(group) < shown:
			group = append(group, i)
		case !member && len(rest) < shown:
			rest = append(rest, i)
		}
	}
	var evidence []Evidence
	for _, of := range []struct {
		title  string
		places []int
	}{
		{fmt.Sprintf("The group: images of %q, and what speaks for it (red) and against it (blue)", a.ClassName), group},
		{fmt.Sprintf("Other images of %q", a.ClassName), rest},
	} {
		e := Evidence{Title: of.title}
		index := make([]int, len(of.places))
		for k, i := range of.places {
			index[k] = a.Images[i]
		}
		images, err := ds.Images(index...)
		if err != nil {
			return nil, err
		}
		drawn, err := display.Images(images)
		model.Free(images)
		if err != nil {
			return nil, err
		}
		heat, err := a.HeatmapsOf(of.places...)
		if err != nil {
			return nil, err
		}
		overlays, err := display.Overlays(drawn, heat, true)
		if err != nil {
			return nil, err
		}
		for k, i := range index {
			e.Pictures = append(e.Pictures, Picture{beside(drawn[k], overlays[k]), []string{fileOf(ds, i)}})
		}
		evidence = append(evidence, e)
	}
	var turned []int // places among those that the part was put onto
	for k, is := range t.Taken {
		if is && len(turned) < shown {
			turned = append(turned, k)
		}
	}
	images, err := t.Pasted(ds, turned...)
	if err != nil {
		return nil, err
	}
	defer model.Free(images)
	pictures, err := r.drawn(images, func(k int) []string {
		return []string{"label: " + ds.ClassName(t.Onto[turned[k]]), "with the part: " + t.ClassName}
	})
	if err != nil {
		return nil, err
	}
	return append(evidence, Evidence{Title: "Images of other classes that the part turns", Pictures: pictures}), nil
}
