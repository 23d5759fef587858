package report

import (
	"cmp"
	"errors"
	"fmt"
	"image"
	"slices"

	"golang.org/x/image/draw"

	"github.com/loupeml/loupe/internal/plural"
	"github.com/loupeml/loupe/lib/attrib"
	"github.com/loupeml/loupe/lib/attrib/faithful"
	"github.com/loupeml/loupe/lib/display"
	"github.com/loupeml/loupe/lib/model"
	"github.com/loupeml/loupe/lib/stats"
)

// whereItLooks shows heatmaps of some mistakes and of some images that are right, and asks whether they name what the
// network goes by: whether it is surer of an image whose pixels are put in by their order than in a random one.
func whereItLooks(r *run) error {
	if err := r.needAnswers(); err != nil {
		return err
	}
	var method attrib.Method = attrib.IntegratedGradients{}
	code, each := "attrib.IntegratedGradients{}", 150.0
	if r.m.SpatialLayer() != "" {
		method, code, each = attrib.GradCAM{}, "attrib.GradCAM{}", 3
	}
	spec := r.m.Spec()
	steps := min(32, spec.Height*spec.Width)
	// Two curves of the method and two of the random ranking, as loupe.Faithfulness makes them.
	n, err := r.afford(4*float64(steps+1)+each, 0.4, 4, 24)
	if err != nil {
		return err
	}
	ds, which := r.sample(n)
	images, err := ds.All()
	if err != nil {
		return err
	}
	defer model.Free(images)
	tests := faithful.Tests{Insertion: faithful.Insertion{Steps: steps}, Deletion: faithful.Deletion{Steps: steps}}
	compared, err := tests.Compare(r.m, images, nil, method)
	if err != nil {
		return err
	}
	if len(compared.Insertion) != 2 {
		return errors.New("the random ranking is missing")
	}
	areas, random := compared.Insertion[0].Areas, compared.Insertion[1].Areas
	better := make([]float64, len(areas))
	var mean, control float64
	for i := range areas {
		better[i] = areas[i] - random[i]
		mean, control = mean+areas[i]/float64(len(areas)), control+random[i]/float64(len(areas))
	}
	d, iv, err := stats.MeanInterval(better, 0.05)
	if err != nil {
		return err
	}
	insertion, _ := compared.Curves()
	plot, err := display.Picture(insertion)
	if err != nil {
		return err
	}
	looked, picked, err := r.heatmaps(method)
	if err != nil {
		return err
	}
	name := method.Name()
	f := Finding{
		Value: 100 * d, Low: 100 * iv.Low, High: 100 * iv.High, Unit: "points",
		Evidence: append(looked, Evidence{Title: "Does the heatmap name what it goes by?", Plot: plot}),
		Cell: fmt.Sprintf("loupe.Show(\n\tloupe.Explain(net, %s, %s),\n\tloupe.Faithfulness(net, %s, %s))",
			subset(picked), code, which, code),
		Sure: fmt.Sprintf("The pixels of %s are put into a blurred copy in the heatmap's order, and in a random one as "+
			"a control; the interval is of the difference of the mean probabilities, over the images.",
			plural.Grouped(len(areas), "image")),
	}
	both := fmt.Sprintf("mean probability %s where its pixels are put in first, %s by a random order, %s points "+
		"more, %s", percent(mean), percent(control), number(d), betweenPoints(iv))
	if iv.Low < leastMore {
		f.Sentence = fmt.Sprintf("Where it looks: do not rely on the heatmaps of %s: nothing shows that they name what "+
			"the network goes by better than chance does (%s).", name, both)
		r.nothing(f)
		return nil
	}
	f.Sentence = fmt.Sprintf("Where it looks: the heatmaps of %s name places that it goes by (%s).", name, both)
	f.Weight = trust * min(iv.Low, 1)
	r.found(f)
	return nil
}

// leastMore is how much more a heatmap's order is to give than a random one to be worth a word: what a percentage
// shows.
const leastMore = 0.001

// heatmaps are those of the predicted class of up to three mistakes and of up to three images that are right, of which
// the network is surest; without labels, of up to three images.
func (r *run) heatmaps(method attrib.Method) ([]Evidence, []int, error) {
	sure, err := r.e.Answers.Confidence()
	if err != nil {
		return nil, nil, err
	}
	predicted, err := r.e.Answers.Predicted()
	if err != nil {
		return nil, nil, err
	}
	var groups [3][]int // mistakes, right, without a label
	for i := range predicted {
		switch label := r.label(i); {
		case r.left[i]:
		case label < 0:
			groups[2] = append(groups[2], i)
		case label == predicted[i]:
			groups[1] = append(groups[1], i)
		default:
			groups[0] = append(groups[0], i)
		}
	}
	titles := [3]string{"Mistakes: the image, and what speaks for the class predicted (red) and against it (blue)",
		"Right", "Without a label"}
	var evidence []Evidence
	var all []int
	for g, index := range groups {
		if len(index) == 0 || g == 2 && len(all) > 0 {
			continue
		}
		slices.SortStableFunc(index, func(a, b int) int { return cmp.Compare(sure[b], sure[a]) })
		index = index[:min(3, len(index))]
		all = append(all, index...)
		images, err := r.photos.Images(index...)
		if err != nil {
			return nil, nil, err
		}
		classes := make([]int, len(index))
		for k, i := range index {
			classes[k] = predicted[i]
		}
		a, err := method.Attribute(r.m, images, classes)
		if err != nil {
			return nil, nil, err
		}
		heat, err := a.Heatmap()
		if err != nil {
			return nil, nil, err
		}
		drawn, err := display.Images(images)
		if err != nil {
			return nil, nil, err
		}
		overlays, err := display.Overlays(drawn, heat, true)
		if err != nil {
			return nil, nil, err
		}
		e := Evidence{Title: titles[g]}
		for k, i := range index {
			lines := []string{r.file(i), fmt.Sprintf("predicted: %s %s", r.e.Answers.ClassName(predicted[i]), percent(sure[i]))}
			if g == 0 {
				lines = append(lines, "label: "+r.e.Answers.ClassName(r.label(i)))
			}
			e.Pictures = append(e.Pictures, Picture{beside(drawn[k], overlays[k]), lines})
		}
		evidence = append(evidence, e)
		model.Free(images)
	}
	return evidence, all, nil
}

// beside is two pictures in one, the second right of the first and as large.
func beside(left, right image.Image) image.Image {
	size := left.Bounds().Size()
	gap := max(1, size.X/28)
	both := image.NewRGBA(image.Rect(0, 0, 2*size.X+gap, size.Y))
	draw.Draw(both, both.Bounds(), image.White, image.Point{}, draw.Src)
	for at, img := range map[int]image.Image{0: left, size.X + gap: right} {
		from := img.Bounds()
		draw.CatmullRom.Scale(both, image.Rect(at, 0, at+size.X, size.Y), img, from, draw.Src, nil)
	}
	return both
}

// label is that of an image in the network's numbering, -1 for none.
func (r *run) label(i int) int {
	if r.e.Answers.Labels == nil {
		return -1
	}
	return r.e.Answers.Labels[i]
}
