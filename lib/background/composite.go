// Package background takes the backgrounds of images away or puts others in their place: augmentations for training
// that is not to rest on backgrounds, images that are composed of subjects and backgrounds for tests of what a model
// rests on, and the masks of subjects that both take.
//
// Ryali, Schwab and Morcos, "Characterizing and Improving the Robustness of Self-Supervised Learning through Background
// Augmentations", arXiv 2103.12719; Xiao, Engstrom, Ilyas and Madry, "Noise or signal: the role of image backgrounds in
// object recognition", ICLR 2021.
package background

import (
	"fmt"
	"sync"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/lib/internal/rows"
	"github.com/loupeml/loupe/lib/interrupt"
	"github.com/loupeml/loupe/lib/learn"
	"github.com/loupeml/loupe/lib/model"
	"github.com/loupeml/loupe/lib/parts"
)

// Composite puts subjects on backgrounds: x·m + background·(1-m). x and background are [N, H, W, C], m is [N, H, W, 1]
// in 0..1, 1 where the subject is.
func Composite(x, m, background *graph.Node) *graph.Node {
	return graph.Add(graph.Mul(x, m), graph.Mul(background, graph.OneMinus(m)))
}

// subject is where the subjects of a batch are, [N, H, W, 1] in 0..1.
func subject(b *learn.Batch) *graph.Node {
	if !b.Has(parts.MasksColumn) {
		panic(fmt.Errorf(
			"background: the data has no masks of subjects: add them with data.With(parts.MasksColumn, masks), [N, H, W]"))
	}
	return soft(b.Column(parts.MasksColumn), b.Images().Shape().Dimensions)
}

// soft is a mask, [N, H, W], as [N, H, W, 1] in 0..1: parts of any number above 0 are subject.
func soft(m *graph.Node, images []int) *graph.Node {
	if d := m.Shape().Dimensions; len(d) != 3 || d[0] != images[0] || d[1] != images[1] || d[2] != images[2] {
		panic(fmt.Errorf("background: masks %v of images %v: there is one for each image, [N, H, W], of its size", d, images))
	}
	m = graph.ExpandAxes(m, -1)
	if m.DType().IsFloat() {
		return graph.ConvertDType(m, dtypes.Float32)
	}
	return graph.ConvertDType(graph.GreaterThan(m, graph.ZerosLike(m)), dtypes.Float32)
}

// tiled are backgrounds alone: what the mask, [N, H, W, 1] in 0..1, has of a subject is filled from the largest strip
// of the image above, below, left or right of the subject's bounding box, which is laid side by side from where it
// lies. An image whose subject reaches all four edges is filled with the mean of its background, grey where there is
// none.
func tiled(x, m *graph.Node) *graph.Node {
	g, d := x.Graph(), x.Shape().Dimensions
	n, h, w := d[0], d[1], d[2]
	hard := graph.ConvertDType(graph.GreaterThan(m, graph.Scalar(g, m.DType(), 0.5)), dtypes.Int32)
	hard = graph.Squeeze(hard, 3)
	number := func(v int) *graph.Node { return graph.Scalar(g, dtypes.Int32, v) }
	// ends are the first and the last place along an axis that the subject has.
	ends := func(over, length int) (first, last *graph.Node) {
		has := graph.ReduceMax(hard, over)
		first = graph.ArgMax(has, 1, dtypes.Int32)
		last = graph.Sub(number(length-1), graph.ArgMax(graph.Reverse(has, 1), 1, dtypes.Int32))
		return first, last
	}
	top, bottom := ends(2, h)
	left, right := ends(1, w)
	zero := graph.ZerosLike(top)
	full := func(v int) *graph.Node { return graph.Add(zero, number(v)) }
	// Strips: where they begin and how long they are, along rows and columns.
	one := number(1)
	below, beside := graph.Add(bottom, one), graph.Add(right, one)
	strips := [4][4]*graph.Node{
		{zero, top, zero, full(w)},
		{below, graph.Sub(number(h), below), zero, full(w)},
		{zero, full(h), zero, left},
		{zero, full(h), beside, graph.Sub(number(w), beside)},
	}
	var areas []*graph.Node
	for _, s := range strips {
		areas = append(areas, graph.Mul(s[1], s[3]))
	}
	sizes := graph.Stack(areas, 1)
	hot := graph.OneHot(graph.ArgMax(sizes, 1, dtypes.Int32), 4, dtypes.Int32)
	pick := func(k int) *graph.Node {
		all := graph.Stack([]*graph.Node{strips[0][k], strips[1][k], strips[2][k], strips[3][k]}, 1)
		return graph.ReduceSum(graph.Mul(all, hot), 1)
	}
	// place is where a pixel along an axis comes from, [N, length].
	place := func(start, long *graph.Node, length int) *graph.Node {
		wide := func(x *graph.Node) *graph.Node { return graph.BroadcastToDims(graph.ExpandAxes(x, 1), n, length) }
		long = wide(graph.Max(long, graph.OnesLike(long)))
		off := graph.Sub(graph.Iota(g, shapes.Make(dtypes.Int32, n, length), 1), wide(start))
		off = graph.Mod(graph.Add(off, graph.Mul(long, number(length))), long) // never negative before
		return graph.Add(off, wide(start))
	}
	rows, columns := place(pick(0), pick(1), h), place(pick(2), pick(3), w)
	wide := func(x *graph.Node, axis int) *graph.Node {
		return graph.BroadcastToDims(graph.ExpandAxes(x, axis), n, h, w)
	}
	image := graph.Iota(g, shapes.Make(dtypes.Int32, n, h, w), 0)
	at := graph.Add(graph.Mul(graph.Add(graph.Mul(image, number(h)), wide(rows, 2)), number(w)), wide(columns, 1))
	most := graph.Sub(full(n*h*w), graph.OnesLike(zero))
	at = graph.Min(at, graph.BroadcastToDims(graph.Reshape(most, n, 1, 1), n, h, w)) // a strip of no length begins outside
	tile := graph.Reshape(graph.Gather(graph.Reshape(x, n*h*w, d[3]), graph.Reshape(at, n*h*w, 1)), d...)
	// Without a strip: the mean.
	rest := graph.OneMinus(m)
	total := graph.ReduceAndKeep(rest, graph.ReduceSum, 1, 2)
	mean := graph.Div(graph.ReduceAndKeep(graph.Mul(x, rest), graph.ReduceSum, 1, 2), graph.MaxScalar(total, 1e-3))
	some := graph.BroadcastToDims(graph.GreaterThan(total, graph.Scalar(g, total.DType(), 1e-3)),
		mean.Shape().Dimensions...)
	mean = graph.Where(some, mean, graph.Scalar(g, mean.DType(), 0.5))
	strip := graph.GreaterThan(graph.ReduceMax(sizes, 1), zero)
	none := graph.Equal(graph.ReduceMax(hard, 1, 2), zero) // no subject: there is nothing to fill
	tile = graph.Where(strip, tile, graph.BroadcastToDims(mean, d...))
	return graph.Where(none, x, Composite(tile, m, x))
}

// Tiled returns images whose subjects are gone: each is filled by tiling what is around it. images are [N, H, W, C]
// float32 in 0..1, masks [N, H, W], int32 with what is above 0 the subject, or float32 in 0..1. The largest strip
// above, below, left or right of the subject's bounding box is laid side by side; where the subject reaches all four
// edges it is the mean of the background. So a background that another image lends has no subject left in it.
// Interrupted, it returns nil and the error.
func Tiled(images, masks *tensors.Tensor) (*tensors.Tensor, error) {
	if err := checkMasks(images, masks); err != nil {
		return nil, err
	}
	exec, err := filling()
	if err != nil {
		return nil, err
	}
	n := images.Shape().Dimensions[0]
	size := min(n, max(1, atOnce/(images.Size()/n)))
	join := rows.NewJoin(n)
	for lo := 0; lo < n; lo += size {
		if err := interrupt.Err(); err != nil {
			return nil, interrupt.After(err, "background: filling subjects", lo, n, "images")
		}
		hi := min(lo+size, n)
		part, err := rows.Take(images, lo, hi, size)
		if err != nil {
			return nil, fmt.Errorf("background: %w", err)
		}
		of, err := rows.Take(masks, lo, hi, size)
		if err != nil {
			return nil, fmt.Errorf("background: %w", err)
		}
		out, err := exec.Call1(part, of)
		if err != nil {
			return nil, err
		}
		if err := join.Add(out, hi-lo); err != nil {
			return nil, fmt.Errorf("background: %w", err)
		}
	}
	return join.Tensor()
}

// filling is the program of tiled, which is asked for again and again.
var filling = sync.OnceValues(func() (*model.Program, error) {
	return model.NewExec(func(in []*graph.Node) []*graph.Node {
		return []*graph.Node{tiled(in[0], soft(in[1], in[0].Shape().Dimensions))}
	})
})

// atOnce is how many values of images are filled at once.
const atOnce = 1 << 23

// checkMasks tells what is wrong with images, [N, H, W, C] float32, and masks of them, [N, H, W].
func checkMasks(images, masks *tensors.Tensor) error {
	if images == nil || images.CheckValid() != nil || images.Rank() != 4 || images.DType() != dtypes.Float32 ||
		images.Size() == 0 {
		return fmt.Errorf("background: images are [N, H, W, C] float32 in 0..1")
	}
	if masks == nil || masks.CheckValid() != nil || masks.Rank() != 3 || masks.DType() != dtypes.Float32 &&
		masks.DType() != dtypes.Int32 {
		return fmt.Errorf("background: masks are [N, H, W], int32 or float32")
	}
	d, m := images.Shape().Dimensions, masks.Shape().Dimensions
	if d[0] != m[0] || d[1] != m[1] || d[2] != m[2] {
		return fmt.Errorf("background: masks %v of images %v: there is one for each image, of its size", m, d)
	}
	return checkValues(masks)
}

// checkColumn tells what is wrong with the masks of data that has them in memory.
func checkColumn(data learn.Source) error {
	masks := learn.Resident(data, parts.MasksColumn)
	if masks == nil || masks.Rank() != 3 || masks.DType() != dtypes.Float32 && masks.DType() != dtypes.Int32 {
		return nil
	}
	return checkValues(masks)
}

// checkValues tells what is wrong with what masks say, [N, H, W] int32 or float32.
func checkValues(masks *tensors.Tensor) error {
	d := masks.Shape().Dimensions
	wrong := -1
	var value any
	see := func(i int, v any, bad bool) {
		if bad && wrong < 0 {
			wrong, value = i/(d[1]*d[2]), v
		}
	}
	var err error
	if masks.DType() == dtypes.Int32 {
		err = tensors.ConstFlatData(masks, func(flat []int32) {
			for i, v := range flat {
				see(i, v, v < 0)
			}
		})
	} else {
		err = tensors.ConstFlatData(masks, func(flat []float32) {
			for i, v := range flat {
				see(i, v, !(v >= 0 && v <= 1))
			}
		})
	}
	if err != nil {
		return fmt.Errorf("background: %w", err)
	}
	if wrong >= 0 {
		return fmt.Errorf("background: the mask of image %d has the value %v: it is 0 for the background, and a part's "+
			"number or a share in 0..1 for the subject", wrong, value)
	}
	return nil
}
