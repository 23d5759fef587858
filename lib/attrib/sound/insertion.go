package sound

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/lib/attrib"
	"github.com/loupeml/loupe/lib/internal/reveal"
	"github.com/loupeml/loupe/lib/interrupt"
	"github.com/loupeml/loupe/lib/mask"
	"github.com/loupeml/loupe/lib/model"
	"github.com/loupeml/loupe/lib/progress"
)

// Insertion evaluates saliency maps: it shows the network the pixels that a map ranks highest, more and more of them,
// with a filler in the place of the others, and takes the mean of the label's probability for the area under its curve.
type Insertion struct {
	// Points are how many images are made of each, with i/Points of the pixels for i from 1 on: the last is the image
	// itself. 0 means 28, which at 224x224 is the authors' 1,792 pixels at a time. There are at most as many as pixels.
	Points int
	// Filler stands in the place of pixels; the zero Filler means [mask.DatasetMean], zero after normalisation, as in
	// the authors' code.
	Filler mask.Filler
	// Epsilon is the probability below which a label counts as rejected; 0 means 0.1.
	Epsilon float64
}

// Evaluation is what became of maps.
type Evaluation struct {
	Maps *Maps // of the images that were evaluated
	// Epsilon and Filler are those of the [Insertion].
	Epsilon float64
	Filler  string
	// Fractions are the shares of pixels at the points of the curves.
	Fractions []float64
	// Predicted are the classes that the model predicts, [N].
	Predicted []int
	// Probability is the model's, of each image and label, [N][L].
	Probability [][]float64
	// Curve is the label's probability at each point, [N][L][Points], and AUC its mean, [N][L].
	Curve [][][]float64
	AUC   [][]float64
	// Completeness and Soundness are those of [Completeness] and [Soundness], [N][L].
	Completeness, Soundness [][]float64
}

// Completeness is the α for which a map is α-complete,
//
//	min(max(ε, AUC) / p, 1)
//
// where p is the probability of the label for the whole image and AUC the mean along its map's curve. It is 1 where the
// map's pixels make the network as sure of the label as the whole image does. The definition is the authors' code's.
func Completeness(auc, p, epsilon float64) float64 {
	return min(max(epsilon, auc)/p, 1)
}

// Soundness is the β for which a map is β-sound,
//
//	min(max(ε, p) / AUC, 1)
//
// with p and AUC as in [Completeness]. It is 1 where the map's pixels make the network no surer of the label than the
// whole image does, or than ε.
func Soundness(auc, p, epsilon float64) float64 {
	return min(max(epsilon, p)/auc, 1)
}

// Evaluate evaluates maps of images, [N, H, W, C] float32 in 0..1.
//
// Many pairs are evaluated at once, in one loop on the device. Interrupted, Evaluate returns what it has of the first
// images beside the error, or nil if none is done.
func (in Insertion) Evaluate(m *model.Model, images *tensors.Tensor, maps *Maps) (*Evaluation, error) {
	if maps == nil || maps.Values == nil {
		return nil, fmt.Errorf("sound: there are no maps to evaluate: Of and Masks make them")
	}
	p, err := pairsOf(m, images, maps.Labels)
	if err != nil {
		return nil, err
	}
	d := images.Shape().Dimensions
	n, each, size := len(p.classes), len(p.labels[0]), d[1]*d[2]
	if want := []int{d[0], each, d[1], d[2]}; maps.Values.DType() != dtypes.Float32 ||
		!slices.Equal(maps.Values.Shape().Dimensions, want) {
		return nil, fmt.Errorf("sound: maps for images %v with %d labels each are %v float32, not %s", d, each, want,
			maps.Values.Shape())
	}
	if in.Points == 0 {
		in.Points = min(28, size)
	}
	if in.Epsilon == 0 {
		in.Epsilon = 0.1
	}
	if in.Points < 1 || in.Points > size {
		return nil, fmt.Errorf("sound: a curve of %d points for images of %d pixels: take between 1 and %[2]d",
			in.Points, size)
	}
	if !(in.Epsilon > 0 && in.Epsilon <= 1) {
		return nil, fmt.Errorf("sound: epsilon is %v, it is a probability above 0 (the paper's is 0.1)", in.Epsilon)
	}
	if in.Filler.Name == "" {
		in.Filler = mask.DatasetMean(m)
	}
	flat, err := tensors.CopyFlatData[float32](maps.Values)
	if err != nil {
		return nil, fmt.Errorf("sound: %w", err)
	}
	ranks, err := mask.Rank(tensors.FromFlatDataAndDimensions(flat, n, d[1], d[2]))
	if err != nil {
		return nil, fmt.Errorf("sound: %s: %w", maps.Method, err)
	}
	filled, err := mask.Keep(p.images, tensors.FromScalarAndDimensions(float32(0), n, d[1], d[2]), in.Filler, 0)
	if err != nil {
		return nil, err
	}
	probabilities, err := m.Probabilities(images)
	if err != nil {
		return nil, err
	}
	whole, err := tensors.CopyFlatData[float32](probabilities)
	if err != nil {
		return nil, fmt.Errorf("sound: %w", err)
	}
	curves, stopped := in.curves(m, p, ranks, filled)
	if stopped != nil && curves == nil {
		return nil, stopped
	}

	done := len(curves) / each // images
	if done == 0 {
		return nil, stopped
	}
	e := &Evaluation{Epsilon: in.Epsilon, Filler: in.Filler.Name}
	e.Maps = &Maps{Method: maps.Method, Labels: maps.Labels[:done],
		Values: tensors.FromFlatDataAndDimensions(flat[:done*each*size], done, each, d[1], d[2])}
	for _, k := range in.counts(size) {
		e.Fractions = append(e.Fractions, float64(k)/float64(size))
	}
	for i, of := range p.labels[:done] {
		row := whole[i*m.NumClasses() : (i+1)*m.NumClasses()]
		e.Predicted = append(e.Predicted, slices.Index(row, slices.Max(row)))
		e.Curve = append(e.Curve, curves[i*each:(i+1)*each])
		var names []string
		var probability, auc, alpha, beta []float64
		for l, label := range of {
			var sum float64
			for _, v := range e.Curve[i][l] {
				sum += v
			}
			sum /= float64(in.Points)
			clean := float64(row[label])
			names = append(names, m.ClassName(label))
			probability, auc = append(probability, clean), append(auc, sum)
			alpha, beta = append(alpha, Completeness(sum, clean, in.Epsilon)), append(beta, Soundness(sum, clean, in.Epsilon))
		}
		e.Maps.ClassNames = append(e.Maps.ClassNames, names)
		e.Probability, e.AUC = append(e.Probability, probability), append(e.AUC, auc)
		e.Completeness, e.Soundness = append(e.Completeness, alpha), append(e.Soundness, beta)
	}
	return e, stopped
}

// Compare makes and evaluates the maps of several methods for the same images and labels: see [Of] and
// [Insertion.Evaluate]. Interrupted, it returns the evaluations of the methods that are done beside the error.
func (in Insertion) Compare(m *model.Model, images *tensors.Tensor, labels [][]int,
	methods ...attrib.Method) ([]*Evaluation, error) {
	if len(methods) == 0 {
		return nil, fmt.Errorf("sound: there are no methods to compare, such as attrib.GradCAM{} or Paper(m, others)")
	}
	var done []*Evaluation
	bar := progress.New(m.Name()+": comparing attribution methods", len(methods))
	defer bar.Close()
	for _, method := range methods {
		maps, err := Of(m, images, labels, method)
		if err != nil {
			return done, interrupt.After(err, "sound: comparison", len(done), len(methods), "methods")
		}
		e, err := in.Evaluate(m, images, maps)
		if err != nil {
			return done, interrupt.After(err, "sound: comparison", len(done), len(methods), "methods")
		}
		done = append(done, e)
		bar.Add(1)
	}
	return done, nil
}

// counts are the numbers of pixels at the points.
func (in Insertion) counts(size int) []int {
	counts := make([]int, in.Points)
	for i := range counts {
		counts[i] = int(math.Round(float64((i+1)*size) / float64(in.Points)))
	}
	return counts
}

// curves returns the probability at each point for each pair; interrupted, for the first pairs.
func (in Insertion) curves(m *model.Model, p *pairs, ranks, filled *tensors.Tensor) ([][]float64, error) {
	d := p.images.Shape().Dimensions
	counts := in.counts(d[1] * d[2])
	curves, err := reveal.Loop{Over: p.images, Under: filled, Ranks: ranks, Classes: p.classes, Counts: counts,
		Work: "completeness and soundness"}.Curves(m)
	each := len(p.labels[0])
	var overflow *reveal.NotANumber
	switch {
	case errors.As(err, &overflow):
		return nil, fmt.Errorf(
			"sound: the probability of label %d is not a number with %d pixels of image %d left: the network overflows",
			p.classes[overflow.Row], counts[overflow.Point], overflow.Row/each)
	case interrupt.Is(err):
		return curves, interrupt.After(err, "sound: insertion", len(curves)/each, len(p.labels), "images")
	case err != nil:
		return nil, fmt.Errorf("sound: %w", err)
	}
	return curves, nil
}
