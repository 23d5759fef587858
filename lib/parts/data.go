package parts

import (
	"fmt"
	"math/rand/v2"
	"slices"

	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/lib/learn"
	"github.com/loupeml/loupe/lib/model"
)

// MasksColumn is the name of the column that [Data] adds.
const MasksColumn = "masks"

// Unlabelled is what the pixels of a mask have that nobody has drawn.
const Unlabelled = -1

// Data is what part models learn from: images, [N, H, W, C] float32 in 0..1, a label for each, and masks, [N, H, W]
// int32 with the part of each pixel, 0 for the background, up to parts for the last part, and -1 for pixels that nobody
// has labelled: all of an image's where it has no mask. parts is how many there are without the background.
func Data(images *tensors.Tensor, labels []int, masks *tensors.Tensor, parts int) (*learn.Tensors, error) {
	flat, err := masksOf(images, masks)
	if err != nil {
		return nil, err
	}
	for at, part := range flat {
		if part < Unlabelled || int(part) > parts {
			return nil, fmt.Errorf(
				"parts: the mask of image %d has the part %d: parts are 1 to %d, 0 is the background and -1 unlabelled",
				at/(len(flat)/masks.Shape().Dimensions[0]), part, parts)
		}
	}
	data, err := learn.FromTensors(images, labels)
	if err != nil {
		return nil, err
	}
	return data.With(MasksColumn, masks)
}

// masksOf are the masks of images, [N, H, W] int32 of [N, H, W, C], in one row; an error unless there is one for each.
func masksOf(images, masks *tensors.Tensor) ([]int32, error) {
	if images == nil || images.Rank() != 4 || masks == nil || masks.Rank() != 3 {
		return nil, fmt.Errorf("parts: images are [N, H, W, C] and masks [N, H, W]")
	}
	if i, m := images.Shape().Dimensions, masks.Shape().Dimensions; !slices.Equal(i[:3], m) {
		return nil, fmt.Errorf("parts: masks %v of images %v: there is one for each image, of its size", m, i)
	}
	flat, err := tensors.CopyFlatData[int32](masks)
	if err != nil {
		return nil, fmt.Errorf("parts: masks are int32: %w", err)
	}
	return flat, nil
}

// Unlabel returns masks of which only the first images have theirs, a share in 0..1 of them rounded down; the others
// are unlabelled.
func Unlabel(masks *tensors.Tensor, share float64) (*tensors.Tensor, error) {
	if masks == nil || masks.Rank() != 3 {
		return nil, fmt.Errorf("parts: masks are [N, H, W]")
	}
	if !(share >= 0 && share <= 1) {
		return nil, fmt.Errorf("parts: a share of %v of the masks: it is in 0..1", share)
	}
	flat, err := tensors.CopyFlatData[int32](masks)
	if err != nil {
		return nil, fmt.Errorf("parts: masks are int32: %w", err)
	}
	d := masks.Shape().Dimensions
	for i := int(share*float64(d[0])) * d[1] * d[2]; i < len(flat); i++ {
		flat[i] = Unlabelled
	}
	return tensors.FromFlatDataAndDimensions(flat, d...), nil
}

// Scattered returns masks in which each image's pixels lie in a random order: as many of each part, and nowhere in
// particular. That leaves what a mask says of the class, and takes what it says of places; it is a control for what
// drawn parts are worth. masks are [N, H, W] int32 and stay as they are; the seed is that of the orders.
func Scattered(masks *tensors.Tensor, seed uint64) (*tensors.Tensor, error) {
	if masks == nil || masks.Rank() != 3 {
		return nil, fmt.Errorf("parts: masks are [N, H, W]")
	}
	flat, err := tensors.CopyFlatData[int32](masks)
	if err != nil {
		return nil, fmt.Errorf("parts: masks are int32: %w", err)
	}
	d := masks.Shape().Dimensions
	rng := rand.New(rand.NewPCG(seed, 23))
	for mask := range slices.Chunk(flat, max(d[1]*d[2], 1)) {
		rng.Shuffle(len(mask), func(i, j int) { mask[i], mask[j] = mask[j], mask[i] })
	}
	return tensors.FromFlatDataAndDimensions(flat, d...), nil
}

// PixelLoss is the mean cross entropy over an image's labelled pixels, [N], of scores [N, H, W, K] and masks [N, H, W]
// int32; 0 where none is labelled.
func PixelLoss(scores, masks *graph.Node) *graph.Node {
	d := scores.Shape().Dimensions
	pixels := d[0] * d[1] * d[2]
	each := learn.CrossEntropy(graph.Reshape(scores, pixels, d[3]), graph.Reshape(masks, pixels))
	return labelledMean(graph.Reshape(each, d[0], d[1]*d[2]), masks)
}

// pixelAccuracy is the share of an image's labelled pixels whose likeliest part is theirs, [N]; 0 where none is
// labelled.
func pixelAccuracy(scores, masks *graph.Node) *graph.Node {
	right := graph.ConvertDType(graph.Equal(graph.ArgMax(scores, -1), masks), scores.DType())
	return labelledMean(flat(right), masks)
}

// labelledMean is the mean of each row over the labelled pixels of its mask.
func labelledMean(values, masks *graph.Node) *graph.Node {
	labelled := graph.ConvertDType(graph.GreaterOrEqual(masks, graph.ZerosLike(masks)), values.DType())
	labelled = flat(labelled)
	n := graph.MaxScalar(graph.ReduceSum(labelled, -1), 1)
	return graph.Div(graph.ReduceSum(graph.Mul(values, labelled), -1), n)
}

// JointLoss is the loss of a part model, of each image, [N]:
//
//	(1 - c) · cross entropy of the class + c · mean cross entropy over the labelled pixels
//
// Section 3.3 of the paper. labels is [N] int32, masks [N, H, W] int32; c is in 0..1. Where it is 0 there may be no
// masks, and the model need not be a part model.
func JointLoss(out model.Outputs, labels, masks *graph.Node, c float64) *graph.Node {
	if c == 0 {
		return learn.CrossEntropy(out.Logits, labels)
	}
	class := graph.MulScalar(learn.CrossEntropy(out.Logits, labels), 1-c)
	return graph.Add(class, graph.MulScalar(PixelLoss(scoresOf(out), masks), c))
}

// scoresOf is what a model says of each pixel. It panics, as graph functions do, if it says nothing.
func scoresOf(out model.Outputs) *graph.Node {
	scores := out.Maps[Segmentation]
	if scores == nil {
		panic(fmt.Errorf("parts: the model says nothing of pixels: it is no part model"))
	}
	return scores
}
