// Package parts classifies by parts: a network that says for each pixel which part of what it belongs to, and behind it
// a tiny one that tells the class from the parts' masks alone, trained as one. Sitawarin et al., "Part-Based Models
// Improve Adversarial Robustness", ICLR 2023.
package parts

import (
	"fmt"

	"github.com/gomlx/gomlx/core/graph"

	"github.com/loupeml/loupe/lib/internal/draw"
	"github.com/loupeml/loupe/lib/model"
)

// Segmentation is the name of what the part models say of each pixel in the model's maps, as scores before softmax,
// [N, H, W, K]: class 0 is the background, the others are parts.
const Segmentation = "segmentation"

// hidden is the width of the classifiers, as in the authors' code.
const hidden = 50

// Downsampled is the part model that looks at small masks: the softmax of the segmentation is brought to Side x Side
// places by means, a convolution of that size makes five features of each part, and two linear layers with batch
// normalisation tell the class. Section 3.1 of the paper; layers are as in PoolingModel of chawins/adv-part-model.
type Downsampled struct {
	Side       int  // of the small masks; 0 means 4
	Background bool // looks at the background's mask too
}

// BoundingBox is the part model that looks at where each part is: of each part its score, the centre of its mask and
// how far it spreads, five features, from which two linear layers with batch normalisation tell the class. Section 3.2
// of the paper; features and layers are those of WeightedBBoxModel of chawins/adv-part-model, normalised by the image.
// See [Boxes].
type BoundingBox struct{}

// Make puts the classifier, with random weights as PyTorch draws them, behind a segmenter: a network that has the map
// "segmentation", [N, H, W, K] with the background first, such as networks.UNet or networks.DeepLab. The weights are
// the segmenter's, and those of the classifier, which are named "classifier." and so on. Such a model cannot be saved
// as one file; save its weights.
func (d Downsampled) Make(segmenter *model.Model, classes int, seed uint64) (*model.Model, error) {
	if d.Side == 0 {
		d.Side = 4
	}
	spec, masks, err := checked(segmenter, classes)
	if err != nil {
		return nil, err
	}
	if d.Side < 1 || d.Side > min(spec.Height, spec.Width) {
		return nil, fmt.Errorf("parts: masks of %d x %d places of images of %d x %d", d.Side, d.Side, spec.Height, spec.Width)
	}
	if !d.Background {
		masks--
	}
	w := draw.New(classifier, seed, 19)
	w.Uniform("conv", d.Side*d.Side*masks, 5*masks, d.Side, d.Side, masks, 5*masks)
	w.Norm("bn1", 5*masks)
	w.Uniform("hidden", 5*masks, hidden, hidden, 5*masks)
	w.Norm("bn2", hidden)
	w.Uniform("linear", hidden, classes, classes, hidden)
	return extended("Downsampled part model", segmenter, w, func(b *model.Builder, scores *graph.Node) *graph.Node {
		x := Pooled(Masks(scores, d.Background), d.Side)
		x = b.ReLU(classifier+"relu1", b.BatchNorm(classifier+"bn1", b.Conv2D(classifier+"conv", x, 1, 0), 1e-5))
		x = b.Linear(classifier+"hidden", flat(x))
		x = b.ReLU(classifier+"relu2", normed(b, classifier+"bn2", x))
		return b.Linear(classifier+"linear", b.Features(x))
	})
}

// Make puts the classifier behind a segmenter: see [Downsampled.Make].
func (BoundingBox) Make(segmenter *model.Model, classes int, seed uint64) (*model.Model, error) {
	_, masks, err := checked(segmenter, classes)
	if err != nil {
		return nil, err
	}
	features := 5 * (masks - 1)
	w := draw.New(classifier, seed, 19)
	w.Norm("bn1", features)
	w.Uniform("hidden", features, hidden, hidden, features)
	w.Norm("bn2", hidden)
	w.Uniform("linear", hidden, classes, classes, hidden)
	return extended("Bounding-box part model", segmenter, w, func(b *model.Builder, scores *graph.Node) *graph.Node {
		x := normed(b, classifier+"bn1", flat(Boxes(scores)))
		x = b.ReLU(classifier+"relu", b.Linear(classifier+"hidden", x))
		return b.Linear(classifier+"linear", b.Features(normed(b, classifier+"bn2", x)))
	})
}

const classifier = "classifier."

// checked are the segmenter's spec and the number of its masks.
func checked(segmenter *model.Model, classes int) (model.Spec, int, error) {
	if segmenter == nil {
		return model.Spec{}, 0, fmt.Errorf("parts: there is no segmenter: it is nil")
	}
	if classes < 2 {
		return model.Spec{}, 0, fmt.Errorf("parts: a classifier of %d classes", classes)
	}
	spec := segmenter.Spec()
	for _, of := range segmenter.Maps() {
		if of.Name != Segmentation {
			continue
		}
		if d := of.Shape; len(d) == 3 && d[0] == spec.Height && d[1] == spec.Width && d[2] >= 2 {
			return spec, d[2], nil
		}
		return spec, 0, fmt.Errorf("parts: a segmenter says of each pixel what it belongs to, [%d, %d, K] with K at least "+
			"2, and %s says %v of an image", spec.Height, spec.Width, segmenter.Name(), of.Shape)
	}
	return spec, 0,
		fmt.Errorf("parts: %s is no segmenter: it has no map named %q, as networks.UNet and networks.DeepLab have",
			segmenter.Name(), Segmentation)
}

// extended puts a classifier of the scores of parts behind a segmenter.
func extended(name string, segmenter *model.Model, w *draw.Weights,
	classify func(b *model.Builder, scores *graph.Node) *graph.Node) (*model.Model, error) {
	m, err := segmenter.Extend(name, nil, w.All, func(b *model.Builder, out model.Outputs) *graph.Node {
		return classify(b, out.Maps[Segmentation])
	})
	if err != nil {
		return nil, err
	}
	m.BatchSize = segmenter.BatchSize
	return m, nil
}

func flat(x *graph.Node) *graph.Node {
	return graph.Reshape(x, x.Shape().Dimensions[0], x.Shape().Size()/x.Shape().Dimensions[0])
}

// normed is the batch normalisation of features, [N, D].
func normed(b *model.Builder, name string, x *graph.Node) *graph.Node {
	d := x.Shape().Dimensions
	return graph.Reshape(b.BatchNorm(name, graph.Reshape(x, d[0], 1, 1, d[1]), 1e-5), d...)
}
