package faithful

import (
	"errors"
	"fmt"
	"math"

	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/lib/attrib"
	"github.com/loupeml/loupe/lib/internal/reveal"
	"github.com/loupeml/loupe/lib/interrupt"
	"github.com/loupeml/loupe/lib/mask"
	"github.com/loupeml/loupe/lib/model"
	"github.com/loupeml/loupe/lib/stats"
)

// Insertion begins with nothing of an image and puts its pixels in, those first that a heatmap ranks highest. A heatmap
// that names what the network goes by makes it sure of the class early: a larger area under the curve is better.
// Petsiuk et al., BMVC 2018.
type Insertion struct {
	// Steps are how often pixels are put in; the network is asked Steps+1 times. 0 means 224, which at 224x224 is the
	// authors' 224 pixels at a time, or as many as there are pixels.
	Steps int
	// Filler is what there is at first; the zero Filler means the image blurred by a Gaussian of 5 pixels that is cut
	// off at 11 x 11, as in the authors' code, but reflected at the image's edges, where theirs fades to the mean
	// colour.
	Filler mask.Filler
	// Logit puts the class's logit on the curve in place of its probability.
	Logit bool
	// By makes one number of the values of a pixel's channels.
	By attrib.Reduction
}

// Deletion begins with the image and takes its pixels away, those first that a heatmap ranks highest. A heatmap that
// names what the network goes by makes it unsure of the class early: a smaller area under the curve is better. Petsiuk
// et al., BMVC 2018.
type Deletion struct {
	// Steps are how often pixels are taken away; the network is asked Steps+1 times. 0 means 224, which at 224x224 is
	// the authors' 224 pixels at a time, or as many as there are pixels.
	Steps int
	// Filler stands in the place of pixels; the zero Filler means [mask.DatasetMean], zero after normalisation, as in
	// the authors' code.
	Filler mask.Filler
	// Logit puts the class's logit on the curve in place of its probability.
	Logit bool
	// By makes one number of the values of a pixel's channels.
	By attrib.Reduction
}

// Curve is what the network says while pixels are put in or taken away.
type Curve struct {
	// Kind is "insertion" or "deletion".
	Kind string
	// Model, Method and Filler are the names of what was tested.
	Model, Method, Filler string
	// Logit says that Values are logits and not probabilities.
	Logit bool
	// Fractions are the shares of pixels that are put in or taken away at the points of the curves, from 0 to 1.
	Fractions []float64
	// Classes are the classes explained, [N], and ClassNames their names.
	Classes    []int
	ClassNames []string
	// Values are what the network says of each image's class at each point, [N][Steps+1].
	Values [][]float64
	// Areas are those under the curves, [N], by the trapezoidal rule: means over the share of pixels, so of a
	// probability they are in 0..1.
	Areas []float64
}

// Run explains the class of each image, [N, H, W, C] float32 in 0..1, by a method, and follows its heatmaps. classes
// may be nil for the predicted ones, one for all, or one for each image.
//
// Interrupted, it returns the curves of the images that are done beside the error; nil if none is.
func (in Insertion) Run(m *model.Model, images *tensors.Tensor, classes []int, method attrib.Method) (*Curve, error) {
	a, err := attribute(m, images, classes, method)
	if err != nil {
		return nil, err
	}
	return in.Of(m, images, a)
}

// Of is [Insertion.Run] of an attribution that is there already, of the same images.
func (in Insertion) Of(m *model.Model, images *tensors.Tensor, a *attrib.Attribution) (*Curve, error) {
	if in.Filler.Name == "" {
		in.Filler = mask.GaussianBlur(5, 5)
	}
	return follow{settings(in), "insertion"}.run(m, images, a)
}

// Run explains the class of each image, [N, H, W, C] float32 in 0..1, by a method, and follows its heatmaps. classes
// may be nil for the predicted ones, one for all, or one for each image.
//
// Interrupted, it returns the curves of the images that are done beside the error; nil if none is.
func (d Deletion) Run(m *model.Model, images *tensors.Tensor, classes []int, method attrib.Method) (*Curve, error) {
	a, err := attribute(m, images, classes, method)
	if err != nil {
		return nil, err
	}
	return d.Of(m, images, a)
}

// Of is [Deletion.Run] of an attribution that is there already, of the same images.
func (d Deletion) Of(m *model.Model, images *tensors.Tensor, a *attrib.Attribution) (*Curve, error) {
	return follow{settings(d), "deletion"}.run(m, images, a)
}

// settings are those of both.
type settings struct {
	Steps  int
	Filler mask.Filler
	Logit  bool
	By     attrib.Reduction
}

// follow is the way along heatmaps.
type follow struct {
	settings
	kind string
}

func (f follow) run(m *model.Model, images *tensors.Tensor, a *attrib.Attribution) (*Curve, error) {
	if err := check(m, images, a); err != nil {
		return nil, err
	}
	d := images.Shape().Dimensions
	n, size := d[0], d[1]*d[2]
	if f.Steps == 0 {
		f.Steps = min(224, size)
	}
	if f.Steps < 1 || f.Steps > size {
		return nil, fmt.Errorf("faithful: %s in %d steps of images of %d pixels: take between 1 and %[3]d", f.kind,
			f.Steps, size)
	}
	if f.Filler.Name == "" {
		f.Filler = mask.DatasetMean(m)
	}
	heat, err := a.Heatmap(f.By)
	if err != nil {
		return nil, err
	}
	ranks, err := mask.Rank(heat)
	if err != nil {
		return nil, err
	}
	filled, err := mask.Apply(images, tensors.FromScalarAndDimensions(float32(1), n, d[1], d[2]), f.Filler, 0)
	if err != nil {
		return nil, err
	}
	c := &Curve{Kind: f.kind, Model: m.Name(), Method: a.Method, Filler: f.Filler.Name, Logit: f.Logit}
	loop := reveal.Loop{Over: images, Under: filled, Ranks: ranks, Classes: a.Classes, Logit: f.Logit, Work: f.kind}
	if f.kind == "deletion" {
		loop.Over, loop.Under = filled, images
	}
	for i := range f.Steps + 1 {
		count := int(math.Round(float64(i) * float64(size) / float64(f.Steps)))
		loop.Counts, c.Fractions = append(loop.Counts, count), append(c.Fractions, float64(count)/float64(size))
	}
	values, err := loop.Curves(m)
	var overflow *reveal.NotANumber
	if errors.As(err, &overflow) {
		return nil, fmt.Errorf("faithful: %s of image %d with %d pixels: what %s says is not a number: the network overflows",
			f.kind, overflow.Row, loop.Counts[overflow.Point], m.Name())
	}
	if err != nil && !interrupt.Is(err) {
		return nil, fmt.Errorf("faithful: %w", err)
	}
	err = interrupt.After(err, "faithful: "+f.kind, len(values), n, "images")
	if len(values) == 0 {
		return nil, err
	}
	c.Values, c.Classes = values, a.Classes[:len(values)]
	for i, curve := range values {
		c.ClassNames = append(c.ClassNames, m.ClassName(a.Classes[i]))
		c.Areas = append(c.Areas, area(c.Fractions, curve))
	}
	return c, err
}

// area is that under a curve.
func area(x, y []float64) (sum float64) {
	for i := 1; i < len(x); i++ {
		sum += (x[i] - x[i-1]) * (y[i] + y[i-1]) / 2
	}
	return sum
}

// Len is the number of images.
func (c *Curve) Len() int { return len(c.Values) }

// Mean is the mean area under the curves, with Student's 95% interval over the images: see [stats.MeanInterval]. It is
// an error of fewer than two images.
func (c *Curve) Mean() (float64, stats.Interval, error) { return mean(c.Areas) }
