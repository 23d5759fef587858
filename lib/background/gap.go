package background

import (
	"fmt"

	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/lib/interrupt"
	"github.com/loupeml/loupe/lib/mime"
	"github.com/loupeml/loupe/lib/stats"
	"github.com/loupeml/loupe/lib/table"
)

// Gap is how far a classifier rests on backgrounds: its accuracy on the same subjects on backgrounds of several kinds.
// Definitions are those of Xiao et al. and of MadryLab/backgrounds_challenge.
type Gap struct {
	Original, MixedSame, MixedRand, OnlyFG stats.Accuracy
}

// GapOf measures it: predict answers to images, [N, H, W, C], with a class for each, such as a model's Predict. seed is
// that of which backgrounds are taken.
func GapOf(predict func(images *tensors.Tensor) ([]int, error), s Subjects, seed uint64) (*Gap, error) {
	if predict == nil {
		return nil, fmt.Errorf("background: there is nothing that answers: predict is nil")
	}
	if err := s.check(); err != nil {
		return nil, err
	}
	g := &Gap{}
	for i, one := range []struct {
		into *stats.Accuracy
		make func() (*tensors.Tensor, error)
	}{
		{&g.Original, func() (*tensors.Tensor, error) { return s.Images, nil }},
		{&g.MixedSame, func() (*tensors.Tensor, error) { return s.MixedSame(seed) }},
		{&g.MixedRand, func() (*tensors.Tensor, error) { return s.MixedRand(seed) }},
		{&g.OnlyFG, s.OnlyFG},
	} {
		images, err := one.make()
		if err != nil {
			return nil, err
		}
		predicted, err := predict(images)
		if interrupt.Is(err) {
			return nil, interrupt.After(err, "background: measuring the gap", i, 4, "kinds of images")
		}
		if err != nil {
			return nil, err
		}
		if len(predicted) != len(s.Labels) {
			return nil, fmt.Errorf("background: %d answers to %d images", len(predicted), len(s.Labels))
		}
		if *one.into, err = stats.AccuracyOf(predicted, s.Labels); err != nil {
			return nil, err
		}
	}
	return g, nil
}

// Background is the background gap, Mixed-Same less Mixed-Rand, from -1 to 1: what the right class's background adds.
func (g *Gap) Background() float64 { return g.MixedSame.Share() - g.MixedRand.Share() }

func (g *Gap) String() string {
	return fmt.Sprintf(
		"background gap %.1f points: %.1f%% on backgrounds of the same class, %.1f%% on those of random classes",
		100*g.Background(), 100*g.MixedSame.Share(), 100*g.MixedRand.Share())
}

// Table has a row for each kind of images.
func (g *Gap) Table() table.Table {
	t := table.Table{Header: []string{"images", "accuracy"}}
	t.Add("original", g.Original.Rate())
	t.Add("subject on a background of its class (Mixed-Same)", g.MixedSame.Rate())
	t.Add("subject on a background of a random class (Mixed-Rand)", g.MixedRand.Rate())
	t.Add("subject on black (Only-FG)", g.OnlyFG.Rate())
	t.Add("background gap", table.Percent(g.Background()))
	return t
}

// Bundle shows the table.
func (g *Gap) Bundle() mime.Bundle { return g.Table().Bundle() }
