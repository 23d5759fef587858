package labels

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"github.com/loupeml/loupe/lib/display"
	"github.com/loupeml/loupe/lib/mime"
)

// ClassHealth is what the joint says of a class.
type ClassHealth struct {
	Class         int
	Issues        int     // examples labelled so that are of other classes
	InverseIssues int     // examples of this class that are labelled otherwise
	Noise         float64 // the share of the examples labelled so that are of other classes
	InverseNoise  float64 // the share of the examples of this class that are labelled otherwise
	Quality       float64 // 1 - Noise
}

// Overlap is how many examples of two classes are labelled as the other.
type Overlap struct {
	A, B     int     // A < B
	Examples int     // labelled A and of class B, or the other way round
	Joint    float64 // their share of all examples
}

// DatasetHealth says how well a data set is labelled.
type DatasetHealth struct {
	// Score is the share of the examples that ConfidentLearning does not take: 1 where all labels seem right.
	Score    float64
	Classes  []ClassHealth // those with the lowest quality first; of equal ones the first class
	Overlaps []Overlap     // all pairs of classes, those with most examples in common first
	Names    []string      // what the classes are called; nil for their numbers
}

// epsilon stands for 0 below a fraction line.
const epsilon = 1e-6

// Health estimates how well a data set is labelled, from the calibrated joint. cleanlab's health_summary; Northcutt et
// al. 2021 (JAIR), section 4.1.
func Health(p Probabilities, given []int) (*DatasetHealth, error) {
	s, err := scan(p, given)
	if err != nil {
		return nil, err
	}
	h := s.joint().health()
	h.Score = 1 - float64(s.confidentIssues())/float64(s.n)
	return h, nil
}

// health is what the joint alone tells.
func (c *ConfidentJoint) health() *DatasetHealth {
	joint := c.Joint()
	k := len(c.Counts)
	n := 0
	for _, v := range c.Examples {
		n += v
	}
	count := func(share float64) int { return int(math.RoundToEven(share * float64(n))) }
	h := &DatasetHealth{}
	for y := range k {
		given := pairwise(k, func(j int) float64 { return joint.At(y, j) })
		var true float64
		for i := range k {
			true += joint.At(i, y)
		}
		noise, inverse := given-joint.At(y, y), true-joint.At(y, y)
		class := ClassHealth{Class: y, Issues: count(noise), InverseIssues: count(inverse),
			Noise: noise / max(given, epsilon), InverseNoise: inverse / max(true, epsilon)}
		class.Quality = 1 - class.Noise
		h.Classes = append(h.Classes, class)
		for j := y + 1; j < k; j++ {
			both := joint.At(y, j) + joint.At(j, y)
			h.Overlaps = append(h.Overlaps, Overlap{y, j, count(both), both})
		}
	}
	slices.SortStableFunc(h.Classes, func(a, b ClassHealth) int { return cmp.Compare(a.Quality, b.Quality) })
	slices.SortStableFunc(h.Overlaps, func(a, b Overlap) int { return cmp.Compare(b.Joint, a.Joint) })
	return h
}

// overlapsShown is how many pairs of classes a summary names.
const overlapsShown = 10

// Bundle shows the classes, and the pairs that are mixed up most.
func (h *DatasetHealth) Bundle() mime.Bundle {
	classes, overlaps := h.tables()
	a, b := classes.Bundle(), overlaps.Bundle()
	return mime.Bundle{Data: map[string]string{mime.HTML: a.Data[mime.HTML] + b.Data[mime.HTML], mime.Text: h.String()}}
}

// String is the health as text.
func (h *DatasetHealth) String() string {
	classes, overlaps := h.tables()
	return classes.String() + "\n" + overlaps.String()
}

func (h *DatasetHealth) tables() (classes, overlaps display.Table) {
	classes = display.Table{
		Title:  fmt.Sprintf("Label health %.1f%%", 100*h.Score),
		Header: []string{"class", "label quality", "labelled so, of other classes", "of this class, labelled otherwise"},
	}
	for _, c := range h.Classes {
		classes.Add(name(h.Names, c.Class), display.Bar(c.Quality), c.Issues, c.InverseIssues)
	}
	overlaps = display.Table{Title: "Mixed up", Header: []string{"class", "and", "examples"}}
	for _, o := range h.Overlaps[:min(len(h.Overlaps), overlapsShown)] {
		if o.Examples > 0 {
			overlaps.Add(name(h.Names, o.A), name(h.Names, o.B), o.Examples)
		}
	}
	return classes, overlaps
}
