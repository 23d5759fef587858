package loupe

import (
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/lib/data"
	"github.com/loupeml/loupe/lib/learn"
	"github.com/loupeml/loupe/lib/model"
)

// Model is model.Model, for cells that keep several: []*loupe.Model{}.
type Model = model.Model

// SmallCNN makes a small convolutional network with random weights for a dataset's images and classes, which normalises
// by the mean and deviation of these images: see learn.SmallCNN for its layers.
func SmallCNN(ds *data.Dataset, seed uint64, widths ...int) *model.Model {
	spec, classes := specOf("small CNN", ds)
	return must(learn.SmallCNN(spec, classes, seed, widths...))
}

// MLP makes a multilayer perceptron with random weights for a dataset's images and classes, as [SmallCNN] does a
// convolutional network; without widths it is a linear classifier. See learn.MLP.
func MLP(ds *data.Dataset, seed uint64, widths ...int) *model.Model {
	spec, classes := specOf("", ds)
	return must(learn.MLP(spec, classes, seed, widths...))
}

// SmallViT makes a small vision transformer with random weights for a dataset's images and classes, as [SmallCNN] does
// a convolutional network. The zero learn.ViT is one of three blocks. Train it by learn.DefaultViT.
func SmallViT(ds *data.Dataset, seed uint64, size learn.ViT) *model.Model {
	spec, classes := specOf("small ViT", ds)
	return must(size.Make(spec, classes, seed))
}

// specOf is the spec of a network for a dataset, and its number of classes.
func specOf(name string, ds *data.Dataset) (model.Spec, int) {
	if err := model.CheckDataset(ds); err != nil {
		panic(err)
	}
	images := must(ds.All())
	mean, std, err := learn.Statistics(images)
	must(mean, err)
	d := images.Shape().Dimensions
	spec := model.Spec{Name: name, Height: d[1], Width: d[2], Channels: d[3], Mean: mean, Std: std, Classes: ds.Classes()}
	classes := len(spec.Classes)
	for _, label := range ds.Labels() {
		classes = max(classes, label+1)
	}
	return spec, classes
}

// Train trains a model by a recipe on a labelled dataset and returns the trained one. The labels meet the model's
// classes by name: see model.LabelsOf.
func Train(m *model.Model, ds *data.Dataset, recipe learn.Recipe) *model.Model {
	return TrainOn(m, Images(m, ds), must(m.KnownLabelsOf(ds)), recipe)
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
