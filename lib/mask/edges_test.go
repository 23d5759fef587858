package mask

import (
	"slices"
	"testing"

	"github.com/gomlx/gomlx/core/tensors"
)

// A subset suffices as soon as the function reaches the threshold, also where it does no more than that.
func TestASubsetThatJustReachesTheThresholdSuffices(t *testing.T) {
	b := BackSelection{Order: []int{2, 0, 1}, ValueAfter: []float64{0.75, 0.5, 0.25}, Start: 1}
	for threshold, want := range map[float64][]int{0.25: nil, 0.3: {1}, 0.5: {1}, 0.6: {1, 0}, 0.75: {1, 0},
		1: {1, 0, 2}} {
		if got := b.FindSIS(threshold); !slices.Equal(got, want) {
			t.Errorf("at the threshold %v the subset is %v, want %v", threshold, got, want)
		}
	}
}

// Of positions that are worth the same, the first is masked first.
func TestOfEqualPositionsTheFirstIsMasked(t *testing.T) {
	worth := []float32{1, 0, 0, 1, 0}
	f := masked{positions: 5, size: 2, run: func(mask, candidates *tensors.Tensor) (*tensors.Tensor, error) {
		var values []float32
		for _, c := range tensors.MustCopyFlatData[int32](candidates) {
			sum := float32(0)
			for p, on := range tensors.MustCopyFlatData[float32](mask) {
				if p != int(c) {
					sum += on * worth[p]
				}
			}
			values = append(values, sum)
		}
		return tensors.FromFlatDataAndDimensions(values, len(values)), nil
	}}
	b, err := f.backSelect([]float32{1, 1, 1, 1, 1})
	if err != nil || !slices.Equal(b.Order, []int{1, 2, 4, 0, 3}) ||
		!slices.Equal(b.ValueAfter, []float64{2, 2, 2, 1, 0}) {
		t.Errorf("%+v (%v)", b, err)
	}
}
