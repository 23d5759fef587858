package lrp

import (
	"fmt"
	"sort"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/gomlx/core/tensors"
)

// RankChannels are the numbers of a layer's channels in the order of the mean of their values, the largest first; of
// equal ones the first. values have the channels as their last axis, [N, ..., C] float32, such as relevances by
// [CRP.Concepts], which gives the channels that matter most for a class, or activations in the layout of
// [model.ChannelsLast].
func RankChannels(values *tensors.Tensor) ([]int, error) {
	if values == nil || values.Rank() < 2 || values.DType() != dtypes.Float32 || values.Size() == 0 {
		return nil, fmt.Errorf("lrp: values of channels have the shape [N, ..., C] float32")
	}
	flat, err := tensors.CopyFlatData[float32](values)
	if err != nil {
		return nil, fmt.Errorf("lrp: %w", err)
	}
	dims := values.Shape().Dimensions
	sums := make([]float64, dims[len(dims)-1])
	for i, v := range flat {
		if v-v != 0 {
			return nil, fmt.Errorf("lrp: channel %d has the value %v: there is no order of that", i%len(sums), v)
		}
		sums[i%len(sums)] += float64(v)
	}
	order := make([]int, len(sums))
	for i := range order {
		order[i] = i
	}
	sort.SliceStable(order, func(a, b int) bool { return sums[order[a]] > sums[order[b]] })
	return order, nil
}

// ClassShare is the share of references for which the logit of a class was explained, 0 to 1. It is an error of none.
func ClassShare(references []Reference, class int) (float64, error) {
	if len(references) == 0 {
		return 0, fmt.Errorf("lrp: there are no references to take a share of")
	}
	n := 0
	for _, r := range references {
		if r.Class == class {
			n++
		}
	}
	return float64(n) / float64(len(references)), nil
}

// MeanOverlap is the mean over the layer's channels of [References.Overlap] among the first k.
func (r *References) MeanOverlap(k int) (float64, error) {
	if len(r.Relevance) == 0 {
		return 0, fmt.Errorf("lrp: there are no references of any channel")
	}
	mean := 0.0
	for channel := range r.Relevance {
		overlap, err := r.Overlap(channel, k)
		if err != nil {
			return 0, err
		}
		mean += overlap / float64(len(r.Relevance))
	}
	return mean, nil
}
