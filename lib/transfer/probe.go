package transfer

import (
	"fmt"

	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/lib/data"
	"github.com/loupeml/loupe/lib/learn"
	"github.com/loupeml/loupe/lib/model"
)

// Probe is the network with a new last layer for the classes of train, a logistic regression by l on its features,
// which stay as they are: a linear probe. It is a model as any other, for attribution, attacks or [FixedFeatures] too.
// name is the new model's; where the classes have no names they are numbered. The images are to have the model's size:
// see model.Prepare. With l.Lambda 0 nothing holds the weights back, and a fit of images that can all be told apart
// does not end. Alain and Bengio, "Understanding intermediate layers using linear classifier probes", 2016.
//
// Interrupted, or where the fit uses up its iterations, it returns nil and the error.
func Probe(name string, m *model.Model, train model.Labeled, l learn.LogisticRegression) (*model.Model, error) {
	if err := model.CheckDataset(train); err != nil {
		return nil, fmt.Errorf("transfer: %w", err)
	}
	if train.Len() == 0 {
		return nil, fmt.Errorf("transfer: there are no images to fit %s to", name)
	}
	labels, names := train.Labels(), model.ClassesOf(train)
	classes := len(names)
	for i, label := range labels {
		if label < 0 {
			return nil, fmt.Errorf("transfer: image %d has no label: leave it out", i)
		}
		if names == nil {
			classes = max(classes, label+1)
		}
	}
	features, err := m.FeaturesOf(train)
	if err != nil {
		return nil, err
	}
	fit, err := l.Fit(features, labels, classes)
	if err != nil {
		return nil, fmt.Errorf("transfer: %s: %w", name, err)
	}
	return m.WithHead(name, fit.Head, names)
}

// Exemplars makes each of N images, [N, H, W, C] float32 in 0..1, a class of its own, with so many crops of it as
// examples, each of 0.3 to 1 of its area (see learn.ResizedCrop): labelled images where there are no labels. Image i is
// the class i. Dosovitskiy et al., "Discriminative unsupervised feature learning with convolutional neural networks",
// NeurIPS 2014.
func Exemplars(images *tensors.Tensor, crops int, seed uint64) (*data.Dataset, error) {
	if crops < 1 {
		return nil, fmt.Errorf("transfer: %d crops of an image: there is at least one", crops)
	}
	source, err := learn.FromTensors(images, nil)
	if err != nil {
		return nil, err
	}
	labels := make([]int, source.Len()*crops)
	for i := range labels {
		labels[i] = i / crops
	}
	cut, err := learn.Augmented(source, labels, seed, learn.ResizedCrop{Area: [][2]float64{{0.3, 1}}})
	if err != nil {
		return nil, err
	}
	return data.FromTensor(cut[learn.Images], labels, nil)
}
