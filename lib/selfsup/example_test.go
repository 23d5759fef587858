package selfsup_test

import (
	"fmt"

	"github.com/loupeml/loupe/lib/internal/yours"
	"github.com/loupeml/loupe/lib/learn"
	"github.com/loupeml/loupe/lib/model"
	"github.com/loupeml/loupe/lib/selfsup"
)

// must is predeclared in cells.
func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// A backbone learns features from photos alone, without labels.
func ExampleBYOL() {
	photos, backbone := yours.Photos(20), must(learn.SmallCNN(yours.Spec(), 2, 1, 4))
	run := learn.Run{
		Nets:      map[string]*model.Model{selfsup.Backbone: backbone},
		Data:      must(learn.FromTensors(must(photos.All()), nil)),
		Sampler:   learn.Shuffled(10),
		Augment:   []learn.Augmentation{learn.Flip{}},
		Optimizer: learn.Adam{LearningRate: 0.01},
		Epochs:    1,
	}
	run = must(selfsup.BYOL{Momentum: 0.9, Hidden: 8, Out: 4}.Of(run))
	trained := must(selfsup.Trained(backbone, must(run.Do())))
	fmt.Println(must(trained.FeaturesOf(photos)).Shape().Dimensions[0], "images' features")
	// Output: 20 images' features
}

func ExampleMoCo() {
	photos, backbone := yours.Photos(20), must(learn.SmallCNN(yours.Spec(), 2, 1, 4))
	run := learn.Run{
		Nets:      map[string]*model.Model{selfsup.Backbone: backbone},
		Data:      must(learn.FromTensors(must(photos.All()), nil)),
		Sampler:   learn.Shuffled(10),
		Augment:   []learn.Augmentation{learn.Flip{}},
		Optimizer: learn.Adam{LearningRate: 0.01},
		Epochs:    1,
	}
	run = must(selfsup.MoCo{Queue: 20, Momentum: 0.9, Temperature: 0.2, Out: 4}.Of(run))
	fmt.Println(must(run.Do()).Steps, "steps")
	// Output: 2 steps
}
