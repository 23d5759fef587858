package selfsup

import (
	"cmp"
	"fmt"

	"github.com/gomlx/gomlx/core/graph"

	"github.com/loupeml/loupe/lib/background"
	"github.com/loupeml/loupe/lib/internal/draw"
	"github.com/loupeml/loupe/lib/internal/graphops"
	"github.com/loupeml/loupe/lib/learn"
	"github.com/loupeml/loupe/lib/model"
)

// MoCo is momentum contrast, version 2: one view of an image has to find the key of the other, which the moving average
// of the network makes, among a queue of keys of earlier images. He et al., CVPR 2020; Chen et al., "Improved baselines
// with momentum contrastive learning", arXiv 2003.04297. The zero MoCo is not valid: start from [DefaultMoCo].
//
// A step takes its batch statistics from the whole batch, for queries and for keys apart. What the authors' program
// shuffles between processors for, so that a key cannot be told by its batch's statistics, is not done on one device.
type MoCo struct {
	// Queue is how many keys there are to be told apart from, Momentum that of the average, Temperature what
	// similarities are divided by.
	Queue       int
	Momentum    float64
	Temperature float64
	// Hidden and Out are the widths of the head; 0 for Hidden means that of the backbone's features.
	Hidden, Out int
	// Matched gives each query a negative of its own, from a third view that has the query's background and another
	// subject: Augment then has a background.Swaps.
	Matched bool
}

// DefaultMoCo has the numbers of facebookresearch/moco for ImageNet. Smaller sets of images want a smaller queue.
var DefaultMoCo = MoCo{Queue: 65536, Momentum: 0.999, Temperature: 0.2, Out: 128}

// Check tells what is wrong with the settings.
func (m MoCo) Check() error {
	if m.Hidden < 0 {
		return fmt.Errorf("selfsup: the head's width is %d: it is 1 or more, or 0 for that of the features", m.Hidden)
	}
	return cmp.Or(sized("MoCo's queue", m.Queue), sized("the head's output", m.Out),
		positive("MoCo's temperature", m.Temperature), unitOpen("MoCo's momentum", m.Momentum))
}

// Of returns the run in which a backbone learns by m: run.Nets has it alone, under the name "backbone", and run has no
// Step and no Average yet. The views are made here; Augment changes each of them. Labels in the data are not looked at.
//
// The run's networks are then "online", the backbone with a head behind it, and "target", its average; Trainable is
// asked of "online". The history has the metric "instance", of how many queries the own key is the nearest.
func (m MoCo) Of(run learn.Run) (learn.Run, error) {
	if err := m.Check(); err != nil {
		return run, err
	}
	swaps := 0
	for _, a := range run.Augment {
		if _, is := a.(background.Swaps); is {
			swaps++
		}
	}
	views := 2
	switch {
	case m.Matched && swaps != 1:
		return run, fmt.Errorf(
			"selfsup: negatives that match the query's background come from one background.Swaps in Augment, and there are %d",
			swaps)
	case !m.Matched && swaps > 0:
		return run, fmt.Errorf("selfsup: background.Swaps makes a third view, a negative, which MoCo takes with Matched")
	case m.Matched:
		views = 3
	}
	run, b, _, err := prepared(run, views)
	if err != nil {
		return run, err
	}
	hidden := m.Hidden
	if hidden == 0 {
		hidden = b.width
	}
	online, err := b.extended(run.Seed, head{name: "projector", hidden: hidden, out: m.Out})
	if err != nil {
		return run, err
	}
	run.Nets = map[string]*model.Model{Online: online}
	run.Average = []learn.EMA{{Net: Online, As: Target, Decay: m.Momentum}}
	start := draw.UnitRows(m.Queue, m.Out, run.Seed, 17)
	run.Step = func(s *learn.Step) learn.Loss {
		call := func(net string, view int) *graph.Node {
			return graphops.Unit(s.Call(net, s.View(s.Images(), view)).Logits)
		}
		query := call(Online, 0)
		key := graph.StopGradient(call(Target, 1))
		var matched, there *graph.Node
		if m.Matched {
			matched = graph.StopGradient(call(Target, 2))
			there = s.View(s.Column(background.Matched), 2)
		}
		queue := s.State("queue", start)
		logits := Contrast(query, key, queue.Value(), matched, there, m.Temperature)
		queue.Set(queued(queue.Value(), key))
		return learn.Loss{Each: InfoNCE(logits), Metrics: map[string]*graph.Node{"instance": nearest(logits)}}
	}
	return run, nil
}
