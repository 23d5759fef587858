package attrib

import (
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/lib/mask"
	"github.com/loupeml/loupe/lib/model"
)

// ScoreCAM weighs the channels of a convolutional layer, A, by what the network says of the image when only that is
// left where the channel is active, without a gradient, [N, H, W, 1]:
//
//	relu(Σ_k α_k A_k), α = softmax over channels of F(x ∘ H_k)
//
// H_k is A_k, enlarged as the map is (see [GradCAM]) and brought to 0..1. Wang et al., "Score-CAM", CVPR 2020
// workshops, section 3. It takes a forward pass for each channel of the layer.
type ScoreCAM struct {
	// Layer is as in [GradCAM].
	Layer string
	// Fill is what comes in the place of what is masked; the zero Filler means [mask.DatasetMean], zero after
	// normalisation, as in the authors' code.
	Fill mask.Filler
}

// Name is "Score-CAM".
func (ScoreCAM) Name() string { return "Score-CAM" }

// The programs' keys, which the layer shapes.
type (
	channelMasksKey  struct{ layer string }
	channelScoresKey struct{ layer string }
	scoreCAMKey      struct{ layer string }
)

// Attribute implements [Method].
func (sc ScoreCAM) Attribute(m *model.Model, images *tensors.Tensor, classes []int) (*Attribution, error) {
	l, err := camLayer(m, sc, sc.Layer)
	if err != nil {
		return nil, err
	}
	if classes, err = m.TargetClasses(images, classes); err != nil {
		return nil, err
	}
	fill, err := filled(images, sc.Fill, mask.DatasetMean(m))
	if err != nil {
		return nil, err
	}
	activation := func(x *graph.Node) *graph.Node { return l.Layout.ToChannelsLast(m.Call(x).Activations[l.Name]) }
	channels := l.Shape[len(l.Shape)-1]
	if l.Layout == model.ChannelsFirst {
		channels = l.Shape[0]
	}
	// The masks are kept as small as the layer, [K, B, h, w], in 0..1 after they are enlarged.
	masks, err := m.Exec(channelMasksKey{l.Name}, func(x *graph.Node) []*graph.Node {
		a := activation(x)
		large := enlarged(m, a)
		low := graph.ReduceAndKeep(large, graph.ReduceMin, 1, 2)
		spread := graph.Sub(graph.ReduceAndKeep(large, graph.ReduceMax, 1, 2), low)
		small := graph.Div(graph.Sub(single(a), low), graph.AddScalar(spread, 1e-8))
		return []*graph.Node{graph.TransposeAllAxes(small, 3, 0, 1, 2)}
	})
	if err != nil {
		return nil, err
	}
	scores, err := m.Exec(channelScoresKey{l.Name}, func(in []*graph.Node) *graph.Node {
		x, fill, classes, masks, at, sum := m.Cast(in[0]), m.Cast(in[1]), in[2], in[3], in[4], in[5]
		count, dims := at.Shape().Dimensions[0], x.Shape().Dimensions
		some := graph.Gather(masks, graph.ExpandAxes(at, -1)) // [A, B, h, w]
		d := some.Shape().Dimensions
		keep := m.Cast(enlarged(m, graph.Reshape(some, d[0]*d[1], d[2], d[3], 1)))
		points := graph.Add(graph.Mul(tile(x, count), keep), graph.Mul(tile(fill, count), graph.OneMinus(keep)))
		logits := graph.Reshape(single(m.ClassLogits(m.Call(points).Logits, tile(classes, count))), count, dims[0])
		// Past the last channel the number is that of none.
		return graph.Add(sum, graph.Einsum("ab,ak->bk", logits, graph.OneHot(at, channels, dtypes.Float32)))
	})
	if err != nil {
		return nil, err
	}
	maps, err := m.Exec(scoreCAMKey{l.Name}, func(x, scores *graph.Node) *graph.Node {
		alpha := graph.Reshape(graph.Softmax(scores), -1, 1, 1, channels)
		return enlarged(m, notNegative(channelSum(graph.Mul(single(activation(x)), alpha))))
	})
	if err != nil {
		return nil, err
	}
	var placed *tensors.Tensor // the batch's masks
	start := func(size int) *tensors.Tensor { return tensors.FromScalarAndDimensions(float32(0), size, channels) }
	values, stopped := sweep{m, sc.Name(), channels}.run([]*tensors.Tensor{images, fill, model.ClassTensor(classes)},
		start, func(d device, sum *tensors.Tensor, first, count int) (*tensors.Tensor, error) {
			if first == 0 {
				model.Free(placed)
				var err error
				if placed, err = masks.Call1(d.inputs[0]); err != nil {
					return nil, err
				}
			}
			at := make([]int32, count)
			for i := range at {
				at[i] = int32(first + i)
			}
			all, err := scores.Call1(append(d.inputs[:len(d.inputs):len(d.inputs)], placed, at, sum)...)
			if err != nil || first+count < channels {
				return all, err
			}
			defer model.Free(all)
			return maps.Call1(d.inputs[0], all) // in the place of the sum, which is complete
		})
	model.Free(placed)
	if values == nil {
		return nil, stopped
	}
	return NewAttribution(sc, m, values, classes), stopped
}
