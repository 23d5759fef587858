package labels

import "math"

// Score says how well the label suits an example whose class probabilities are row, [K]: from 0 to 1, lower where the
// label is more likely wrong. [SelfConfidence], [NormalizedMargin] and [ConfidenceWeightedEntropy] are scores.
type Score func(row []float64, given int) float64

// SelfConfidence is the probability of the given label, p_y.
func SelfConfidence(row []float64, given int) float64 { return row[given] }

// NormalizedMargin is how far the probability of the given label is above the largest of the others, brought to 0..1:
//
//	(p_y - max_{k≠y} p_k + 1) / 2
func NormalizedMargin(row []float64, given int) float64 {
	other := math.Inf(-1)
	for j, v := range row {
		if j != given {
			other = max(other, v)
		}
	}
	return margin(row[given], other)
}

func margin(self, other float64) float64 { return (self - other + 1) / 2 }

// ConfidenceWeightedEntropy is small where the probabilities are spread out and the given label's is low:
//
//	log(1 + e) / e, e = H / p_y, H = -Σ p_k log p_k / log K
//
// with p_y and, below the line, e at least 1e-6.
func ConfidenceWeightedEntropy(row []float64, given int) float64 {
	var entropy float64
	for _, v := range row {
		if v > 0 {
			entropy -= v * math.Log(v)
		}
	}
	e := entropy / math.Log(float64(len(row))) / max(row[given], tolerance)
	return math.Log(e+1) / max(e, tolerance)
}

// Scores is the score of each example's label, [N].
func Scores(p Probabilities, given []int, score Score) ([]float64, error) {
	n, _, err := check(p, given)
	if err != nil {
		return nil, err
	}
	out := make([]float64, n)
	if err := eachBlock("scoring", p, func(_, lo, hi int, buffer []float64) error {
		for i := lo; i < hi; i++ {
			row := p.Row(i, buffer)
			for _, v := range row {
				if !(v >= -tolerance && v <= 1+tolerance) {
					return outside(i, row)
				}
			}
			out[i] = score(row, given[i])
		}
		return nil
	}); err != nil {
		return nil, err
	}
	return out, nil
}

// candidate is an example with what it is ranked by.
type candidate struct {
	by float64 // lower comes first
	at int32   // its number; of equal ones the lower comes first
}

func (c candidate) before(d candidate) bool { return c.by < d.by || c.by == d.by && c.at < d.at }

// lowest keeps those of many candidates that come first: a heap with the last of them on top.
type lowest struct {
	keep int
	heap []candidate
}

// full reports whether as many are kept as are to be.
func (l *lowest) full() bool { return len(l.heap) == l.keep }

func (l *lowest) add(c candidate) {
	h := l.heap
	if len(h) < l.keep {
		h = append(h, c)
		for i := len(h) - 1; i > 0; {
			up := (i - 1) / 2
			if !h[up].before(h[i]) {
				break
			}
			h[up], h[i] = h[i], h[up]
			i = up
		}
		l.heap = h
		return
	}
	if l.keep == 0 || !c.before(h[0]) {
		return
	}
	i := 0
	for {
		down := 2*i + 1
		if down >= len(h) {
			break
		}
		if down+1 < len(h) && h[down].before(h[down+1]) {
			down++
		}
		if !c.before(h[down]) {
			break
		}
		h[i] = h[down]
		i = down
	}
	h[i] = c
}
