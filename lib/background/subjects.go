package background

import (
	"fmt"
	"math/rand/v2"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/lib/internal/rows"
	"github.com/loupeml/loupe/lib/parts"
)

// Subjects are images with masks of what each is an image of.
type Subjects struct {
	Images *tensors.Tensor // [N, H, W, C] float32 in 0..1
	Masks  *tensors.Tensor // [N, H, W] int32, above 0 where the subject is; Binary makes them of soft ones
	Labels []int           // [N], 0 to K-1
}

func (s Subjects) check() error {
	if err := checkMasks(s.Images, s.Masks); err != nil {
		return err
	}
	if s.Masks.DType() != dtypes.Int32 {
		return fmt.Errorf("background: the masks of subjects that are cut out are int32: Binary makes them of soft ones")
	}
	if n := s.Images.Shape().Dimensions[0]; len(s.Labels) != n {
		return fmt.Errorf("background: %d labels for %d images", len(s.Labels), n)
	}
	for i, label := range s.Labels {
		if label < 0 {
			return fmt.Errorf("background: image %d has the label %d: composed images have known classes", i, label)
		}
	}
	return nil
}

// MixedSame are the subjects on backgrounds of other images of the same class, each drawn uniformly: Mixed-Same of Xiao
// et al. Backgrounds are filled as [Tiled] does. It is an error if a class has one image alone.
func (s Subjects) MixedSame(seed uint64) (*tensors.Tensor, error) {
	if err := s.check(); err != nil {
		return nil, err
	}
	members := s.members()
	rng := rand.New(rand.NewPCG(seed, 1))
	donors := make([]int, len(s.Labels))
	for i, label := range s.Labels {
		of := members[label]
		if len(of) < 2 {
			return nil, fmt.Errorf(
				"background: class %d has one image alone: the background of another of its class is not there", label)
		}
		donors[i] = other(rng, of, i)
	}
	return s.on(donors)
}

// MixedRand are the subjects on backgrounds of images of classes drawn uniformly, their own among them: Mixed-Rand of
// Xiao et al. Which image of the class lends its background is drawn uniformly, but no image its own. Backgrounds are
// filled as [Tiled] does. It is an error if there is one class alone, or a class has one image alone.
func (s Subjects) MixedRand(seed uint64) (*tensors.Tensor, error) {
	if err := s.check(); err != nil {
		return nil, err
	}
	members := s.members()
	var classes []int
	for label, of := range members {
		if len(of) == 1 {
			return nil, fmt.Errorf("background: class %d has one image alone, which cannot lend itself a background", label)
		}
		if len(of) > 1 {
			classes = append(classes, label)
		}
	}
	if len(classes) < 2 {
		return nil, fmt.Errorf("background: backgrounds of random classes of one class: there are two or more")
	}
	rng := rand.New(rand.NewPCG(seed, 2))
	donors := make([]int, len(s.Labels))
	for i := range donors {
		donors[i] = other(rng, members[classes[rng.IntN(len(classes))]], i)
	}
	return s.on(donors)
}

// OnlyFG are the subjects on black: Only-FG of Xiao et al.
func (s Subjects) OnlyFG() (*tensors.Tensor, error) {
	if err := s.check(); err != nil {
		return nil, err
	}
	return parts.OnBackgrounds(s.Images, s.Masks, tensors.FromShape(s.Images.Shape()))
}

// members are the numbers of the images of each class.
func (s Subjects) members() [][]int {
	most := 0
	for _, label := range s.Labels {
		most = max(most, label)
	}
	of := make([][]int, most+1)
	for i, label := range s.Labels {
		of[label] = append(of[label], i)
	}
	return of
}

// other draws one of the members that is not i; there are two or more.
func other(rng *rand.Rand, members []int, i int) int {
	for {
		if j := members[rng.IntN(len(members))]; j != i {
			return j
		}
	}
}

// on are the subjects on the filled backgrounds of the images with these numbers.
func (s Subjects) on(donors []int) (*tensors.Tensor, error) {
	alone, err := Tiled(s.Images, s.Masks)
	if err != nil {
		return nil, err
	}
	lent, err := rows.Pick(alone, donors)
	if err != nil {
		return nil, fmt.Errorf("background: %w", err)
	}
	return parts.OnBackgrounds(s.Images, s.Masks, lent)
}
