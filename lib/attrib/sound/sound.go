// Package sound asks of a saliency map whether it explains: whether the pixels that it names make the network say the
// label (it is complete), and whether no map for a label that the network rejects can do the same (it is sound).
//
// [Of] makes the maps of any method of attribution for many pairs of an image and a label, [Masks] learns them,
// [Insertion] evaluates either, and [Evaluation] shows itself as a score with intervals, as curves and as a sheet.
//
// Gupta, Saunshi, Yu, Lyu and Arora, "New Definitions and Evaluations for Saliency Methods: Staying Intrinsic, Complete
// and Sound", NeurIPS 2022, arXiv:2211.02912. The authors' code is agup/soundness_saliency.
package sound

import (
	"fmt"

	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/lib/attrib"
	"github.com/loupeml/loupe/lib/data"
	"github.com/loupeml/loupe/lib/interrupt"
	"github.com/loupeml/loupe/lib/model"
)

// Maps are saliency maps of images, each for several labels.
type Maps struct {
	// Method is the name of what made them.
	Method string
	// Labels are those of each image, [N][L] class numbers, and ClassNames their names.
	Labels     [][]int
	ClassNames [][]string
	// Values are [N, L, H, W] float32, larger where a pixel speaks more for the label. Only the order within a map
	// counts.
	Values *tensors.Tensor
}

// Of makes the maps of a method for each image, [N, H, W, C] float32 in 0..1, and each of its labels, [N][L] such as
// [All] or [Likeliest] name: the method's heatmaps, summed over channels, of each label's logit. Interrupted, it
// returns the maps of the images that are done, with all labels, beside the error; nil if none is.
func Of(m *model.Model, images *tensors.Tensor, labels [][]int, method attrib.Method) (*Maps, error) {
	if method == nil {
		return nil, fmt.Errorf("sound: there is no method to explain labels by: it is nil")
	}
	p, err := pairsOf(m, images, labels)
	if err != nil {
		return nil, err
	}
	a, stopped := method.Attribute(m, p.images, p.classes)
	if a == nil {
		return nil, stopped
	}
	heat, err := a.Heatmap()
	if err != nil {
		return nil, err
	}
	done := len(a.Classes) / len(p.labels[0]) // images
	if done == 0 {
		return nil, stopped
	}
	stopped = interrupt.After(stopped, "sound: maps by "+a.Method, done, len(p.labels), "images")
	p.labels = p.labels[:done]
	maps, err := p.maps(m, a.Method, heat)
	if err != nil {
		return nil, err
	}
	return maps, stopped
}

// All names every class of a model as a label for each of n images.
func All(m *model.Model, n int) [][]int {
	labels := make([][]int, n)
	for i := range labels {
		for c := range m.NumClasses() {
			labels[i] = append(labels[i], c)
		}
	}
	return labels
}

// Likeliest names the k likeliest classes of each image, [N, H, W, C] float32 in 0..1, likeliest first: for models of
// more classes than one can look at.
func Likeliest(m *model.Model, images *tensors.Tensor, k int) ([][]int, error) {
	if k < 1 || k > m.NumClasses() {
		return nil, fmt.Errorf("sound: the %d likeliest of %d classes: take between 1 and %[2]d", k, m.NumClasses())
	}
	top, err := m.TopK(images, k)
	if err != nil {
		return nil, err
	}
	labels := make([][]int, len(top))
	for i, predictions := range top {
		for _, p := range predictions {
			labels[i] = append(labels[i], p.Class)
		}
	}
	return labels, nil
}

// Among returns the model that knows of no other classes than these, in this order: its probabilities are the softmax
// over their logits alone. The paper's experiments with ImageNet look at a handful of its classes this way (the
// authors' ReducedModel).
func Among(m *model.Model, classes ...int) (*model.Model, error) {
	if err := m.NeedsSoftmax("sound: a choice among classes"); err != nil {
		return nil, err
	}
	labels, err := checkLabels(m, 1, [][]int{classes})
	if err != nil {
		return nil, err
	}
	classes = labels[0]
	names := make([]string, len(classes))
	for i, c := range classes {
		names[i] = m.ClassName(c)
	}
	return m.Extend(fmt.Sprintf("%s among %d classes", m.Name(), len(classes)), names, nil,
		func(_ *model.Builder, out model.Outputs) *graph.Node {
			columns := make([]*graph.Node, len(classes))
			for i, c := range classes {
				columns[i] = graph.Slice(out.Logits, graph.AxisRange(), graph.AxisRange(c, c+1))
			}
			return graph.Concatenate(columns, -1)
		})
}

// pairs are images and labels, a row for each label of each image.
type pairs struct {
	labels  [][]int
	images  *tensors.Tensor // [N·L, H, W, C]
	classes []int           // [N·L]
}

func pairsOf(m *model.Model, images *tensors.Tensor, labels [][]int) (*pairs, error) {
	if _, err := m.TargetClasses(images, []int{0}); err != nil { // checks the images
		return nil, err
	}
	labels, err := checkLabels(m, images.Shape().Dimensions[0], labels)
	if err != nil {
		return nil, err
	}
	p := &pairs{labels: labels}
	var rows []int
	for i, of := range labels {
		for _, label := range of {
			rows, p.classes = append(rows, i), append(p.classes, label)
		}
	}
	ds, err := data.FromTensor(images, nil, nil)
	if err != nil {
		return nil, err
	}
	p.images, err = ds.Images(rows...)
	return p, err
}

// checkLabels returns a copy of the labels of n images.
func checkLabels(m *model.Model, n int, labels [][]int) ([][]int, error) {
	if len(labels) != n {
		return nil, fmt.Errorf("sound: labels of %d images for %d images: All and Likeliest make a list for each",
			len(labels), n)
	}
	copied := make([][]int, n)
	for i, of := range labels {
		if len(of) == 0 || len(of) != len(labels[0]) {
			return nil, fmt.Errorf("sound: image %d has %d labels, and image 0 has %d: give each the same number, one or more",
				i, len(of), len(labels[0]))
		}
		seen := map[int]bool{}
		for _, label := range of {
			if label < 0 || label >= m.NumClasses() {
				return nil, fmt.Errorf("sound: image %d has the label %d: %s has the classes 0 to %d", i, label, m.Name(),
					m.NumClasses()-1)
			}
			if seen[label] {
				return nil, fmt.Errorf("sound: image %d has the label %d twice", i, label)
			}
			seen[label] = true
		}
		copied[i] = append([]int(nil), of...)
	}
	return copied, nil
}

// maps takes a heatmap, [H, W], for each pair, or more.
func (p *pairs) maps(m *model.Model, method string, heat *tensors.Tensor) (*Maps, error) {
	flat, err := tensors.CopyFlatData[float32](heat)
	if err != nil {
		return nil, fmt.Errorf("sound: %w", err)
	}
	d := heat.Shape().Dimensions
	flat = flat[:len(p.labels)*len(p.labels[0])*d[1]*d[2]]
	maps := &Maps{Method: method, Labels: p.labels, Values: tensors.FromFlatDataAndDimensions(flat, len(p.labels),
		len(p.labels[0]), d[1], d[2])}
	for _, of := range p.labels {
		names := make([]string, len(of))
		for l, label := range of {
			names[l] = m.ClassName(label)
		}
		maps.ClassNames = append(maps.ClassNames, names)
	}
	return maps, nil
}
