package loupe

import (
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/lib/data"
	"github.com/loupeml/loupe/lib/learn"
	"github.com/loupeml/loupe/lib/model"
)

// SmallCNN makes a small convolutional network with random weights: see learn.SmallCNN.
func SmallCNN(spec model.Spec, classes int, seed uint64, widths ...int) *model.Model {
	return must(learn.SmallCNN(spec, classes, seed, widths...))
}

// Train trains a model by a recipe on a labelled dataset and returns the trained one.
func Train(m *model.Model, ds *data.Dataset, recipe learn.Recipe) *model.Model {
	return TrainOn(m, Images(m, ds), ds.Labels(), recipe)
}

// TrainOn is [Train] for a tensor of images, such as masked ones.
func TrainOn(m *model.Model, images *tensors.Tensor, labels []int, recipe learn.Recipe) *model.Model {
	trained, _, err := recipe.Train(m, images, labels)
	return must(trained, err)
}

// Ensemble makes one model of several: the mean of their probabilities.
func Ensemble(name string, members ...*model.Model) *model.Model {
	return must(model.Ensemble(name, members...))
}
