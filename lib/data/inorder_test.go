package data

import (
	"slices"
	"strings"
	"testing"

	"github.com/gomlx/gomlx/core/tensors"
)

func TestImagesInTheOrderOfLabels(t *testing.T) {
	d, err := FromTensor(tensors.FromFlatDataAndDimensions([]float32{0, 0.1, 0.2, 0.3, 0.4}, 5, 1, 1, 1),
		[]int{2, 2, 0, 2, 0}, nil)
	if err != nil {
		t.Fatal(err)
	}
	ordered, err := d.InOrder([]int{0, 2, 2, 0})
	if err != nil {
		t.Fatal(err)
	}
	x, err := ordered.All()
	if err != nil {
		t.Fatal(err)
	}
	if got, err := tensors.CopyFlatData[float32](x); err != nil || !slices.Equal(got, []float32{0.2, 0, 0.1, 0.4}) ||
		!slices.Equal(ordered.Labels(), []int{0, 2, 2, 0}) {
		t.Errorf("%v of %v (%v)", got, ordered.Labels(), err)
	}
	for want, labels := range map[string][]int{"label 2 of the order is 0": {0, 0, 0}, "order is 1": {1}} {
		if _, err := d.InOrder(labels); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: %v", labels, err)
		}
	}
}
