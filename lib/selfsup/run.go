package selfsup

import (
	"fmt"
	"maps"
	"slices"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"

	"github.com/loupeml/loupe/lib/learn"
	"github.com/loupeml/loupe/lib/model"
	"github.com/loupeml/loupe/lib/table"
)

// The names of a run's networks.
const (
	// Backbone is the network that a run is given, whose features are to be learnt.
	Backbone = "backbone"
	// Online is the backbone with heads behind it, which is trained.
	Online = "online"
	// Target is its moving average, of MoCo and BYOL.
	Target = "target"
)

func imageShape(n int, spec model.Spec) shapes.Shape {
	return shapes.Make(dtypes.Float32, n, spec.Height, spec.Width, spec.Channels)
}

// prepared checks a run that is to learn from so many views, and returns its backbone and how many images a step has.
func prepared(run learn.Run, views int) (learn.Run, backbone, int, error) {
	refuse := func(format string, args ...any) (learn.Run, backbone, int, error) {
		return run, backbone{}, 0, fmt.Errorf("selfsup: "+format, args...)
	}
	m := run.Nets[Backbone]
	switch {
	case m == nil || len(run.Nets) != 1:
		return refuse("a run has one network, called %q, and this one has %q", Backbone, slices.Sorted(maps.Keys(run.Nets)))
	case run.Data == nil || table.IsNil(run.Data):
		return refuse("a run without Data")
	case run.Sampler == nil:
		return refuse("how many images does a step have? Set Sampler, such as learn.Shuffled(256)")
	case run.Step != nil:
		return refuse("the run has a Step already: this is one")
	case len(run.Average) > 0:
		return refuse("the run has an Average already: the momentum encoder is one")
	}
	if mean, ok := run.Gradient.(learn.Mean); run.Gradient != nil && (!ok || mean.Microbatch != 0) {
		return refuse("the images of a batch are compared with each other, so that a step takes the whole batch at once: "+
			"leave Gradient nil, not %T", run.Gradient)
	}
	size, exact := run.Sampler.Size(run.Data.Len())
	if !exact || size < 2 {
		return refuse(
			"batches are all of one size, 2 or more, such as learn.Shuffled(256): this Sampler draws %v in the mean", size)
	}
	for _, a := range run.Augment {
		if _, repeats := a.(learn.Views); repeats {
			return refuse("the %d views of an image are made here: leave learn.Views out of Augment", views)
		}
	}
	b, err := backboneOf(m)
	if err != nil {
		return run, b, 0, err
	}
	run.Augment = append([]learn.Augmentation{learn.Views(views)}, run.Augment...)
	only := run.Trainable
	run.Trainable = func(net, weight string) bool {
		_, own := m.Weights()[weight]
		return (!own || b.used[weight]) && (only == nil || only(net, weight))
	}
	return run, b, int(size), nil
}

// unitOpen is an error unless a setting lies between 0 and 1.
func unitOpen(what string, value float64) error {
	if !(value >= 0 && value < 1) {
		return fmt.Errorf("selfsup: %s is %v: it lies between 0 and 1", what, value)
	}
	return nil
}

// positive is an error unless a setting is a positive number.
func positive(what string, value float64) error {
	if !(value > 0 && value-value == 0) {
		return fmt.Errorf("selfsup: %s is %v: it is a positive number", what, value)
	}
	return nil
}

// sized is an error unless a setting counts something.
func sized(what string, value int) error {
	if value < 1 {
		return fmt.Errorf("selfsup: %s is %d: it is 1 or more", what, value)
	}
	return nil
}
