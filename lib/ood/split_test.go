package ood

import (
	"slices"
	"strings"
	"testing"

	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/lib/model"
)

// Of four images of four classes the classes 3 and 1 are known: those are two images, and one image has no label.
func TestAModelThatKnowsSomeOfItsClasses(t *testing.T) {
	logits := tensors.FromValue([][]float32{{0, 1, 2, 3}, {10, 11, 12, 13}, {20, 21, 22, 23}, {30, 31, 32, 33},
		{40, 41, 42, 43}})
	answers := func(labels []int) *model.Answers {
		a, err := model.AnswersFromLogits("m", logits, labels)
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	labels := []int{1, 0, -1, 3, 2}
	unknown, known, err := Split(answers(labels), []int{3, 1})
	if err != nil {
		t.Fatal(err)
	}
	for what, of := range map[string]struct {
		got  *tensors.Tensor
		want []float32
	}{"known": {known, []float32{3, 1, 33, 31}}, "unknown": {unknown, []float32{13, 11, 43, 41}}} {
		if got, err := tensors.CopyFlatData[float32](of.got); err != nil || !slices.Equal(got, of.want) ||
			!slices.Equal(of.got.Shape().Dimensions, []int{2, 2}) {
			t.Errorf("%s: %v (%v), want %v", what, got, err, of.want)
		}
	}
	for want, call := range map[string]struct {
		labels, classes []int
	}{
		"class 4 of 4": {labels, []int{4}}, "class 1 of 4": {labels, []int{1, 1}}, "0 classes are known": {labels, nil},
		"1 images are unknown and 0 known": {[]int{2, -1, -1, -1, -1}, []int{1}}, "0 images have labels": {nil, []int{1}},
	} {
		if _, _, err := Split(answers(call.labels), call.classes); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v known: %v, want an error that says %q", call.classes, err, want)
		}
	}
}
