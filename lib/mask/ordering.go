package mask

import (
	"fmt"
	"math"

	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/internal/plural"
	"github.com/loupeml/loupe/lib/model"
)

// BackSelector finds the order in which an image's pixels can be masked while a class stays likely: [SIS] exactly,
// [BatchedGradientSIS] by gradients.
type BackSelector interface {
	BackSelect(m *model.Model, images *tensors.Tensor, classes ...int) (*Ordering, error)
}

// Ordering is the order in which the pixels of images were masked.
type Ordering struct {
	// Method and Model name what made the order, and Filler is what stood in the place of pixels.
	Method, Model string
	Filler        Filler
	// Height and Width of the images.
	Height, Width int
	// K is how many pixels an iteration masked.
	K int
	// Classes are those whose probability was kept up, one for each image, and ClassNames their names.
	Classes    []int
	ClassNames []string
	// Rank says for each pixel of each image, in reading order, how many were masked before it. Pixels that were never
	// masked, of a run that ended early, all have the number of those that were.
	Rank [][]int32
	// ConfidenceBefore is, for each image and iteration, the probability of its class before the iteration masked its
	// pixels: the first is that of the whole image. (The authors' SIS records it after, their batched gradient SIS
	// before.)
	ConfidenceBefore [][]float32
	// ConfidenceMasked is, for each image, the probability with everything masked.
	ConfidenceMasked []float32
	// Files are the names of the images; nil where they are not known.
	Files []string
}

func newOrdering(method string, m *model.Model, images *tensors.Tensor, k int, filler Filler) *Ordering {
	d := images.Shape().Dimensions
	return &Ordering{Method: method, Model: m.Name(), Filler: filler, Height: d[1], Width: d[2], K: k}
}

// add takes the result of one image.
func (o *Ordering) add(m *model.Model, class int, rank []int32, before []float32, masked float32) {
	gone := int32(min(len(before)*o.K, len(rank)))
	for p := range rank {
		rank[p] = min(rank[p], gone)
	}
	o.Classes, o.ClassNames = append(o.Classes, class), append(o.ClassNames, m.ClassName(class))
	o.Rank, o.ConfidenceBefore = append(o.Rank, rank), append(o.ConfidenceBefore, before)
	o.ConfidenceMasked = append(o.ConfidenceMasked, masked)
}

// Len is the number of images.
func (o *Ordering) Len() int { return len(o.Rank) }

// Subset is the order of some of the images, by their numbers from 0. It panics if there is no such image.
func (o *Ordering) Subset(images ...int) *Ordering {
	some := *o
	some.Classes, some.ClassNames, some.Rank, some.ConfidenceBefore, some.ConfidenceMasked = nil, nil, nil, nil, nil
	for _, i := range images {
		if i < 0 || i >= o.Len() {
			panic(fmt.Errorf("mask: the order is of the images 0 to %d, not of %d", o.Len()-1, i))
		}
		some.Classes, some.ClassNames = append(some.Classes, o.Classes[i]), append(some.ClassNames, o.ClassNames[i])
		some.Rank, some.ConfidenceBefore = append(some.Rank, o.Rank[i]), append(some.ConfidenceBefore, o.ConfidenceBefore[i])
		some.ConfidenceMasked = append(some.ConfidenceMasked, o.ConfidenceMasked[i])
	}
	return &some
}

// Pixels is the number of pixels of an image.
func (o *Ordering) Pixels() int { return o.Height * o.Width }

func (o *Ordering) String() string {
	return fmt.Sprintf("%s of %s: %s, %s masked at a time, over %s", o.Method, o.Model, plural.Of(o.Len(), "image"),
		plural.Of(o.K, "pixel"), o.Filler.Name)
}

// Iteration returns when each pixel was masked, [N, H, W] int32: the first iteration is 0.
func (o *Ordering) Iteration() *tensors.Tensor {
	flat := make([]int32, 0, o.Len()*o.Pixels())
	for _, rank := range o.Rank {
		for _, r := range rank {
			flat = append(flat, r/int32(o.K))
		}
	}
	return tensors.FromFlatDataAndDimensions(flat, o.Len(), o.Height, o.Width)
}

// Last returns the mask, [N, H, W] float32, that is 1 at the ⌈fraction·H·W⌉ pixels of each image that were masked last:
// the authors' subsets of CIFAR-10 (with 0.05, 52 pixels of 1024). It is an error if the run ended before.
func (o *Ordering) Last(fraction float64) (*tensors.Tensor, error) {
	if o == nil || len(o.Rank) == 0 {
		return nil, fmt.Errorf("mask: there is no ordering: it is nil or empty")
	}
	if !(fraction >= 0 && fraction <= 1) {
		return nil, fmt.Errorf("mask: the fraction of pixels is %v, it lies between 0 and 1", fraction)
	}
	return o.from(o.Pixels() - int(math.Ceil(fraction*float64(o.Pixels()))))
}

// LastByIteration returns the mask of the pixels that were masked in iteration int((1-fraction)·last) or later, where
// last is the number of the last iteration, counted from 0: the authors' subsets of ImageNet. With many
// pixels an iteration these are some more than [Ordering.Last] keeps.
func (o *Ordering) LastByIteration(fraction float64) (*tensors.Tensor, error) {
	if o == nil || len(o.Rank) == 0 {
		return nil, fmt.Errorf("mask: there is no ordering: it is nil or empty")
	}
	if !(fraction >= 0 && fraction <= 1) {
		return nil, fmt.Errorf("mask: the fraction of iterations is %v, it lies between 0 and 1", fraction)
	}
	last := (o.Pixels() - 1) / o.K
	return o.from(int((1-fraction)*float64(last)) * o.K)
}

// from keeps the pixels of that rank or higher.
func (o *Ordering) from(first int) (*tensors.Tensor, error) {
	firsts := make([]int, o.Len())
	for i := range firsts {
		firsts[i] = first
		if ranked := min(len(o.ConfidenceBefore[i])*o.K, o.Pixels()); first > ranked {
			return nil, fmt.Errorf("mask: the run ended when %d of the %d pixels of image %d were masked, and the subset is "+
				"what is left of %d: run it longer or keep a larger fraction", ranked, o.Pixels(), i, first)
		}
	}
	return o.fromEach(firsts), nil
}

// fromEach keeps in each image the pixels of its rank or higher; none where that is negative.
func (o *Ordering) fromEach(first []int) *tensors.Tensor {
	kept := make([]float32, 0, o.Len()*o.Pixels())
	for i, rank := range o.Rank {
		for _, r := range rank {
			var on float32
			if first[i] >= 0 && int(r) >= first[i] {
				on = 1
			}
			kept = append(kept, on)
		}
	}
	return tensors.FromFlatDataAndDimensions(kept, o.Len(), o.Height, o.Width)
}

// Sufficient are subsets that reach a threshold.
type Sufficient struct {
	Threshold float64
	// Kept is 1 at the subset's pixels, [N, H, W] float32; all 0 where there is none.
	Kept *tensors.Tensor
	// Sizes are the numbers of pixels; -1 where there is no subset because the whole image does not reach the
	// threshold.
	Sizes []int
	// Confidences are the probabilities of the subsets alone; NaN where there is none.
	Confidences []float64
	// Files are the names of the images; nil where they are not known.
	Files []string
}

// Sufficient returns for each image the smallest of the sets left before an iteration whose probability reaches the
// threshold, in 0..1; 0 means 0.99. It goes back from the end, as FindSIS does; a set of no pixels is one that the
// filler alone makes sufficient.
func (o *Ordering) Sufficient(threshold float64) (*Sufficient, error) {
	threshold, err := probabilityThreshold(threshold)
	if err != nil {
		return nil, err
	}
	s := &Sufficient{Threshold: threshold, Files: o.Files}
	firsts := make([]int, o.Len())
	for i, before := range o.ConfidenceBefore {
		firsts[i] = -1
		size, confidence := -1, math.NaN()
		if float64(before[0]) >= threshold {
			at := len(before) - 1
			for float64(before[at]) < threshold {
				at--
			}
			firsts[i] = at * o.K
			size, confidence = o.Pixels()-firsts[i], float64(before[at])
			if len(before)*o.K >= o.Pixels() && float64(o.ConfidenceMasked[i]) >= threshold {
				firsts[i], size, confidence = -1, 0, float64(o.ConfidenceMasked[i])
			}
		}
		s.Sizes, s.Confidences = append(s.Sizes, size), append(s.Confidences, confidence)
	}
	s.Kept = o.fromEach(firsts)
	return s, nil
}

// Found are the sizes of those subsets that there are, as shares of the image in 0..1.
func (s *Sufficient) Found() []float64 {
	d := s.Kept.Shape().Dimensions
	var shares []float64
	for _, size := range s.Sizes {
		if size >= 0 {
			shares = append(shares, float64(size)/float64(d[1]*d[2]))
		}
	}
	return shares
}
