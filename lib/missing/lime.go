package missing

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"sort"

	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/lib/model"
)

// LIME explains an image's class by a linear model of its probability in which segments are there: random halves of the
// segments are taken away, and a ridge regression on what is left, masks near the whole image counting more, gives each
// segment its share. Ribeiro et al., KDD 2016, with the settings of Jain et al., ICLR 2022, section 4, where fields are
// zero.
type LIME struct {
	// How segments are taken away; nil is black.
	How Approximation
	// Masks is how many are drawn; 0 means 1000. A segment stays in half of them. All images share them.
	Masks int
	// Seed draws them.
	Seed uint64
	// Keep are masks of your own instead, [M, S] float32: 1 where a segment stays. Of images with fewer than S segments
	// the first columns count.
	Keep *tensors.Tensor
	// KernelWidth is the σ of the masks' weights, √exp(-d²/σ²), d a mask's cosine distance from the whole image; 0
	// means 0.25.
	KernelWidth float64
	// Alpha is the regression's penalty on the squares of the coefficients; 0 means 1.
	Alpha float64
	// Columns, if it is larger than an image's number of segments, lets the regression have so many, those without a
	// segment as noise and in the distances, as the authors' program does with superpixels (it has one number for all
	// images). Only with superpixels does it matter.
	Columns int
}

// Explanations are what [LIME] or [KernelSHAP] find in images.
type Explanations struct {
	Segments *Segments
	// Model and How are the names of what was asked.
	Model, How string
	// Classes were explained, one for each image, and ClassNames are what they are called.
	Classes    []int
	ClassNames []string
	// Coefficients are how much each segment of each image adds to the class's probability, by KernelSHAP to its logit,
	// Intercepts what there is without any, and R2 the share of the variance of either, by the masks' weights, that the
	// linear model explains.
	Coefficients   [][]float64
	Intercepts, R2 []float64
	// Probabilities are those of the class, under each mask.
	Probabilities [][]float64
	// Whole is the class's logit for the whole image, and Nothing that without any segment; nil for LIME.
	Whole, Nothing []float64
}

// Explain explains images, [N, H, W, C] float32 in 0..1; classes, as in the model's TargetClasses, are by default those
// predicted.
//
// Interrupted, it returns the explanations of the images that are done beside the error; nil if none is.
func (l LIME) Explain(m *model.Model, images *tensors.Tensor, segments *Segments, classes ...int) (*Explanations,
	error) {
	classes, err := m.TargetClasses(images, classes)
	if err != nil {
		return nil, err
	}
	if err := segments.check(images); err != nil {
		return nil, err
	}
	if l.How == nil {
		l.How = Fill{}
	}
	if l.KernelWidth == 0 {
		l.KernelWidth = 0.25
	}
	if l.Alpha == 0 {
		l.Alpha = 1
	}
	if !(l.KernelWidth > 0) || !(l.Alpha > 0) || math.IsInf(l.KernelWidth, 0) || math.IsInf(l.Alpha, 0) {
		return nil, fmt.Errorf("missing: LIME's kernel width is %v and its alpha %v: both are positive",
			l.KernelWidth, l.Alpha)
	}
	columns := max(segments.Most(), l.Columns)
	keep, err := l.masks(columns)
	if err != nil {
		return nil, err
	}
	first := func(count int) [][]bool {
		part := make([][]bool, len(keep))
		for i, mask := range keep {
			part[i] = mask[:count]
		}
		return part
	}
	answers, stopped := ask("LIME", m, images, segments, l.How, classes,
		func(i int) [][]bool { return first(segments.Counts[i]) })
	if len(answers) == 0 {
		return nil, stopped
	}
	e := &Explanations{Segments: segments, Model: m.Name(), How: l.How.Name(), Classes: classes[:len(answers)]}
	for _, class := range e.Classes {
		e.ClassNames = append(e.ClassNames, m.ClassName(class))
	}
	regressions := map[int]*ridge{} // by the number of segments: masks and weights are the same
	for i, of := range answers {
		count := segments.Counts[i]
		r := regressions[count]
		if r == nil {
			wide := max(count, min(l.Columns, columns))
			points := first(wide)
			if r, err = newRidge(points, l.weights(points, count), l.Alpha); err != nil {
				return e, err
			}
			regressions[count] = r
		}
		y := make([]float64, len(of))
		for j, a := range of {
			y[j] = a.Probability
		}
		coefficients, intercept, r2, err := r.solve(y)
		if err != nil {
			return e, err
		}
		e.Coefficients, e.Probabilities = append(e.Coefficients, coefficients[:count]), append(e.Probabilities, y)
		e.Intercepts, e.R2 = append(e.Intercepts, intercept), append(e.R2, r2)
	}
	return e, stopped
}

// masks draws, or reads, which segments stay, each mask with columns of them.
func (l LIME) masks(columns int) ([][]bool, error) {
	if l.Keep == nil {
		count := l.Masks
		if count == 0 {
			count = 1000
		}
		if count < 2 {
			return nil, fmt.Errorf("missing: LIME with %d masks has nothing to compare", count)
		}
		rng := rand.New(rand.NewPCG(l.Seed, 0))
		all := make([][]bool, count)
		for i := range all {
			all[i] = make([]bool, columns)
			for j := range all[i] {
				all[i][j] = rng.IntN(2) == 1
			}
		}
		return all, nil
	}
	return masksOf(l.Keep, columns)
}

// weights are √exp(-d²/σ²), d being 1 - cos between a mask and the whole image, which has the first count segments. Of
// a mask that keeps nothing d is 1.
func (l LIME) weights(masks [][]bool, count int) []float64 {
	weights := make([]float64, len(masks))
	for i, mask := range masks {
		var shared, all float64
		for j, on := range mask {
			if on {
				all++
				if j < count {
					shared++
				}
			}
		}
		d := 1.0
		if all > 0 {
			d = 1 - shared/math.Sqrt(all*float64(count))
		}
		weights[i] = math.Sqrt(math.Exp(-d * d / (l.KernelWidth * l.KernelWidth)))
	}
	return weights
}

// Len is the number of images explained.
func (e *Explanations) Len() int { return len(e.Coefficients) }

// Orders are each image's segments, the one with the largest coefficient first; of equal ones the first.
func (e *Explanations) Orders() [][]int {
	orders := make([][]int, e.Len())
	for i, coefficients := range e.Coefficients {
		orders[i] = descending(coefficients)
	}
	return orders
}

// Heatmaps are the coefficients as pictures, [N, H, W] float32.
func (e *Explanations) Heatmaps() *tensors.Tensor { return e.Segments.spread(e.Coefficients) }

// Agreement is, for each image, the share of the k largest coefficients' segments that two explanations of the same
// images have in common. Chance gives k/S.
func (e *Explanations) Agreement(with *Explanations, k int) ([]float64, error) {
	if with == nil || e.Len() != with.Len() {
		return nil, fmt.Errorf("missing: only explanations of the same images can agree")
	}
	a, b := e.Orders(), with.Orders()
	shares := make([]float64, len(a))
	for i := range a {
		if len(a[i]) != len(b[i]) || k < 1 || k > len(a[i]) {
			return nil, fmt.Errorf("missing: image %d has %d and %d segments, of which the first %d cannot be compared", i,
				len(a[i]), len(b[i]), k)
		}
		for _, segment := range a[i][:k] {
			if slices.Contains(b[i][:k], segment) {
				shares[i] += 1 / float64(k)
			}
		}
	}
	return shares, nil
}

// descending are the places of values, the largest first.
func descending(values []float64) []int {
	order := make([]int, len(values))
	for i := range order {
		order[i] = i
	}
	sort.SliceStable(order, func(a, b int) bool { return values[order[a]] > values[order[b]] })
	return order
}
