package parts

import (
	"fmt"

	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/lib/attack"
	"github.com/loupeml/loupe/lib/model"
)

// Guided attacks a part model through its parts: it lowers
//
//	(1 - c) · cross entropy of another class + c · mean cross entropy of a guide's parts
//
// where the other class is the likeliest that is wrong, and the guide the mask of an image of that class. With
// Untargeted it raises the loss of [JointLoss] of the image's own class and mask. Sitawarin et al., ICLR 2023, section
// 5 and the SegGuidedAttack of their code, whose guides "2nd_gt_random" these are; the ascent is APGD's, which needs no
// step size.
type Guided struct {
	APGD       attack.APGD // how, see there: Norm and Eps are to be set
	Weight     float64     // c, from 0 to 1; 0 means 0.5
	Untargeted bool
}

// Robustness attacks each image, [N, H, W, C] float32 in 0..1, with a label and a mask each, [N, H, W] int32: see
// attack.APGD's Break. The guides come from examples of which the model has learnt, images of every class in
// labels: guideMasks with a label each; each image is given one of its other class in turn. They may be nil where the
// attack is Untargeted, and so may masks where it is not. Interrupted, it returns what Break does.
func (g Guided) Robustness(m *model.Model, images *tensors.Tensor, labels []int, masks, guideMasks *tensors.Tensor,
	guideLabels []int) (*attack.Robustness, error) {
	if g.Weight == 0 {
		g.Weight = 0.5
	}
	if !(g.Weight > 0 && g.Weight <= 1) {
		return nil, fmt.Errorf("parts: a weight of %v for the segmentation: it is in 0..1", g.Weight)
	}
	if m == nil || images == nil || images.Rank() != 4 || len(labels) != images.Shape().Dimensions[0] {
		return nil, fmt.Errorf("parts: robustness needs a model, and images with a label each")
	}
	if !segments(m) {
		return nil, fmt.Errorf("parts: %s says nothing of pixels: it is no part model", m.Name())
	}
	if _, err := m.TargetClasses(images, labels); err != nil {
		return nil, err
	}
	targets, wanted, sign := labels, masks, 1.0
	var err error
	if !g.Untargeted {
		sign = -1
		if targets, err = likeliestOthers(m, images, labels); err != nil {
			return nil, err
		}
		if wanted, err = guidesFor(targets, guideMasks, guideLabels); err != nil {
			return nil, err
		}
	}
	if _, err := masksOf(images, wanted); err != nil {
		return nil, err
	}
	return g.APGD.Break(m, images, labels, []*tensors.Tensor{model.ClassTensor(targets), wanted},
		func(out model.Outputs, given []*graph.Node) *graph.Node {
			return graph.MulScalar(JointLoss(out, given[0], given[1], g.Weight), sign)
		})
}

func segments(m *model.Model) bool {
	for _, of := range m.Maps() {
		if of.Name == Segmentation {
			return true
		}
	}
	return false
}

// likeliestOthers are for each image the class with the largest logit but its label's.
func likeliestOthers(m *model.Model, images *tensors.Tensor, labels []int) ([]int, error) {
	ranked, err := m.TopK(images, 2)
	if err != nil {
		return nil, err
	}
	others := make([]int, len(labels))
	for i, top := range ranked {
		if others[i] = top[0].Class; others[i] == labels[i] {
			others[i] = top[1].Class
		}
	}
	return others, nil
}

// guidesFor are masks of images of these classes, one for each, taken in turn.
func guidesFor(classes []int, masks *tensors.Tensor, labels []int) (*tensors.Tensor, error) {
	if masks == nil || masks.Rank() != 3 || masks.Shape().Dimensions[0] != len(labels) {
		return nil, fmt.Errorf("parts: guides are masks, [N, H, W], with a label each")
	}
	of := map[int][]int{}
	for i, l := range labels {
		of[l] = append(of[l], i)
	}
	d := masks.Shape().Dimensions
	size := d[1] * d[2]
	flat, err := tensors.CopyFlatData[int32](masks)
	if err != nil {
		return nil, fmt.Errorf("parts: masks are int32: %w", err)
	}
	next, out := map[int]int{}, make([]int32, 0, len(classes)*size)
	for _, c := range classes {
		if len(of[c]) == 0 {
			return nil, fmt.Errorf("parts: there is no guide of class %d", c)
		}
		i := of[c][next[c]%len(of[c])]
		next[c]++
		out = append(out, flat[i*size:(i+1)*size]...)
	}
	return tensors.FromFlatDataAndDimensions(out, len(classes), d[1], d[2]), nil
}
