package uncertainty

import (
	"fmt"
	"math"

	"github.com/loupeml/loupe/lib/stats"
)

// Binning says how values between 0 and 1 are put into bins, in each of which the mean confidence is compared with the
// accuracy. What a calibration error comes to depends on it, so it belongs to the figure.
type Binning struct {
	kind    binKind
	number  int
	without bool
}

type binKind int

const (
	equalWidth binKind = iota
	equalMass
	adaptive
)

// EqualWidth is a number of bins of one width, (lo, hi], the first with 0 in it: 15 in Guo et al., "On Calibration of
// Modern Neural Networks", ICML 2017, and in Ovadia et al., 10 elsewhere.
func EqualWidth(bins int) Binning { return Binning{kind: equalWidth, number: bins} }

// EqualMass is a number of bins between quantiles of the values, (lo, hi], those of a linear interpolation, so that the
// bins hold about the same number. Equal values share a bin, so some may be larger, and some empty.
func EqualMass(bins int) Binning { return Binning{kind: equalMass, number: bins} }

// Adaptive is bins of a number of values each, taken in their order; the last takes what is left over. Equal values are
// in the order of the images. Nguyen and O'Connor, "Posterior calibration and exploratory analysis for natural language
// processing models", EMNLP 2015; with 100 values it is what Hendrycks et al. use for the RMS calibration error.
func Adaptive(size int) Binning { return Binning{kind: adaptive, number: size} }

// WithoutLast leaves the bin of the highest values out of errors, though not out of the number of images that they are
// divided by, as the released code of "Natural Adversarial Examples" does by mistake: for comparison with published
// numbers.
func (b Binning) WithoutLast() Binning {
	b.without = true
	return b
}

// String is how the binning is named in tables.
func (b Binning) String() string {
	name := map[binKind]string{equalWidth: "%d bins of equal width", equalMass: "%d bins of equal mass",
		adaptive: "bins of %d"}[b.kind]
	s := fmt.Sprintf(name, b.number)
	if b.without {
		s += ", without the last"
	}
	return s
}

// Bin is what is known of the images of a bin.
type Bin struct {
	// Low and High are its ends, (Low, High]; of an Adaptive bin the lowest and the highest value in it.
	Low  float64 `display:"from"`
	High float64 `display:"to"`
	// Confidence is the mean over the bin; NaN where it is empty.
	Confidence float64 `display:"confidence,percent"`
	// Accuracy is that of the bin's images; its Total is their number, which may be 0.
	Accuracy stats.Accuracy `display:"accuracy"`
}

// gap is how far confidence and accuracy are apart, 0 in an empty bin.
func (b Bin) gap() float64 {
	if b.Accuracy.Total == 0 {
		return 0
	}
	return math.Abs(b.Confidence - b.Accuracy.Share())
}

// cut puts values into bins, with how often what they speak of is so: 1 or 0.
func (b Binning) cut(values []float64, right func(i int) float64) ([]Bin, error) {
	if b.number < 1 {
		return nil, fmt.Errorf("uncertainty: %s: the number is at least 1", b)
	}
	var bins []Bin
	at := make([]int32, len(values)) // the bin of each value
	switch b.kind {
	case adaptive:
		bins = make([]Bin, max(len(values)/b.number, 1))
		for rank, i := range ascending(values) {
			at[i] = int32(min(rank/b.number, len(bins)-1))
			bin := &bins[at[i]]
			if rank == int(at[i])*b.number { // its first
				bin.Low = values[i]
			}
			bin.High = values[i]
		}
	case equalMass:
		order := ascending(values)
		bins = between(b.number, func(share float64) float64 { return quantile(share, values, order) })
		bin := 0
		for _, i := range order {
			for values[i] > bins[bin].High { // that of the last is 1
				bin++
			}
			at[i] = int32(bin)
		}
	default:
		bins = between(b.number, func(share float64) float64 { return share })
		for i, v := range values {
			// A value on an edge, or the value one, is a bin too high; rounding never puts one too low.
			bin := min(int(v*float64(b.number)), len(bins)-1)
			for bin > 0 && v <= bins[bin].Low {
				bin--
			}
			at[i] = int32(bin)
		}
	}
	for i, v := range values {
		bin := &bins[at[i]]
		bin.Confidence += v
		bin.Accuracy.Total++
		bin.Accuracy.Correct += int(right(i))
	}
	for k := range bins {
		bins[k].Confidence /= float64(bins[k].Accuracy.Total)
	}
	return bins, nil
}

// between makes bins whose edges are 0, those of the shares between, and 1.
func between(number int, edge func(share float64) float64) []Bin {
	bins := make([]Bin, number)
	for k := 1; k < number; k++ {
		e := edge(float64(k) / float64(number))
		bins[k-1].High, bins[k].Low = e, e
	}
	bins[number-1].High = 1
	return bins
}

// quantile interpolates between the order statistics as NumPy does by default: value i of n lies at i/(n-1).
func quantile(share float64, values []float64, order []int32) float64 {
	at := share * float64(len(order)-1)
	lo := int(at)
	low, high := values[order[lo]], values[order[min(lo+1, len(order)-1)]]
	return low + (at-float64(lo))*(high-low)
}

// error is the weighted power mean of the bins' gaps; power 0 is the largest.
func (b Binning) error(bins []Bin, power float64) float64 {
	total, n := 0.0, 0
	for _, bin := range bins {
		n += bin.Accuracy.Total
	}
	if b.without {
		bins = bins[:len(bins)-1]
	}
	if power == 0 {
		for _, bin := range bins {
			total = max(total, bin.gap())
		}
		return total
	}
	for _, bin := range bins {
		total += float64(bin.Accuracy.Total) / float64(n) * math.Pow(bin.gap(), power)
	}
	return math.Pow(total, 1/power)
}
