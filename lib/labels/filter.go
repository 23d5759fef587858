package labels

import (
	"fmt"
	"math"
	"slices"

	"github.com/loupeml/loupe/lib/display"
	"github.com/loupeml/loupe/lib/internal/parallel"
	"github.com/loupeml/loupe/lib/mime"
	"github.com/loupeml/loupe/lib/model"
)

// Filter says which examples are taken to be labelled wrongly. But for the LowSelfConfidence, LowNormalizedMargin and
// LowMarginsUncalibrated filters, an example whose given label is the most likely class is never taken.
type Filter int

const (
	// PruneByNoiseRate takes, for each label k and other class j, as many examples labelled k as the calibrated joint
	// counts there: those with the largest p_j - p_k.
	PruneByNoiseRate Filter = iota
	// PruneByClass takes of each label k as many examples as the calibrated joint has off its diagonal: those with the
	// lowest p_k.
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
	// LowMarginsUncalibrated takes the share of all examples that the joint, before it is calibrated, has off its
	// diagonal: those with the lowest NormalizedMargin. So the candidates of Northcutt, Athalye and Mueller 2021 were
	// found, with the cleanlab of its time.
	LowMarginsUncalibrated
)

var filterNames = [...]string{"prune by noise rate", "prune by class", "both", "confident learning",
	"predicted is not given", "low self-confidence", "low normalized margin", "low margins, uncalibrated"}

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
	// Share is how much of the counts off the joint's diagonal PruneByNoiseRate, PruneByClass and Both take, more than
	// 0 to 1; 0 means 1, all. The other filters take no notice.
	Share float64
	// Keep is how many examples with a label these three leave in any case; 0 means 1.
	Keep int
	// Joint replaces the joint that these three take the counts from, without calibrating it: [K][K], by given label
	// and by class. nil counts it.
	Joint [][]int
}

// Issue is an example whose label is likely wrong.
type Issue struct {
	Index     int     `display:"index"`     // of the example
	Given     int     `display:"given"`     // its label
	Suggested int     `display:"suggested"` // the most likely of the other classes, the first of equal ones
	Score     float64 `display:"score"`     // of the label, by which the issues are ranked
}

// Issues are the examples whose labels are likely wrong, the most likely first; of equal ones the first.
type Issues struct {
	List  []Issue
	Joint *ConfidentJoint
	Of    int // how many examples there are
	// Names are what the classes are called, and Files what the examples are, for the table; nil for their numbers.
	Names, Files []string
}

// Indices are the numbers of the examples, the most likely wrong first.
func (s *Issues) Indices() []int {
	out := make([]int, len(s.List))
	for i, issue := range s.List {
		out[i] = issue.Index
	}
	return out
}

// Find is [FindLabelIssues] in what a model has answered about images that it was not trained on. Images without a
// label are left out; the indices of the issues are those of all images.
func Find(a *model.Answers, o Options) (*Issues, error) {
	known, err := a.Labeled()
	if err != nil {
		return nil, fmt.Errorf("labels: %w", err)
	}
	probabilities, err := known.Probabilities()
	if err != nil {
		return nil, fmt.Errorf("labels: %w", err)
	}
	p, err := FromTensor(probabilities)
	if err != nil {
		return nil, err
	}
	issues, err := FindLabelIssues(p, known.Labels, o)
	if err != nil {
		return nil, err
	}
	var at []int // of the labelled images among all
	for i, label := range a.Labels {
		if label >= 0 {
			at = append(at, i)
		}
	}
	for i := range issues.List {
		issues.List[i].Index = at[issues.List[i].Index]
	}
	issues.Names, issues.Files = a.Classes, a.Names
	return issues, nil
}

// FindLabelIssues finds the examples whose given labels, 0 to K-1 and one for each, are likely wrong. It goes through
// the probabilities once, after a look at those of the labels, and keeps about 40 bytes for each example. cleanlab's
// find_label_issues; Northcutt et al. 2021 (JAIR), section 3.2. Interrupted, it returns the error only.
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
	joint := s.joint()
	counts := o.Joint
	if counts == nil {
		counts = joint.Calibrated()
	} else if err := (&ConfidentJoint{Counts: counts, Examples: joint.Examples}).check(s.k); err != nil {
		return nil, err
	}
	taken := make([]bool, s.n)
	switch o.Filter {
	case ConfidentLearning:
		for i := range taken {
			taken[i] = s.isConfidentIssue(i)
		}
	case PredictedNotGiven:
		for i := range taken {
			taken[i] = s.predicted(i) != given[i]
		}
	case LowSelfConfidence:
		s.takeLowest(taken, s.confidentIssues(), func(i int) float64 { return s.self[i] })
	case LowNormalizedMargin:
		s.takeLowest(taken, s.confidentIssues(), s.margin)
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

// isConfidentIssue reports whether ConfidentLearning takes an example.
func (s *scanned) isConfidentIssue(i int) bool {
	return s.confident[i] >= 0 && int(s.confident[i]) != s.given[i] && !s.agrees(i)
}

// confidentIssues is how many examples ConfidentLearning takes.
func (s *scanned) confidentIssues() int {
	count := 0
	for i := range s.confident {
		if s.isConfidentIssue(i) {
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

// leaveAtLeast changes counts, by given label and by class, so that at least keep examples with each label are left,
// and only a share of the others is taken. What the diagonal gains is taken in equal parts from the counts of the label
// that are not 0.
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

// takeByClass takes the examples with the lowest probability of their label, as many of each as counts has off its
// diagonal.
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

// releaseAfter is how many rows of a file, all over it, a worker looks at before their pages are let go of. The system
// maps many pages around each, and mapping them again takes time: it is worth more often where the file is large.
func releaseAfter(n, k int) int {
	if n > 1<<28/k {
		return 1 << 8
	}
	return 1 << 11
}

// pair is another class that examples with a label may be of, and those of them that look most so.
type pair struct {
	class int
	low   lowest // by p_y - p_j
}

// byNoiseRate takes for each label y and other class j the counts[y][j] examples with the largest p_j - p_y.
//
// An example whose label is the most likely class is not taken in the end, and where there are counts[y][j] others with
// p_j above p_y it takes nobody's place either. So those are looked at only for the pairs where there are too few
// others.
func (s *scanned) byNoiseRate(p Probabilities, counts [][]int, keep int) ([]bool, error) {
	pairs := make([][]pair, s.k)
	for y, row := range counts {
		if examples := len(s.of(y)); !few(examples, keep) {
			for j, v := range row {
				if j != y && v > 0 {
					pairs[y] = append(pairs[y], pair{j, lowest{keep: min(v, examples)}})
				}
			}
		}
	}
	// Examples are taken label by label, each by one worker: what it keeps is its own.
	pass := func(work string, r rows, agreeing bool) error {
		file, releases := p.(releaser)
		often := releaseAfter(s.n, s.k)
		buffers, seen := make([][]float64, parallel.Workers(s.k, 1)), make([]int, parallel.Workers(s.k, 1))
		return parallel.Ranges("labels: "+work, "classes", s.k, 1, func(worker, y, _ int) error {
			if buffers[worker] == nil {
				buffers[worker] = make([]float64, s.k)
			}
			var open []*pair
			for at := range pairs[y] {
				if one := &pairs[y][at]; !agreeing || !one.low.full() || one.low.heap[0].by >= -2*tolerance {
					open = append(open, one)
				}
			}
			if len(open) == 0 {
				return nil
			}
			for _, i := range s.of(y) {
				if s.agrees(int(i)) != agreeing {
					continue
				}
				if seen[worker]++; releases && seen[worker]%often == 0 {
					file.release(0, s.n)
				}
				for _, one := range open {
					one.low.add(candidate{-(r.at(int(i), one.class, buffers[worker]) - s.self[i]), i})
				}
			}
			return nil
		})
	}
	if err := within(p, func(r rows) error {
		if err := pass("finding the largest margins", r, false); err != nil {
			return err
		}
		return pass("finding more margins", r, true)
	}); err != nil {
		return nil, err
	}
	taken := make([]bool, s.n)
	for _, of := range pairs {
		for _, one := range of {
			for _, c := range one.low.heap {
				taken[c.at] = true
			}
		}
	}
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

// Table lists the issues, the most likely first.
func (s *Issues) Table() display.Table {
	t := display.Table{
		Title: fmt.Sprintf("%d of %d labels are likely wrong (%.2f%%)", len(s.List), s.Of,
			100*float64(len(s.List))/float64(s.Of)),
		Header: []string{"index"},
	}
	if s.Files != nil {
		t.Header = append(t.Header, "file")
	}
	t.Header = append(t.Header, "given", "suggested", "score")
	for _, issue := range s.List {
		row := []any{issue.Index}
		if s.Files != nil {
			row = append(row, s.Files[issue.Index])
		}
		t.Add(append(row, name(s.Names, issue.Given), name(s.Names, issue.Suggested), issue.Score)...)
	}
	return t
}

// Bundle shows the issues that are most likely.
func (s *Issues) Bundle() mime.Bundle { return s.Table().Bundle() }
