package labels

import (
	"fmt"
	"math"
	"slices"
)

// Filter says which examples are taken to be labelled wrongly. But for the LowSelfConfidence, LowNormalizedMargin and LowMarginsUncalibrated filters, an example whose
// given label is the most likely class is never taken.
type Filter int

const (
	// PruneByNoiseRate takes, for each label k and other class j, as many examples labelled k as the calibrated joint counts there: those with the largest p_j - p_k.
	PruneByNoiseRate Filter = iota
	// PruneByClass takes of each label k as many examples as the calibrated joint has off its diagonal: those with the lowest p_k.
	PruneByClass
	// Both takes the examples that PruneByNoiseRate and PruneByClass take.
	Both
	// ConfidentLearning takes the examples that the confident joint counts off its diagonal.
	ConfidentLearning
	// PredictedNotGiven takes the examples whose most likely class is not their label: the baseline.
	PredictedNotGiven
	// LowSelfConfidence takes as many examples as ConfidentLearning does, those with the lowest SelfConfidence.
	LowSelfConfidence
	// LowNormalizedMargin takes as many examples as ConfidentLearning does, those with the lowest NormalizedMargin.
	LowNormalizedMargin
	// LowMarginsUncalibrated takes the share of all examples that the joint, before it is calibrated, has off its diagonal: those with the lowest NormalizedMargin. So
	// the candidates of Northcutt, Athalye and Mueller 2021 were found, with the cleanlab of its time.
	LowMarginsUncalibrated
)

var filterNames = [...]string{"prune by noise rate", "prune by class", "both", "confident learning", "predicted is not given", "low self-confidence", "low normalized margin", "low margins, uncalibrated"}

func (f Filter) String() string {
	if f < 0 || int(f) >= len(filterNames) {
		return fmt.Sprintf("Filter(%d)", int(f))
	}
	return filterNames[f]
}

// Options of [FindLabelIssues]. The zero value is cleanlab's default.
type Options struct {
	// Filter says which examples are taken.
	Filter Filter
	// Rank puts them in order; nil is SelfConfidence.
	Rank Score
	// Share is how much of the counts off the joint's diagonal PruneByNoiseRate, PruneByClass and Both take, more than 0 to 1; 0 means 1, all. The other filters take no notice.
	Share float64
	// Keep is how many examples with a label these three leave in any case; 0 means 1.
	Keep int
	// Joint replaces the joint that these three take the counts from, without calibrating it: [K][K], by given label and by class. nil counts it.
	Joint [][]int
}

// Issue is an example whose label is likely wrong.
type Issue struct {
	Index     int     // of the example
	Given     int     // its label
	Suggested int     // the most likely of the other classes, the first of equal ones
	Score     float64 // of the label, by which the issues are ranked
}

// Issues are the examples whose labels are likely wrong, the most likely first; of equal ones the first.
type Issues struct {
	List  []Issue
	Joint *ConfidentJoint
	Of    int // how many examples there are
}

// Indices are the numbers of the examples, the most likely wrong first.
func (s *Issues) Indices() []int {
	out := make([]int, len(s.List))
	for i, issue := range s.List {
		out[i] = issue.Index
	}
	return out
}

// FindLabelIssues finds the examples whose given labels, 0 to K-1 and one for each, are likely wrong. It goes through the probabilities two to three times, some rows at once, and
// keeps about 40 bytes for each example. cleanlab's find_label_issues; Northcutt et al. 2021 (JAIR), section 3.2. Interrupted, it returns the error only.
func FindLabelIssues(p Probabilities, given []int, o Options) (*Issues, error) {
	if o.Filter < 0 || int(o.Filter) >= len(filterNames) {
		return nil, fmt.Errorf("labels: there is no filter %d", int(o.Filter))
	}
	if o.Share == 0 {
		o.Share = 1
	}
	if !(o.Share > 0 && o.Share <= 1) {
		return nil, fmt.Errorf("labels: Share is %v, it is more than 0 and at most 1", o.Share)
	}
	if o.Keep < 0 {
		return nil, fmt.Errorf("labels: Keep is %d examples", o.Keep)
	}
	if o.Keep == 0 {
		o.Keep = 1
	}
	s, err := scan(p, given)
	if err != nil {
		return nil, err
	}
	joint, confident, err := s.joint(p)
	if err != nil {
		return nil, err
	}
	counts := o.Joint
	if counts == nil {
		counts = joint.Calibrated()
	} else if err := (&ConfidentJoint{Counts: counts, Examples: joint.Examples}).check(s.k); err != nil {
		return nil, err
	}
	taken := make([]bool, s.n)
	switch o.Filter {
	case ConfidentLearning:
		for i, j := range confident {
			taken[i] = j >= 0 && int(j) != given[i]
		}
	case PredictedNotGiven:
		for i := range taken {
			taken[i] = s.predicted(i) != given[i]
		}
	case LowSelfConfidence:
		s.takeLowest(taken, s.confidentIssues(confident), func(i int) float64 { return s.self[i] })
	case LowNormalizedMargin:
		s.takeLowest(taken, s.confidentIssues(confident), s.margin)
	case LowMarginsUncalibrated:
		s.takeLowest(taken, joint.uncalibratedErrors(), s.margin)
	default:
		counts = leaveAtLeast(counts, o.Keep, o.Share)
		if o.Filter != PruneByNoiseRate {
			s.takeByClass(taken, counts, o.Keep)
		}
		if o.Filter != PruneByClass {
			byRate, err := s.byNoiseRate(p, counts, o.Keep)
			if err != nil {
				return nil, err
			}
			if o.Filter == Both {
				for i := range taken {
					taken[i] = taken[i] && byRate[i]
				}
			} else {
				taken = byRate
			}
		}
	}
	if o.Filter < LowSelfConfidence {
		for i := range taken {
			taken[i] = taken[i] && !s.agrees(i)
		}
	}
	return s.issues(p, taken, joint, o.Rank), nil
}

func (s *scanned) margin(i int) float64 { return margin(s.self[i], s.other[i]) }

// confidentIssues is how many examples ConfidentLearning takes.
func (s *scanned) confidentIssues(confident []int32) int {
	count := 0
	for i, j := range confident {
		if j >= 0 && int(j) != s.given[i] && !s.agrees(i) {
			count++
		}
	}
	return count
}

// takeLowest takes the count examples that score lowest.
func (s *scanned) takeLowest(taken []bool, count int, score func(i int) float64) {
	low := lowest{keep: min(count, s.n)}
	for i := range taken {
		low.add(candidate{score(i), int32(i)})
	}
	for _, c := range low.heap {
		taken[c.at] = true
	}
}

// leaveAtLeast changes counts, by given label and by class, so that at least keep examples with each label are left, and only a share of the others is taken. What the
// diagonal gains is taken in equal parts from the counts of the label that are not 0.
func leaveAtLeast(counts [][]int, keep int, share float64) [][]int {
	out := square[int](len(counts))
	for y, row := range counts {
		nonzero := -1.0
		for _, v := range row {
			if v != 0 {
				nonzero++
			}
		}
		own := max(row[y], keep)
		less := float64(own-row[y]) / max(nonzero, 1)
		rest := make([]float64, len(row))
		for j, v := range row {
			if j != y {
				rest[j] = max(float64(v)-less, 0)
				out[y][j] = int(rest[j] * share)
			}
		}
		out[y][y] = int(float64(own) + pairwise(len(rest), func(j int) float64 { return rest[j] - rest[j]*share }))
	}
	return out
}

// few reports whether a label has too few examples for any to be taken.
func few(examples, keep int) bool { return examples <= max(keep, 1) }

// takeByClass takes the examples with the lowest probability of their label, as many of each as counts has off its diagonal.
func (s *scanned) takeByClass(taken []bool, counts [][]int, keep int) {
	eachClass(s.k, func(y int) {
		of := s.of(y)
		if few(len(of), keep) {
			return
		}
		low := lowest{keep: max(0, len(of)-counts[y][y])}
		for _, i := range of {
			low.add(candidate{s.self[i], i})
		}
		for _, c := range low.heap {
			taken[c.at] = true
		}
	})
}

// pair is another class that examples with a label may be of, and those of them that look most so.
type pair struct {
	class int
	low   lowest
}

// byNoiseRate takes for each label y and other class j the counts[y][j] examples with the largest p_j - p_y.
func (s *scanned) byNoiseRate(p Probabilities, counts [][]int, keep int) ([]bool, error) {
	pairs := func() [][]pair {
		out := make([][]pair, s.k)
		for y, row := range counts {
			if examples := len(s.of(y)); !few(examples, keep) {
				for j, v := range row {
					if j != y && v > 0 {
						out[y] = append(out[y], pair{j, lowest{keep: min(v, examples)}})
					}
				}
			}
		}
		return out
	}
	byWorker := make([][][]pair, workers(p))
	if err := eachRow("finding the largest margins", p, func(worker, i int, row []float64) error {
		if byWorker[worker] == nil {
			byWorker[worker] = pairs()
		}
		y := s.given[i]
		of := byWorker[worker][y]
		for at := range of {
			of[at].low.add(candidate{-(row[of[at].class] - row[y]), int32(i)})
		}
		return nil
	}); err != nil {
		return nil, err
	}
	byWorker = slices.DeleteFunc(byWorker, func(pairs [][]pair) bool { return pairs == nil })
	taken := make([]bool, s.n)
	eachClass(s.k, func(y int) {
		for at := range byWorker[0][y] {
			all := &byWorker[0][y][at].low
			for _, more := range byWorker[1:] {
				for _, c := range more[y][at].low.heap {
					all.add(c)
				}
			}
			for _, c := range all.heap {
				taken[c.at] = true
			}
		}
	})
	return taken, nil
}

// issues ranks the examples that were taken.
func (s *scanned) issues(p Probabilities, taken []bool, joint *ConfidentJoint, rank Score) *Issues {
	out := &Issues{Joint: joint, Of: s.n}
	buffer := make([]float64, s.k)
	for i, is := range taken {
		if !is {
			continue
		}
		score := s.self[i]
		if rank != nil {
			score = rank(p.Row(i, buffer), s.given[i])
		}
		out.List = append(out.List, Issue{i, s.given[i], int(s.rival[i]), score})
	}
	slices.SortStableFunc(out.List, func(a, b Issue) int {
		switch {
		case a.Score < b.Score:
			return -1
		case a.Score > b.Score || math.IsNaN(a.Score) && !math.IsNaN(b.Score): // no numbers last, as NumPy sorts
			return 1
		case math.IsNaN(b.Score) && !math.IsNaN(a.Score):
			return -1
		}
		return 0
	})
	return out
}
