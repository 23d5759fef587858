// Package labels finds examples whose label is wrong, by confident learning, and says what that does to a benchmark.
//
//	issues, err := labels.FindLabelIssues(probabilities, given, labels.Options{})
//
// The probabilities are a classifier's for examples that it was not trained on: [CrossValidate] makes them, and they
// may as well lie in a NumPy file larger than memory ([OpenProbabilities]). [EstimateJoint] counts how often each class
// is labelled as each other, a [Filter] says which examples those are, a [Score] how wrong each label looks, [Health]
// what that means for the classes. [ReadVerdicts] has what people said of the candidates, [Rerank] how models rank once
// labels are corrected, and [Review] is a page to correct them on.
//
// C. G. Northcutt, L. Jiang, I. L. Chuang, "Confident learning: estimating uncertainty in dataset labels", JAIR 70
// (2021), and C. G. Northcutt, A. Athalye, J. Mueller, "Pervasive label errors in test sets destabilize machine
// learning benchmarks", NeurIPS Datasets and Benchmarks 2021. The figures are those of the package cleanlab 2.9.0, to
// the index. Of equal values the first comes first here; there it depends on the processor, because NumPy's argsort
// leaves it open.
package labels

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"

	"github.com/loupeml/loupe/lib/internal/parallel"
)

// tolerance is by how much a probability may pass 0 or 1, and the class of the given label may fall behind the most
// likely one and still be that.
const tolerance = 1e-6

// check returns how many examples and classes there are, or an error unless there is a label for each example and a
// class for each label.
func check(p Probabilities, given []int) (n, k int, err error) {
	if p == nil {
		return 0, 0, fmt.Errorf("labels: there are no probabilities")
	}
	n, k = p.Dims()
	if n < 1 || k < 2 {
		return 0, 0, fmt.Errorf(
			"labels: the probabilities are [%d, %d]: they are [N, K], of one example or more and of two classes or more", n, k)
	}
	if n > math.MaxInt32 {
		return 0, 0, fmt.Errorf("labels: %d examples are more than %d: take the classes, or parts, one after the other", n,
			math.MaxInt32)
	}
	if len(given) != n {
		return 0, 0, fmt.Errorf(
			"labels: %d labels for the probabilities of %d examples: there is one for each, in their order", len(given), n)
	}
	for i, y := range given {
		if y < 0 || y >= k {
			return 0, 0, fmt.Errorf("labels: example %d has the label %d, and the probabilities are of the classes 0 to %d", i,
				y, k-1)
		}
	}
	return n, k, nil
}

// blockBytes is about how much of the probabilities a worker goes through at once.
const blockBytes = 1 << 20

// block is how many rows a worker goes through at once.
func block(k int) int { return max(1, blockBytes/(8*k)) }

// releaser are probabilities of which rows can be let go of from memory, until they are asked for again.
type releaser interface{ release(lo, hi int) }

// eachBlock calls do for the examples, lo to hi (excluded) of them at once, in several workers, each of which has a
// buffer for a row. A worker's examples come in their order.
func eachBlock(work string, p Probabilities, do func(worker, lo, hi int, buffer []float64) error) error {
	n, k := p.Dims()
	buffers := make([][]float64, parallel.Workers(n, block(k)))
	file, releases := p.(releaser)
	return parallel.Ranges("labels: "+work, "examples", n, block(k), func(worker, lo, hi int) error {
		if buffers[worker] == nil {
			buffers[worker] = make([]float64, k)
		}
		err := do(worker, lo, hi, buffers[worker])
		if releases {
			file.release(lo, hi)
		}
		return err
	})
}

// scanned is what is known of each example once its probabilities have been gone through.
type scanned struct {
	n, k       int
	given      []int
	self       []float64 // the probability of the given label
	other      []float64 // the largest of the other classes
	rival      []int32   // the first class that has it
	confident  []int32   // the class that the example is confidently of, or -1
	thresholds []float64 // of the classes
	order      []int32   // the examples by their given label, and in their order within a label
	start      []int     // [K+1], where each label's examples begin in order
}

// scan goes through the probabilities, and checks them.
func scan(p Probabilities, given []int) (*scanned, error) {
	n, k, err := check(p, given)
	if err != nil {
		return nil, err
	}
	if k > mostJoint {
		return nil, fmt.Errorf("labels: how often each of %d classes is labelled as each other is a table of %d x %d "+
			"numbers, and there is room for %d classes: take fewer, by data's Among", k, k, k, mostJoint)
	}
	s := &scanned{n: n, k: k, given: given, self: make([]float64, n), other: make([]float64, n), rival: make([]int32, n),
		confident: make([]int32, n)}
	s.sort()
	if err := within(p, s.scan); err != nil {
		return nil, err
	}
	return s, nil
}

// sort puts the examples in order of their labels.
func (s *scanned) sort() {
	s.start = make([]int, s.k+1)
	for _, y := range s.given {
		s.start[y+1]++
	}
	for y := range s.k {
		s.start[y+1] += s.start[y]
	}
	next := append([]int(nil), s.start...)
	s.order = make([]int32, s.n)
	for i, y := range s.given {
		s.order[next[y]] = int32(i)
		next[y]++
	}
}

// scan looks at the probability of each label first, for the thresholds, and then at all of them once.
func (s *scanned) scan(r rows) error {
	if err := eachBlock("reading the labels' probabilities", r.p, func(_, lo, hi int, buffer []float64) error {
		for i := lo; i < hi; i++ {
			s.self[i] = r.at(i, s.given[i], buffer)
		}
		return nil
	}); err != nil {
		return err
	}
	s.thresholds = make([]float64, s.k)
	reach := make([]float64, s.k)
	eachClass(s.k, func(y int) {
		s.thresholds[y] = s.threshold(y)
		reach[y] = s.thresholds[y] - tolerance
	})
	floor := floorsOf(slices.Min(reach))
	return eachBlock("reading probabilities", r.p, func(_, lo, hi int, buffer []float64) error {
		for i := lo; i < hi; i++ {
			saw := r.look(i, s.given[i], reach, floor, buffer)
			if !saw.inside {
				return outside(i, r.row(i, buffer))
			}
			s.other[i], s.rival[i] = saw.other, int32(saw.rival)
			switch saw.confident {
			case 0:
				s.confident[i] = -1
			case 1:
				s.confident[i] = int32(saw.last)
			default:
				s.confident[i] = int32(s.predicted(i))
			}
		}
		return nil
	})
}

// threshold is what the probability of a class has to reach for an example to be confidently of it.
func (s *scanned) threshold(y int) float64 {
	of := s.of(y)
	if len(of) == 0 {
		return 2 // more than any probability
	}
	return max(pairwise(len(of), func(i int) float64 { return s.self[of[i]] })/float64(len(of)), 2*tolerance)
}

// outside says what is wrong with a row.
func outside(i int, row []float64) error {
	for j, v := range row {
		if v != v {
			return fmt.Errorf("labels: example %d has no number (NaN) as the probability of class %d: leave it out, or find "+
				"out where the model divides by 0", i, j)
		}
		if v < -tolerance || v > 1+tolerance {
			return fmt.Errorf("labels: example %d has the probability %v of class %d: they are in 0..1; take the softmax of "+
				"logits, and Clip what is outside by a little", i, v, j)
		}
	}
	return fmt.Errorf("labels: example %d has probabilities outside 0..1", i)
}

// of are the examples with a given label, in their order.
func (s *scanned) of(y int) []int32 { return s.order[s.start[y]:s.start[y+1]] }

// counts is how many examples each given label has.
func (s *scanned) counts() []int {
	out := make([]int, s.k)
	for y := range out {
		out[y] = s.start[y+1] - s.start[y]
	}
	return out
}

// predicted is the most likely class, the first of equal ones.
func (s *scanned) predicted(i int) int {
	if y, r := s.given[i], int(s.rival[i]); s.self[i] > s.other[i] || s.self[i] == s.other[i] && y < r {
		return y
	}
	return int(s.rival[i])
}

// agrees reports whether the given label is the most likely class, or is behind it by no more than the tolerance.
func (s *scanned) agrees(i int) bool {
	self := s.self[i] + tolerance
	return self > s.other[i] || self == s.other[i] && s.given[i] < int(s.rival[i])
}

// pairwise adds up n values in NumPy's order, so that what is rounded afterwards is rounded as cleanlab's: eight
// running sums in blocks of up to 128, the blocks by halves.
func pairwise(n int, at func(i int) float64) float64 { return pairwiseFrom(0, n, at) }

func pairwiseFrom(lo, n int, at func(i int) float64) float64 {
	if n < 8 {
		var sum float64
		for i := lo; i < lo+n; i++ {
			sum += at(i)
		}
		return sum
	}
	if n <= 128 {
		var r [8]float64
		for j := range r {
			r[j] = at(lo + j)
		}
		i := 8
		for ; i < n-n%8; i += 8 {
			for j := range r {
				r[j] += at(lo + i + j)
			}
		}
		sum := ((r[0] + r[1]) + (r[2] + r[3])) + ((r[4] + r[5]) + (r[6] + r[7]))
		for ; i < n; i++ {
			sum += at(lo + i)
		}
		return sum
	}
	half := n / 2
	half -= half % 8
	return pairwiseFrom(lo, half, at) + pairwiseFrom(lo+half, n-half, at)
}

// eachClass calls do for the classes 0 to k-1, several at a time.
func eachClass(k int, do func(class int)) {
	var wg sync.WaitGroup
	for worker, count := 0, parallel.Workers(k, 1); worker < count; worker++ {
		wg.Go(func() {
			for class := worker; class < k; class += count {
				do(class)
			}
		})
	}
	wg.Wait()
}

// name is what a class is called.
func name(classes []string, class int) string {
	if class < 0 {
		return ""
	}
	if class < len(classes) && strings.TrimSpace(classes[class]) != "" {
		return classes[class]
	}
	return fmt.Sprint(class)
}
