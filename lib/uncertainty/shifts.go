package uncertainty

import (
	"fmt"
	"math"

	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/lib/display"
	"github.com/loupeml/loupe/lib/mime"
	"github.com/loupeml/loupe/lib/model"
	"github.com/loupeml/loupe/lib/perturb"
	"github.com/loupeml/loupe/lib/shift"
)

// Shift is test images that were changed in a known way, more or less.
type Shift struct {
	Name string
	Data model.Labeled
	// Intensity is how strong the shift is, from 1; those of one intensity are looked at together.
	Intensity int
	// Amount is that of the change, in Unit, such as 15 of "rotation, degrees": where it stands on a horizontal axis.
	Amount float64
	Unit   string
}

// Shifts are the same test images under several shifts. They show themselves by one image.
type Shifts []Shift

// quarters is the intensity of a change that is a share of the strongest of its kind, in 0..1: 1 to 4.
func quarters(share float64) int { return max(1, int(math.Ceil(4*share-1e-9))) }

// Rotations are images turned counter-clockwise by each of the angles, in degrees from above 0 to 180
// ([perturb.Rotate]); none means the twelve of Ovadia et al., section 4.1, 15, 30, … 180. The intensity is 1 up to 45
// degrees, 2 up to 90, 3 up to 135, and 4 above.
func Rotations(ds model.Labeled, degrees ...float64) (Shifts, error) {
	if err := model.CheckDataset(ds); err != nil {
		return nil, err
	}
	if len(degrees) == 0 {
		for d := 15.0; d <= 180; d += 15 {
			degrees = append(degrees, d)
		}
	}
	var all Shifts
	for _, d := range degrees {
		if !(d > 0 && d <= 180) {
			return nil, fmt.Errorf("uncertainty: a rotation by %v degrees, it is more than 0 and up to 180", d)
		}
		turned := shift.Changed("", ds, func(images *tensors.Tensor, _ []int) (*tensors.Tensor,
			error) {
			return perturb.Rotate(images, d)
		})
		all = append(all, Shift{Name: fmt.Sprintf("%g°", d), Data: turned.Data, Intensity: quarters(d / 180), Amount: d,
			Unit: "rotation, degrees"})
	}
	return all, nil
}

// Translations are images moved to the right by each of a number of pixels, from 1 to less than the width
// ([perturb.Roll]: what leaves at one side comes in at the other); none means thirteen of Ovadia et al., section 4.1, a
// fourteenth of the width to thirteen. The intensity is how many quarters of half the width an image is from where it
// was, 1 to 4.
func Translations(ds model.Labeled, pixels ...int) (Shifts, error) {
	if err := model.CheckDataset(ds); err != nil {
		return nil, err
	}
	one, err := ds.Images(0)
	if err != nil {
		return nil, err
	}
	width := one.Shape().Dimensions[2]
	if len(pixels) == 0 {
		if width < 14 {
			return nil, fmt.Errorf(
				"uncertainty: images of %d pixels' width have no fourteenths of it: say by how many pixels they are to move", width)
		}
		for i := 1; i < 14; i++ {
			pixels = append(pixels, i*width/14)
		}
	}
	var all Shifts
	for _, by := range pixels {
		if by < 1 || by >= width {
			return nil, fmt.Errorf("uncertainty: a translation by %d pixels of images that are %d wide, it is from 1 to %d", by,
				width, width-1)
		}
		moved := shift.Changed("", ds, func(images *tensors.Tensor, _ []int) (*tensors.Tensor,
			error) {
			return perturb.Roll(images, by)
		})
		all = append(all, Shift{
			Name: fmt.Sprintf("%d pixels", by), Data: moved.Data,
			Intensity: quarters(float64(2*min(by, width-by)) / float64(width)),
			Amount:    float64(by), Unit: "translation, pixels",
		})
	}
	return all, nil
}

// Corruptions are images under each of the corruptions at each of the severities, 1 to 5, which are the intensities;
// none means those of Ovadia et al. ([perturb.Ovadia]). seed decides what chance decides, as in [shift.Corrupted]. It
// is an error at once where a corruption needs files that are not here.
func Corruptions(ds model.Labeled, severities []int, seed uint64, corruptions ...perturb.Corruption) (Shifts, error) {
	if err := model.CheckDataset(ds); err != nil {
		return nil, err
	}
	if len(severities) == 0 {
		return nil, fmt.Errorf("uncertainty: corruptions of no severity: name some from 1 to %d", perturb.Severities)
	}
	if len(corruptions) == 0 {
		corruptions = perturb.Ovadia()
	}
	var all Shifts
	for _, severity := range severities {
		if severity < 1 || severity > perturb.Severities {
			return nil, fmt.Errorf("uncertainty: a corruption of severity %d, it is from 1 to %d", severity, perturb.Severities)
		}
		for _, c := range corruptions {
			if err := c.Ready(); err != nil {
				return nil, err
			}
			at := shift.Corrupted(ds, c, severity, seed)
			all = append(all, Shift{Name: at.Name, Data: at.Data, Intensity: severity, Amount: float64(severity), Unit: c.Name +
				", severity"})
		}
	}
	return all, nil
}

// Grid is the first image under each of the shifts.
func (s Shifts) Grid() (display.Grid, error) {
	var pictures []any
	var names []string
	for _, at := range s {
		if err := model.CheckDataset(at.Data); err != nil {
			return display.Grid{}, err
		}
		images, err := at.Data.Images(0)
		if err != nil {
			return display.Grid{}, err
		}
		flat, err := tensors.CopyFlatData[float32](images)
		if err != nil {
			return display.Grid{}, fmt.Errorf("uncertainty: %w", err)
		}
		for i, v := range flat { // a spline overshoots
			flat[i] = min(max(v, 0), 1)
		}
		shown, err := display.Images(tensors.FromFlatDataAndDimensions(flat, images.Shape().Dimensions...))
		if err != nil {
			return display.Grid{}, err
		}
		pictures, names = append(pictures, shown[0]), append(names, at.Name)
	}
	return display.Gallery(pictures, names...), nil
}

// Bundle shows the first image under each of the shifts.
func (s Shifts) Bundle() mime.Bundle {
	g, err := s.Grid()
	if err != nil {
		return mime.TextOf(err.Error())
	}
	return g.Bundle()
}
