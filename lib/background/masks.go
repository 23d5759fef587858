package background

import (
	"fmt"
	"path"
	"path/filepath"
	"strings"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/lib/data"
	"github.com/loupeml/loupe/lib/internal/parallel"
	"github.com/loupeml/loupe/lib/interrupt"
	"github.com/loupeml/loupe/lib/model"
)

// FromFiles reads the masks of a dataset's images from a dataset of masks, such as data.Folder of a folder beside that
// of the images: [N, H, W] float32 in 0..1, white where the subject is. A mask has the name of its image but for the
// ending: dog/12.png goes with dog/12.jpg. Both datasets are brought to one size alike, by Map. Masks without an image
// are left.
//
// It is an error, which names the file, if an image has no mask or two, if a mask is not of its image's size or is in
// colour. Interrupted, it returns the masks that are read beside the error.
func FromFiles(images, masks *data.Dataset) (*tensors.Tensor, error) {
	if images == nil || images.Len() == 0 {
		return nil, fmt.Errorf("background: masks of no images")
	}
	if masks == nil || masks.Len() == 0 {
		return nil, fmt.Errorf("background: there are no masks for the images of %s", images.Title())
	}
	stem := func(name string) string { return strings.TrimSuffix(filepath.ToSlash(name), path.Ext(name)) }
	of := map[string]int{}
	for i := range masks.Len() {
		name := stem(masks.Name(i))
		if j, twice := of[name]; twice {
			return nil, fmt.Errorf("background: %s and %s are masks of one image", masks.Name(j), masks.Name(i))
		}
		of[name] = i
	}
	at := make([]int, images.Len())
	for i := range at {
		j, there := of[stem(images.Name(i))]
		if !there {
			return nil, fmt.Errorf("background: the image %s has no mask in %s: a mask has its image's name but for the ending",
				images.Name(i), masks.Title())
		}
		at[i] = j
	}
	first, err := images.Image(0)
	if err != nil {
		return nil, err
	}
	size := first.Height * first.Width
	flat := make([]float32, len(at)*size)
	done, err := parallel.Each("background: reading masks", len(at), func(i int) error {
		image, err := images.Image(i)
		if err != nil {
			return err
		}
		mask, err := masks.Image(at[i])
		if err != nil {
			return err
		}
		if image.Height != first.Height || image.Width != first.Width {
			return fmt.Errorf("background: the image %s is %d x %d and %s is %d x %d: bring them and their masks to one size "+
				"with Map(data.Resize(height, width))",
				images.Name(0), first.Height, first.Width, images.Name(i), image.Height, image.Width)
		}
		if mask.Height != image.Height || mask.Width != image.Width {
			return fmt.Errorf("background: the mask %s is %d x %d, and its image %s is %d x %d", masks.Name(at[i]), mask.Height,
				mask.Width, images.Name(i), image.Height, image.Width)
		}
		for p := range size {
			channels := mask.Pix[p*mask.Channels : (p+1)*mask.Channels]
			for _, v := range channels {
				if v != channels[0] {
					return fmt.Errorf(
						"background: the mask %s is in colour: it is white where the subject is and black elsewhere, with greys between",
						masks.Name(at[i]))
				}
			}
			flat[i*size+p] = channels[0]
		}
		return nil
	})
	if done == 0 || err != nil && !interrupt.Is(err) {
		return nil, err
	}
	return tensors.FromFlatDataAndDimensions(flat[:done*size], done, first.Height, first.Width), err
}

// Saliency makes masks by a network that finds the subject of a photograph, such as the models "u2netp" and "vit-focus"
// that model.Load knows.
type Saliency struct {
	// Model says of each place of an image, as its output, how much of the subject is there.
	Model *model.Model
	// Stretch brings the values of each image to 0..1, from its least to its greatest, as U²-Net's program does with
	// what its network says. An image without a subject then has one all the same.
	Stretch bool
}

// Of returns the masks of photographs, [N, height, width] float32 in 0..1: each is brought to the network's size, and
// what the network says of it to height x width, which is the size to bring the photographs to by
// Map(data.Resize(height, width)). It is an error if the network does not look at whole photographs, or says no number
// in 0..1 of each of its places. Interrupted, it returns the masks of the images that are done beside the error.
func (s Saliency) Of(photographs *data.Dataset, height, width int) (*tensors.Tensor, error) {
	switch {
	case s.Model == nil:
		return nil, fmt.Errorf("background: there is no network that finds subjects: Model is nil")
	case photographs == nil || photographs.Len() == 0:
		return nil, fmt.Errorf("background: masks of no images")
	case height < 1 || width < 1:
		return nil, fmt.Errorf("background: masks of %d x %d", height, width)
	case s.Model.Spec().Resize != 0:
		return nil, fmt.Errorf("background: %s looks at the middle of a photograph alone, and masks are of all of it",
			s.Model.Name())
	}
	out, stopped := s.Model.OutputOf(photographs.Map(s.Model.Prepare()...))
	if out == nil {
		return nil, stopped
	}
	spec := s.Model.Spec()
	places := spec.Height * spec.Width
	n := out.Shape().Dimensions[0]
	if out.Shape().Size() != n*places {
		return nil, fmt.Errorf(
			"background: %s says %v of an image of %d x %d: a network that finds subjects says one number of each place",
			s.Model.Name(), out.Shape().Dimensions[1:], spec.Height, spec.Width)
	}
	flat, err := tensors.CopyFlatData[float32](out)
	if err != nil {
		return nil, fmt.Errorf("background: %w", err)
	}
	to := data.Resize(height, width)
	var masks []float32
	for i := range n {
		one := flat[i*places : (i+1)*places]
		low, high := one[0], one[0]
		for _, v := range one {
			if !(v >= 0 && v <= 1) {
				return nil, fmt.Errorf("background: %s says %v of a place of %s: a share of the subject lies in 0..1",
					s.Model.Name(), v, photographs.Name(i))
			}
			low, high = min(low, v), max(high, v)
		}
		if s.Stretch && high > low {
			for p, v := range one {
				one[p] = (v - low) / (high - low)
			}
		}
		mask, err := to.Apply(data.Image{Pix: one, Height: spec.Height, Width: spec.Width, Channels: 1})
		if err != nil {
			return nil, fmt.Errorf("background: %w", err)
		}
		masks = append(masks, mask.Pix...)
	}
	return tensors.FromFlatDataAndDimensions(masks, n, height, width), stopped
}

// Binary are masks, [N, H, W] int32, of soft ones in 0..1: 1 where these are at least level, and 0 elsewhere.
func Binary(masks *tensors.Tensor, level float64) (*tensors.Tensor, error) {
	if masks == nil || masks.CheckValid() != nil || masks.Rank() != 3 || masks.DType() != dtypes.Float32 {
		return nil, fmt.Errorf("background: soft masks are [N, H, W] float32")
	}
	if !(level > 0 && level <= 1) {
		return nil, fmt.Errorf("background: a subject from the level %v on: it is more than 0 and at most 1", level)
	}
	flat, err := tensors.CopyFlatData[float32](masks)
	if err != nil {
		return nil, fmt.Errorf("background: %w", err)
	}
	hard := make([]int32, len(flat))
	for i, v := range flat {
		if !(v >= 0 && v <= 1) {
			return nil, fmt.Errorf("background: the mask %d has the value %v: it lies in 0..1",
				i/max(len(flat)/masks.Shape().Dimensions[0], 1), v)
		}
		if float64(v) >= level {
			hard[i] = 1
		}
	}
	return tensors.FromFlatDataAndDimensions(hard, masks.Shape().Dimensions...), nil
}
