package evaluate

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/lib/display"
	"github.com/loupeml/loupe/lib/mime"
	"github.com/loupeml/loupe/lib/table"
)

// Confusion is how many images of each class are taken for each. Only what occurs is kept, so that the number of
// classes does not matter.
type Confusion struct {
	Title string
	// K is the number of classes of the model.
	K int

	counts map[[2]int]int // by label and predicted class
	of     map[int]int    // images by label
	name   func(class int) string
}

// Confused is two classes of which one is taken for the other.
type Confused struct {
	Label     int     `display:"label"`
	Predicted int     `display:"predicted"`
	Images    int     `display:"images"`
	Share     float64 `display:"share of the label's images,percent"`
}

// mostMatrix is up to how many classes the table of each class and each is made: of 1,000 it has a million numbers.
const mostMatrix = 1000

// Confusion counts how many images of each class are taken for each.
func (e *Evaluation) Confusion() (*Confusion, error) {
	l, err := e.needLabels("the confusion of classes")
	if err != nil {
		return nil, err
	}
	_, of := l.correct()
	c := &Confusion{Title: e.Title, K: l.NumClasses(), counts: map[[2]int]int{}, of: of, name: l.ClassName}
	for i, label := range l.Labels {
		c.counts[[2]int{label, l.predicted[i]}]++
	}
	return c, nil
}

// Count is how many images of a label are taken for a class.
func (c *Confusion) Count(label, predicted int) int { return c.counts[[2]int{label, predicted}] }

// Pairs are the classes that are taken for each other, those with the most images first; of equal ones the one with the
// lower label, then with the lower predicted class.
func (c *Confusion) Pairs() []Confused {
	var pairs []Confused
	for of, n := range c.counts {
		if of[0] != of[1] {
			pairs = append(pairs, Confused{of[0], of[1], n, share(n, c.of[of[0]])})
		}
	}
	slices.SortFunc(pairs, func(a, b Confused) int {
		return cmp.Or(cmp.Compare(b.Images, a.Images), cmp.Compare(a.Label, b.Label), cmp.Compare(a.Predicted, b.Predicted))
	})
	return pairs
}

// Table has a row for each pair of classes of which one is taken for the other, the most frequent first.
func (c *Confusion) Table() table.Table {
	t := table.Table{Title: c.Title, Header: []string{"label", "predicted", "images", "share of the label's images"}}
	for _, p := range c.Pairs() {
		t.Add(c.name(p.Label), c.name(p.Predicted), p.Images, table.Percent(p.Share))
	}
	return t
}

// most are the first pairs.
func (c *Confusion) most(most int) table.Table {
	t := c.Table()
	all := len(t.Rows)
	t.Rows = t.Rows[:min(most, all)]
	t.Title = "Confused most"
	if len(t.Rows) < all {
		t.Title += fmt.Sprintf(", %d of %d pairs of classes", len(t.Rows), all)
	}
	return t
}

// Matrix are the counts, [K][K], by label and predicted class. It is an error of more than 1,000 classes.
func (c *Confusion) Matrix() ([][]int, error) {
	if c.K > mostMatrix {
		return nil, fmt.Errorf("evaluate: the confusion of %d classes as a matrix has %d x %d numbers, and there is room "+
			"for %d classes: Table has the pairs that are confused", c.K, c.K, c.K, mostMatrix)
	}
	m := make([][]int, c.K)
	for i := range m {
		m[i] = make([]int, c.K)
	}
	for of, n := range c.counts {
		m[of[0]][of[1]] = n
	}
	return m, nil
}

// Arrays are the counts, [K, K] int64. It is an error of more than 1,000 classes.
func (c *Confusion) Arrays() (map[string]*tensors.Tensor, map[string]string, error) {
	m, err := c.Matrix()
	if err != nil {
		return nil, nil, err
	}
	flat := make([]int64, 0, c.K*c.K)
	for _, row := range m {
		for _, n := range row {
			flat = append(flat, int64(n))
		}
	}
	return map[string]*tensors.Tensor{"counts": tensors.FromFlatDataAndDimensions(flat, c.K, c.K)}, nil, nil
}

// shown are the classes that are drawn: all if there are 40 or fewer; of more those that occur, if these are no more
// than 40; else all up to 1,000; else the 40 that occur most often in pairs that are confused.
func (c *Confusion) shown() (classes []int, why string) {
	occurs := map[int]bool{}
	for of := range c.counts {
		occurs[of[0]], occurs[of[1]] = true, true
	}
	switch {
	case c.K <= mostBars, len(occurs) > mostBars && c.K <= mostMatrix:
		for class := range c.K {
			classes = append(classes, class)
		}
		return classes, ""
	case len(occurs) <= mostBars:
		return slices.Sorted(maps.Keys(occurs)), fmt.Sprintf(": the classes that occur, of %d", c.K)
	}
	taken := map[int]bool{}
	for _, p := range c.Pairs() {
		for _, class := range []int{p.Label, p.Predicted} {
			if len(taken) < mostBars {
				taken[class] = true
			}
		}
	}
	if len(taken) == 0 { // all is right
		for _, class := range slices.Sorted(maps.Keys(occurs))[:mostBars] {
			taken[class] = true
		}
	}
	return slices.Sorted(maps.Keys(taken)), fmt.Sprintf(": the %d classes that are confused most, of %d", len(taken), c.K)
}

// Plot draws the matrix. Of more than 1,000 classes it has those that are confused most.
func (c *Confusion) Plot() display.Confusion {
	classes, why := c.shown()
	m := display.Confusion{Title: c.Title + why}
	for _, label := range classes {
		row := make([]float64, len(classes))
		for j, predicted := range classes {
			row[j] = float64(c.Count(label, predicted))
		}
		m.Counts, m.Classes = append(m.Counts, row), append(m.Classes, c.name(label))
	}
	return m
}

// Bundle shows the plot, and the pairs that are confused most.
func (c *Confusion) Bundle() mime.Bundle {
	plot, most := c.Plot().Bundle(), c.most(2*mostWorst)
	if len(most.Rows) == 0 {
		return plot
	}
	return display.Stack(plot, most.Bundle())
}
