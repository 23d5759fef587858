package priors

import (
	"fmt"

	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/lib/internal/left"
	"github.com/loupeml/loupe/lib/learn"
	"github.com/loupeml/loupe/lib/model"
)

// Learn trains the learner by itself, by its Run and on labelled images alone, [N, H, W, C] float32 in 0..1 with a
// label for each. It is the network behind its prior ([WithPrior]), which takes images, under the learner's name.
//
// Interrupted, it returns the network as it is beside the error, and where the loss is no number any more as it was
// before that step.
func (l Learner) Learn(images *tensors.Tensor, labels []int) (*model.Model, error) {
	if err := l.check(); err != nil {
		return nil, err
	}
	if labels == nil {
		return nil, fmt.Errorf("priors: the labelled images have no labels")
	}
	if err := checkImages(images, labels, l.Net.NumClasses()); err != nil {
		return nil, err
	}
	seen, err := Apply(l.Prior, images)
	if err != nil {
		return nil, err
	}
	run := l.Run
	if run.Data, err = learn.FromTensors(seen, labels); err != nil {
		return nil, err
	}
	run.Nets = map[string]*model.Model{only: l.Net}
	run.Step = func(s *learn.Step) learn.Loss { return s.Classification(s.Call(only, s.Images()).Logits) }
	trained, stopped := run.Do()
	if trained == nil {
		return nil, stopped
	}
	whole, err := WithPrior(l.Prior, trained.Net())
	if err != nil {
		return nil, err
	}
	if l.Name != "" {
		if whole, err = whole.Renamed(l.Name); err != nil {
			return nil, err
		}
	}
	return left.Beside(whole, stopped)
}
