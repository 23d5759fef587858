package lrp

import (
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/internal/approx"
)

func TestRankChannels(t *testing.T) {
	// Sums over images and positions are 3, -1, 3 and 9.
	values := tensors.FromFlatDataAndDimensions([]float32{1, -1, 2, 4, 2, 0, 1, 5}, 2, 1, 4)
	order, err := RankChannels(values)
	if err != nil || !slices.Equal(order, []int{3, 0, 2, 1}) {
		t.Errorf("the order is %v (%v)", order, err)
	}
	for want, bad := range map[string]*tensors.Tensor{
		"the shape [N, ..., C]":   nil,
		"C] float32":              tensors.FromFlatDataAndDimensions([]float32{1, 2}, 2),
		"channel 1 has the value": tensors.FromFlatDataAndDimensions([]float32{1, float32(math.NaN())}, 1, 2),
	} {
		if _, err := RankChannels(bad); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("the error is %v, want it to say %q", err, want)
		}
	}
}

func TestSharesOfReferences(t *testing.T) {
	list := []Reference{{Image: 4, Class: 1}, {Image: 2, Class: 0}, {Image: 7, Class: 1}, {Image: 9, Class: 2}}
	if share, err := ClassShare(list, 1); err != nil || share != 0.5 {
		t.Errorf("the share is %g (%v)", share, err)
	}
	if _, err := ClassShare(nil, 1); err == nil {
		t.Error("nothing has a share")
	}
	// One of three images is common in the first channel, none of four in the second.
	r := &References{Layer: "conv", Relevance: [][]Reference{list[:2], list[:2]},
		Activation: [][]Reference{list[1:3], list[2:]}}
	if mean, err := r.MeanOverlap(2); err != nil || !approx.Equal(mean, 1.0/6, 1e-12) {
		t.Errorf("the overlap is %g (%v)", mean, err)
	}
	if _, err := r.MeanOverlap(0); err == nil || !strings.Contains(err.Error(), "k is at least 1") {
		t.Errorf("the error is %v", err)
	}
	if _, err := (&References{}).MeanOverlap(2); err == nil {
		t.Error("no channels overlap")
	}
}
