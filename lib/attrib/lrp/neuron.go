package lrp

import (
	"image"
	"image/draw"

	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/lib/model"
)

// neurons is the relevance of pixels that comes through one place of one channel, for each image: [N, H, W].
func (c CRP) neurons(m *model.Model, images *tensors.Tensor, classes []int, layer string, channel int,
	places []int) (*tensors.Tensor, error) {
	composite, err := compositeFor(c.Composite, m)
	if err != nil {
		return nil, err
	}
	concepts, err := conceptsOf(m, layer)
	if err != nil {
		return nil, err
	}
	at := make([]int, len(places)) // in the layer of one image, channels last
	for i, place := range places {
		at[i] = place*concepts.count + channel
	}
	results, err := m.Map("CRP through one place of "+layer, neuronKey{composite.key(), layer},
		func(in []*graph.Node) []*graph.Node {
			x := m.Cast(in[0])
			out := m.CallAs(x, model.CallOptions{Plain: true})
			w := newWalk(composite, x, out)
			w.only = true
			size := 1
			for _, d := range concepts.shape {
				size *= d
			}
			mask := graph.OneHot(in[2], size, x.DType())
			if concepts.axis != len(concepts.shape) {
				h, wide := concepts.shape[1], concepts.shape[2]
				mask = graph.TransposeAllAxes(graph.Reshape(mask, -1, h, wide, concepts.count), 0, 3, 1, 2)
			}
			w.masks[layer] = graph.Reshape(mask, out.Activations[layer].Shape().Dimensions...)
			return []*graph.Node{single(graph.ReduceSum(w.run(m.OnlyClass(out.Logits, in[1])), 3))}
		}, images, model.ClassTensor(classes), model.ClassTensor(at))
	if err != nil {
		return nil, ours(err)
	}
	return results[0], nil
}

type neuronKey struct {
	composite compositeKey
	layer     string
}

// receptiveField is the smallest box that has all values of at least a hundredth of the largest in absolute value, made
// square where the image allows, and at least a twelfth of the image wide.
func receptiveField(heat []float32, h, w int) image.Rectangle {
	var largest float32
	for _, v := range heat {
		largest = max(largest, v, -v)
	}
	var box image.Rectangle
	for i, v := range heat {
		if largest > 0 && max(v, -v) >= largest/100 {
			box = box.Union(image.Rect(i%w, i/w, i%w+1, i/w+1))
		}
	}
	if box.Empty() {
		return image.Rect(0, 0, w, h)
	}
	side := max(box.Dx(), box.Dy(), min(h, w)/12)
	from := func(lo, hi, most int) int { return min(max((lo+hi-side)/2, 0), max(most-side, 0)) }
	left, top := from(box.Min.X, box.Max.X, w), from(box.Min.Y, box.Max.Y, h)
	return image.Rect(left, top, min(left+side, w), min(top+side, h))
}

// cropped copies a box out of a picture of h x w pixels.
func cropped(img image.Image, box image.Rectangle) image.Image {
	out := image.NewRGBA(image.Rect(0, 0, box.Dx(), box.Dy()))
	draw.Draw(out, out.Bounds(), img, img.Bounds().Min.Add(box.Min), draw.Src)
	return out
}
