package ood

import (
	"fmt"
	"slices"

	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/lib/model"
)

// Split takes a model's answers apart as if it knew some of its classes alone: known are the answers about images of
// these classes, and unknown those about all other images, both [N, K] float32 logits of the K classes. Images without
// a label are in neither. ImageNet-O and ImageNet-A are of 200 of ImageNet's 1,000 classes: see shift.ImageNetAClasses.
//
// It is an error where one of the two has no image, and where a model has no logits or classes that do not exclude each
// other. The model has learnt from images of the unknown classes, as something else.
func Split(a *model.Answers, classes []int) (unknown, known *tensors.Tensor, err error) {
	logits, err := a.SoftmaxLogits("ood: a model of some of its classes")
	if err != nil {
		return nil, nil, err
	}
	k := a.NumClasses()
	for i, c := range classes {
		if c < 0 || c >= k || slices.Contains(classes[:i], c) {
			return nil, nil, fmt.Errorf("ood: class %d of %d: the classes that are known are to differ and to be the model's", c,
				k)
		}
	}
	if len(classes) == 0 || a.Labels == nil {
		return nil, nil, fmt.Errorf("ood: %d classes are known, and %d images have labels: there have to be some of each",
			len(classes), len(a.Labels))
	}
	flat, err := tensors.CopyFlatData[float32](logits)
	if err != nil {
		return nil, nil, fmt.Errorf("ood: %w", err)
	}
	var rows [2][]float32
	for i, label := range a.Labels {
		if label < 0 {
			continue
		}
		side := 0
		if slices.Contains(classes, label) {
			side = 1
		}
		for _, c := range classes {
			rows[side] = append(rows[side], flat[i*k+c])
		}
	}
	if len(rows[0]) == 0 || len(rows[1]) == 0 {
		return nil, nil, fmt.Errorf("ood: %d images are unknown and %d known: there has to be one of each",
			len(rows[0])/len(classes), len(rows[1])/len(classes))
	}
	of := func(rows []float32) *tensors.Tensor {
		return tensors.FromFlatDataAndDimensions(rows, len(rows)/len(classes), len(classes))
	}
	return of(rows[0]), of(rows[1]), nil
}
