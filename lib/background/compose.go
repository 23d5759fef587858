package background

import (
	"fmt"
	"math/rand/v2"

	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/lib/data"
	"github.com/loupeml/loupe/lib/internal/rows"
	"github.com/loupeml/loupe/lib/learn"
	"github.com/loupeml/loupe/lib/mime"
	"github.com/loupeml/loupe/lib/parts"
	"github.com/loupeml/loupe/lib/stats"
	"github.com/loupeml/loupe/lib/table"
)

// Places are backgrounds of several kinds, such as land and water: [M, H, W, C] float32 in 0..1, with the kind of each.
type Places struct {
	Images *tensors.Tensor
	Kinds  []int // [M], 0 to K-1; the kind that has a class's number is its own
}

// Composed are subjects on backgrounds whose kinds are known, so that each image belongs to a group: its class and the
// kind of its background. Waterbirds is such a set, of birds on land and on water: Sagawa, Koh, Hashimoto and Liang,
// "Distributionally robust neural networks for group shifts", ICLR 2020.
type Composed struct {
	Images *tensors.Tensor // [N, H, W, C] float32 in 0..1
	Masks  *tensors.Tensor // [N, H, W] int32
	Labels []int
	Kinds  []int // of the backgrounds
	// Backgrounds are the numbers of the backgrounds among the places.
	Backgrounds []int
}

// Compose puts each subject on a background drawn from places: with probability own on one of its class's own kind, and
// else on one of the others, whose kinds are drawn uniformly. Every class has its own kind of place, and there are two
// kinds or more. own is 0.95 in Waterbirds' training images; 1/K makes backgrounds say nothing of the class.
func Compose(s Subjects, places Places, own float64, seed uint64) (*Composed, error) {
	if err := s.check(); err != nil {
		return nil, err
	}
	if !(own >= 0 && own <= 1) {
		return nil, fmt.Errorf(
			"background: a share of %v of the subjects on their own kind of background: it lies between 0 and 1", own)
	}
	kinds, err := places.kinds(s)
	if err != nil {
		return nil, err
	}
	rng := rand.New(rand.NewPCG(seed, 3))
	c := &Composed{Masks: s.Masks, Labels: s.Labels}
	for _, label := range s.Labels {
		kind := label
		if rng.Float64() >= own {
			kind = (label + 1 + rng.IntN(len(kinds)-1)) % len(kinds)
		}
		c.Kinds = append(c.Kinds, kind)
		c.Backgrounds = append(c.Backgrounds, kinds[kind][rng.IntN(len(kinds[kind]))])
	}
	lent, err := rows.Pick(places.Images, c.Backgrounds)
	if err != nil {
		return nil, fmt.Errorf("background: %w", err)
	}
	c.Images, err = parts.OnBackgrounds(s.Images, s.Masks, lent)
	return c, err
}

// kinds are the numbers of the places of each kind, which fit the subjects.
func (p Places) kinds(s Subjects) ([][]int, error) {
	if p.Images == nil || p.Images.Rank() != 4 || p.Images.DType() != s.Images.DType() {
		return nil, fmt.Errorf("background: places are [M, H, W, C] float32 in 0..1")
	}
	d, want := p.Images.Shape().Dimensions, s.Images.Shape().Dimensions
	if fmt.Sprint(d[1:]) != fmt.Sprint(want[1:]) {
		return nil, fmt.Errorf("background: places of %v for images of %v", d[1:], want[1:])
	}
	if len(p.Kinds) != d[0] {
		return nil, fmt.Errorf("background: %d kinds for %d places", len(p.Kinds), d[0])
	}
	var kinds [][]int
	for i, kind := range p.Kinds {
		if kind < 0 || kind >= d[0] {
			return nil, fmt.Errorf("background: place %d has the kind %d: kinds are 0 to K-1", i, kind)
		}
		for kind >= len(kinds) {
			kinds = append(kinds, nil)
		}
		kinds[kind] = append(kinds[kind], i)
	}
	for kind, of := range kinds {
		if len(of) == 0 {
			return nil, fmt.Errorf("background: there is no place of kind %d of %d", kind, len(kinds))
		}
	}
	for i, label := range s.Labels {
		if label >= len(kinds) {
			return nil, fmt.Errorf("background: image %d has the label %d, and there are places of the kinds 0 to %d", i, label,
				len(kinds)-1)
		}
	}
	if len(kinds) < 2 {
		return nil, fmt.Errorf("background: there is one kind of place: subjects are put on two or more")
	}
	return kinds, nil
}

// Source is what a run learns from: images, labels and the masks, as parts.MasksColumn.
func (c *Composed) Source() (*learn.Tensors, error) {
	if c == nil || c.Images == nil {
		return nil, fmt.Errorf("background: nothing is composed: Compose does it")
	}
	return parts.Data(c.Images, c.Labels, c.Masks, highest(c.Masks))
}

// Dataset is the images with their labels.
func (c *Composed) Dataset() (*data.Dataset, error) {
	if c == nil || c.Images == nil {
		return nil, fmt.Errorf("background: nothing is composed: Compose does it")
	}
	return data.FromTensor(c.Images, c.Labels, nil)
}

// Subjects is the images with their masks and labels, such as for Mixed-Rand.
func (c *Composed) Subjects() Subjects {
	return Subjects{Images: c.Images, Masks: c.Masks, Labels: c.Labels}
}

// Table has a row for each class and kind of background, with how many images are of it.
func (c *Composed) Table() table.Table {
	t := table.Table{Header: []string{"class", "background", "images"}}
	if c == nil {
		return t
	}
	groups, err := c.Groups(c.Labels)
	if err != nil { // there are no images
		return t
	}
	for _, g := range groups {
		t.Add(g.Class, g.Kind, g.Accuracy.Total)
	}
	return t
}

// Bundle shows the table.
func (c *Composed) Bundle() mime.Bundle { return c.Table().Bundle() }

// highest is the largest number of a part in masks.
func highest(masks *tensors.Tensor) int {
	most := int32(0)
	for _, v := range tensors.MustCopyFlatData[int32](masks) {
		most = max(most, v)
	}
	return int(most)
}

// Group is the accuracy on the images of one class on one kind of background.
type Group struct {
	Class    int            `display:"class"`
	Kind     int            `display:"background"`
	Accuracy stats.Accuracy `display:"accuracy"`
}

// Groups are the accuracies of predictions by groups, of classes first and then of kinds.
type Groups []Group

// Groups compares predictions, one for each image, with the labels, by groups. Groups without images are left out.
func (c *Composed) Groups(predicted []int) (Groups, error) {
	if c == nil || len(predicted) != len(c.Labels) || len(c.Kinds) != len(c.Labels) || len(predicted) == 0 {
		return nil, fmt.Errorf("background: there is one prediction for each composed image, and they are %d", len(predicted))
	}
	classes, kinds := 0, 0
	for i := range c.Labels {
		classes, kinds = max(classes, c.Labels[i]+1), max(kinds, c.Kinds[i]+1)
	}
	of := make([]stats.Accuracy, classes*kinds)
	for i, label := range c.Labels {
		at := &of[label*kinds+c.Kinds[i]]
		at.Total++
		if predicted[i] == label {
			at.Correct++
		}
	}
	var groups Groups
	for at, a := range of {
		if a.Total > 0 {
			groups = append(groups, Group{at / kinds, at % kinds, a})
		}
	}
	return groups, nil
}

// Worst is the group with the lowest accuracy, the first of equals.
func (g Groups) Worst() Group {
	if len(g) == 0 {
		panic(fmt.Errorf("background: the worst of no groups"))
	}
	worst := g[0]
	for _, one := range g[1:] {
		if one.Accuracy.Share() < worst.Accuracy.Share() {
			worst = one
		}
	}
	return worst
}

// OnOwn is the accuracy on the images whose background is of their class's own kind.
func (g Groups) OnOwn() stats.Accuracy { return g.where(true) }

// OnOthers is the accuracy on the images whose background is of another class's kind.
func (g Groups) OnOthers() stats.Accuracy { return g.where(false) }

func (g Groups) where(own bool) (a stats.Accuracy) {
	for _, one := range g {
		if (one.Class == one.Kind) == own {
			a = a.Add(one.Accuracy)
		}
	}
	return a
}

// Table has a row for each group.
func (g Groups) Table() (table.Table, error) { return table.Of([]Group(g)) }

// Bundle shows the table.
func (g Groups) Bundle() mime.Bundle { return table.Shown(g.Table()) }
