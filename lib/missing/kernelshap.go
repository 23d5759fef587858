package missing

import (
	"fmt"
	"math/rand/v2"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/lib/model"
)

// KernelSHAP explains the logit of an image's class by the Shapley values of its segments: what a segment adds to the
// logit, in the mean over all orders in which segments can come one after the other. They are the coefficients of a
// linear model of the logit in which segments are there, least squares by the weights
//
//	(S - 1) / (C(S, k) · k · (S - k)) of a mask that keeps k of S segments
//
// that is right for the whole image and for none of it, which therefore weigh a million times as much as a mask. Of few
// segments all masks are taken, and the values are exact; else masks are drawn by their weights, each with what it
// leaves out. Lundberg and Lee, "A Unified Approach to Interpreting Model Predictions", NeurIPS 2017, theorem 2.
type KernelSHAP struct {
	// How segments are taken away; nil is black.
	How Approximation
	// Masks is how many are drawn; 0 means 1000. All are taken where there are no more than so many, 2^S - 2.
	Masks int
	// Seed draws them.
	Seed uint64
	// Keep are masks of your own instead, each of which weighs 1, [M, S] float32: 1 where a segment stays. Of images
	// with fewer than S segments the first columns count.
	Keep *tensors.Tensor
}

// certain is what the whole image, and none of it, weigh.
const certain = 1e6

// Explain explains images, [N, H, W, C] float32 in 0..1; classes, as in the model's TargetClasses, are by default those
// predicted.
//
// Interrupted, it returns the explanations of the images that are done beside the error; nil if none is.
func (s KernelSHAP) Explain(m *model.Model, images *tensors.Tensor, segments *Segments, classes ...int) (*Explanations,
	error) {
	classes, err := m.TargetClasses(images, classes)
	if err != nil {
		return nil, err
	}
	if err := segments.check(images); err != nil {
		return nil, err
	}
	if s.How == nil {
		s.How = Fill{}
	}
	if s.Masks == 0 {
		s.Masks = 1000
	}
	if s.Masks < 2 {
		return nil, fmt.Errorf("missing: KernelSHAP with %d masks has nothing to compare", s.Masks)
	}
	most := segments.Most()
	var given [][]bool
	if s.Keep != nil {
		if given, err = masksOf(s.Keep, most); err != nil {
			return nil, err
		}
	}
	all := map[int]*coalitions{} // by the number of segments
	of := func(i int) *coalitions {
		count := segments.Counts[i]
		if all[count] == nil {
			all[count] = s.coalitions(count, most, given)
		}
		return all[count]
	}
	answers, stopped := ask("KernelSHAP", m, images, segments, s.How, classes, func(i int) [][]bool { return of(i).keep })
	if len(answers) == 0 {
		return nil, stopped
	}
	e := &Explanations{Segments: segments, Model: m.Name(), How: s.How.Name(), Classes: classes[:len(answers)]}
	for _, class := range e.Classes {
		e.ClassNames = append(e.ClassNames, m.ClassName(class))
	}
	regressions := map[int]*ridge{}
	for i, under := range answers {
		count := segments.Counts[i]
		r := regressions[count]
		if r == nil {
			if r, err = newRidge(of(i).keep, of(i).weights, 0); err != nil {
				return nil, err
			}
			regressions[count] = r
		}
		logits, probabilities := make([]float64, len(under)), make([]float64, len(under))
		for j, a := range under {
			logits[j], probabilities[j] = a.Logit, a.Probability
		}
		coefficients, intercept, r2, err := r.solve(logits)
		if err != nil {
			return nil, err
		}
		e.Coefficients, e.Probabilities = append(e.Coefficients, coefficients), append(e.Probabilities, probabilities)
		e.Intercepts, e.R2 = append(e.Intercepts, intercept), append(e.R2, r2)
		e.Whole, e.Nothing = append(e.Whole, logits[0]), append(e.Nothing, logits[1])
	}
	return e, stopped
}

// coalitions are masks of an image's segments with their weights: the whole image, none of it, and others.
type coalitions struct {
	keep    [][]bool
	weights []float64
}

func (c *coalitions) add(keep []bool, weight float64) {
	c.keep, c.weights = append(c.keep, keep), append(c.weights, weight)
}

// coalitions are those of images with count segments, as many as for those with most.
func (s KernelSHAP) coalitions(count, most int, given [][]bool) *coalitions {
	c := &coalitions{}
	whole := make([]bool, count)
	for i := range whole {
		whole[i] = true
	}
	c.add(whole, certain)
	c.add(make([]bool, count), certain)
	switch {
	case given != nil:
		for _, keep := range given {
			c.add(keep[:count], 1)
		}
	case most < 30 && 1<<most-2 <= s.Masks:
		for bits := 1; bits < 1<<count-1; bits++ {
			keep, k := make([]bool, count), 0
			for i := range keep {
				if keep[i] = bits>>i&1 == 1; keep[i] {
					k++
				}
			}
			c.add(keep, float64(count-1)/(binomial(count, k)*float64(k*(count-k))))
		}
		for len(c.keep) < 1<<most { // as many masks as of the others, which weigh nothing
			c.add(whole, 0)
		}
	default:
		s.draw(c, count)
	}
	return c
}

// draw adds masks that are drawn by their weights, each followed by what it leaves out.
func (s KernelSHAP) draw(c *coalitions, count int) {
	rng := rand.New(rand.NewPCG(s.Seed, 0))
	if count == 1 { // there are none but the whole and nothing
		for range s.Masks {
			c.add([]bool{true}, 0)
		}
		return
	}
	var total float64
	for k := 1; k < count; k++ {
		total += 1 / float64(k*(count-k))
	}
	for drawn := 0; drawn < s.Masks; drawn += 2 {
		at, k := rng.Float64()*total, 1
		for ; k < count-1; k++ {
			if at -= 1 / float64(k*(count-k)); at < 0 {
				break
			}
		}
		keep, rest := make([]bool, count), make([]bool, count)
		for i, segment := range rng.Perm(count) {
			keep[segment], rest[segment] = i < k, i >= k
		}
		c.add(keep, 1)
		if drawn+1 < s.Masks {
			c.add(rest, 1)
		}
	}
}

// binomial is n over k.
func binomial(n, k int) float64 {
	ways := 1.0
	for i := range k {
		ways = ways * float64(n-i) / float64(i+1)
	}
	return ways
}

// masksOf reads masks of at least so many columns, [M, S] float32.
func masksOf(t *tensors.Tensor, columns int) ([][]bool, error) {
	if t.Rank() != 2 || t.DType() != dtypes.Float32 || t.Shape().Dimensions[0] < 2 || t.Shape().Dimensions[1] < columns {
		return nil, fmt.Errorf("missing: Keep has the shape [M, %d] float32, with at least two masks, not %s",
			columns, t.Shape())
	}
	flat, err := tensors.CopyFlatData[float32](t)
	if err != nil {
		return nil, fmt.Errorf("missing: %w", err)
	}
	wide := t.Shape().Dimensions[1]
	all := make([][]bool, len(flat)/wide)
	for i := range all {
		all[i] = make([]bool, columns)
		for j := range all[i] {
			v := flat[i*wide+j]
			if v != 0 && v != 1 {
				return nil, fmt.Errorf("missing: Keep is %v for mask %d and segment %d: 1 where a segment stays, 0 where it goes",
					v, i, j)
			}
			all[i][j] = v == 1
		}
	}
	return all, nil
}
