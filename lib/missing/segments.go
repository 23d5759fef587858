// Package missing asks what a classifier makes of an image when parts of it are missing, and how much of that answer is
// about how they were made to miss: the missingness bias of Jain, Salman et al., "Missingness Bias in Model Debugging",
// ICLR 2022.
//
// Images are cut into [Segments], patches or superpixels. An [Approximation] takes segments away: [Fill] paints over
// them, [DropTokens] leaves their tokens out of a vision transformer. [Ablation] measures which predictions survive,
// [LIME] which segments a prediction rests on, and [DropPatches] trains networks for missingness.
package missing

import (
	"fmt"
	"image"
	"image/color"
	"slices"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/lib/display"
)

// Segments are the parts into which images are cut, each by itself.
type Segments struct {
	// Name says how, such as "patches of 16".
	Name string
	// Labels has the number of the segment of each pixel, [N, H, W] int32, from 0 without gaps.
	Labels *tensors.Tensor
	// Counts are the numbers of segments of each image.
	Counts []int

	flat []int32 // of Labels
}

// Patches cuts n images of height x width pixels into squares of side pixels, numbered in the order of reading. The
// last of a row or column are smaller where the side does not divide the image.
func Patches(n, height, width, side int) (*Segments, error) {
	if n < 1 || height < 1 || width < 1 {
		return nil, fmt.Errorf("missing: %d images of %d x %d have no patches", n, height, width)
	}
	if side < 1 || side > max(height, width) {
		return nil, fmt.Errorf("missing: patches of %d pixels in images of %d x %d: a side lies between 1 and %d", side,
			height, width, max(height, width))
	}
	across := (width + side - 1) / side
	flat := make([]int32, 0, n*height*width)
	for range n {
		for y := range height {
			for x := range width {
				flat = append(flat, int32(y/side*across+x/side))
			}
		}
	}
	return newSegments(fmt.Sprintf("patches of %d", side), flat, n, height, width)
}

// PatchesOf cuts images, [N, H, W, C], into squares of side pixels, as [Patches] does.
func PatchesOf(images *tensors.Tensor, side int) (*Segments, error) {
	n, height, width, err := sizes(images)
	if err != nil {
		return nil, err
	}
	return Patches(n, height, width, side)
}

// Tenths cuts images into patches, 14 in a row, as 16 pixels are of 224 (Jain et al., ICLR 2022, section 3), or fewer
// where an image has not as many pixels, and says how many of them are missing where a tenth after the other goes, from
// none to all: Ablation.Counts.
func Tenths(images *tensors.Tensor) (patches *Segments, counts []int, err error) {
	n, height, width, err := sizes(images)
	if err != nil {
		return nil, nil, err
	}
	const across = 14
	if patches, err = Patches(n, height, width, (max(height, width)+across-1)/across); err != nil {
		return nil, nil, err
	}
	for tenth := range 11 {
		counts = append(counts, tenth*patches.Most()/10)
	}
	return patches, slices.Compact(counts), nil // of fewer than ten patches some are the same
}

func sizes(images *tensors.Tensor) (n, height, width int, err error) {
	if images == nil || images.Rank() != 4 {
		return 0, 0, 0, fmt.Errorf("missing: images have the shape [N, H, W, C]")
	}
	d := images.Shape().Dimensions
	return d[0], d[1], d[2], nil
}

// SegmentsOf takes a segmentation made elsewhere: labels is [N, H, W] int32, the segment of each pixel; those of an
// image are numbered from 0, and none is empty.
func SegmentsOf(labels *tensors.Tensor) (*Segments, error) {
	if labels == nil || labels.Rank() != 3 || labels.DType() != dtypes.Int32 || labels.Size() == 0 {
		return nil, fmt.Errorf("missing: a segmentation has the shape [N, H, W] int32")
	}
	flat, err := tensors.CopyFlatData[int32](labels)
	if err != nil {
		return nil, fmt.Errorf("missing: %w", err)
	}
	d := labels.Shape().Dimensions
	return newSegments("segments", flat, d[0], d[1], d[2])
}

func newSegments(name string, flat []int32, n, height, width int) (*Segments, error) {
	s := &Segments{Name: name, Labels: tensors.FromFlatDataAndDimensions(flat, n, height, width), flat: flat}
	size := height * width
	for i := range n {
		image := flat[i*size : (i+1)*size]
		count := int(slices.Max(image)) + 1
		if count > size {
			return nil, fmt.Errorf("missing: image %d has a segment %d in %d pixels: number the segments from 0", i,
				count-1, size)
		}
		pixels := make([]int, count)
		for j, label := range image {
			if label < 0 {
				return nil, fmt.Errorf("missing: image %d has the segment %d at row %d, column %d: number the segments from 0", i,
					label, j/width, j%width)
			}
			pixels[label]++
		}
		if at := slices.Index(pixels, 0); at >= 0 {
			return nil, fmt.Errorf("missing: segment %d of image %d has no pixels: number the segments without gaps", at, i)
		}
		s.Counts = append(s.Counts, count)
	}
	return s, nil
}

// Len is the number of images.
func (s *Segments) Len() int { return len(s.Counts) }

// Most is the number of segments of the image that has most.
func (s *Segments) Most() int { return slices.Max(s.Counts) }

func (s *Segments) dims() (height, width int) {
	d := s.Labels.Shape().Dimensions
	return d[1], d[2]
}

func (s *Segments) of(i int) []int32 {
	h, w := s.dims()
	return s.flat[i*h*w : (i+1)*h*w]
}

// check returns an error unless the segments are those of images.
func (s *Segments) check(images *tensors.Tensor) error {
	if s == nil || len(s.Counts) == 0 {
		return fmt.Errorf("missing: there are no segments: make them by Patches, SLIC or SegmentsOf")
	}
	h, w := s.dims()
	if images == nil || images.Rank() != 4 {
		return fmt.Errorf("missing: images have the shape [N, H, W, C]")
	}
	if d := images.Shape().Dimensions; d[0] != s.Len() || d[1] != h || d[2] != w {
		return fmt.Errorf("missing: the segments are those of %d images of %d x %d, and there are %d of %d x %d", s.Len(), h,
			w, d[0], d[1], d[2])
	}
	return nil
}

// Mask is 1, [N, H, W] float32, where the first count segments of each image's order lie and 0 elsewhere: what
// lib/mask's Apply takes.
func (s *Segments) Mask(orders [][]int, count int) (*tensors.Tensor, error) {
	if err := s.checkOrders(orders, count); err != nil {
		return nil, err
	}
	flat := make([]float32, len(s.flat))
	h, w := s.dims()
	for i, order := range orders {
		chosen := make([]bool, s.Counts[i])
		for _, segment := range order[:min(count, len(order))] {
			chosen[segment] = true
		}
		for j, label := range s.of(i) {
			if chosen[label] {
				flat[i*h*w+j] = 1
			}
		}
	}
	return tensors.FromFlatDataAndDimensions(flat, s.Len(), h, w), nil
}

// Means are the means of heatmaps, [N, H, W] float32, over each image's segments.
func (s *Segments) Means(heatmaps *tensors.Tensor) ([][]float64, error) {
	h, w := s.dims()
	if heatmaps == nil || heatmaps.Rank() != 3 || heatmaps.DType() != dtypes.Float32 ||
		!slices.Equal(heatmaps.Shape().Dimensions, []int{s.Len(), h, w}) {
		return nil, fmt.Errorf("missing: the heatmaps of these segments have the shape [%d, %d, %d] float32", s.Len(), h, w)
	}
	flat, err := tensors.CopyFlatData[float32](heatmaps)
	if err != nil {
		return nil, fmt.Errorf("missing: %w", err)
	}
	all := make([][]float64, s.Len())
	for i, count := range s.Counts {
		sums, sizes := make([]float64, count), make([]float64, count)
		for j, label := range s.of(i) {
			v := float64(flat[i*h*w+j])
			if v != v {
				return nil, fmt.Errorf("missing: heatmap %d is not a number at row %d, column %d", i, j/w, j%w)
			}
			sums[label] += v
			sizes[label]++
		}
		for k := range sums {
			sums[k] /= sizes[k]
		}
		all[i] = sums
	}
	return all, nil
}

// spread gives each pixel its segment's value, [N, H, W] float32.
func (s *Segments) spread(values [][]float64) *tensors.Tensor {
	h, w := s.dims()
	flat := make([]float32, len(values)*h*w)
	for i := range values {
		for j, label := range s.of(i) {
			flat[i*h*w+j] = float32(values[i][label])
		}
	}
	return tensors.FromFlatDataAndDimensions(flat, len(values), h, w)
}

// Outlined are pictures of images, [N, H, W, C] float32 in 0..1, with a line where two segments meet.
func (s *Segments) Outlined(images *tensors.Tensor) ([]image.Image, error) {
	if err := s.check(images); err != nil {
		return nil, err
	}
	pictures, err := display.Images(images)
	if err != nil {
		return nil, err
	}
	h, w := s.dims()
	for i, picture := range pictures {
		labels := s.of(i)
		outlined := image.NewRGBA(image.Rect(0, 0, w, h))
		for y := range h {
			for x := range w {
				at := y*w + x
				if (x+1 < w && labels[at] != labels[at+1]) || (y+1 < h && labels[at] != labels[at+w]) {
					outlined.SetRGBA(x, y, color.RGBA{0xff, 0xe0, 0x30, 0xff})
				} else {
					outlined.Set(x, y, picture.At(picture.Bounds().Min.X+x, picture.Bounds().Min.Y+y))
				}
			}
		}
		pictures[i] = outlined
	}
	return pictures, nil
}
